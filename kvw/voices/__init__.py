"""Voices on disk: files, packs, names, references such as ``af_bella(2)+am_adam(1)``, and every runtime's format.

Read :mod:`kvw.voices.files` first: no other room opens or writes a voice.
"""

"""Voices on disk: files, packs, names, references such as ``af_bella(2)+am_adam(1)``, every runtime's format.

Read :mod:`kvw.voices.files` first: nothing else in kvw opens or writes a voice.
"""

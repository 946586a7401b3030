"""Kokoro-82M by its own weights.

Read :mod:`kvw.speech.kokoro.synthesizer` first, then :mod:`kvw.speech.kokoro.model`.
"""

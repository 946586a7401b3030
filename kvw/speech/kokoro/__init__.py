"""Kokoro-82M with its own weights.

Read :mod:`kvw.speech.kokoro.synthesizer` first, then :mod:`kvw.speech.kokoro.model`.
"""

SPACY_MODEL = "en_core_web_sm"
"""spaCy's English model, for grapheme-to-phoneme conversion; named here since importing kokoro takes seconds."""

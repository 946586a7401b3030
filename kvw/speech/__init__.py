"""Speech: from a text and a voice to samples.

The contract is :class:`kvw.speech.synthesizer.Synthesizer`. :mod:`kvw.speech.kokoro` speaks with Kokoro-82M;
:mod:`kvw.speech.embedded` needs no download, and has voices of its own.
"""

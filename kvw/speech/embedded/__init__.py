"""The embedded synthesiser: real speech with no download, in voices of Kokoro's shape that mean nothing to Kokoro.

Read :mod:`kvw.speech.embedded.synthesizer` first.
"""

"""Audio: reads any recording as 24 kHz mono samples, checks it, divides the target, and writes audio.

Start with :mod:`kvw.audio.decode`, then :mod:`kvw.audio.target`, which reads the recordings of a target speaker.
"""

"""Audio: any recording as 24 kHz mono samples, what it is like, and what of it a search hears.

Read :mod:`kvw.audio.decode` for reading, :mod:`kvw.audio.target` for the recordings of a target speaker.
"""

"""Spaces: how a genome becomes a voice.

The contract is :class:`kvw.spaces.base.Space`; a config names a space by ``space=NAME``.
"""

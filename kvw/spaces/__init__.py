"""Spaces: each maps genomes to voices and back.

The contract is :class:`kvw.spaces.base.Space`; a config chooses a space by ``space=NAME``.
"""

"""Runs: what a search leaves behind, written so that it can resume bit for bit, and read while it goes on.

Read :mod:`kvw.runs.schema` first; :mod:`kvw.runs.store` writes, :mod:`kvw.runs.reader` reads.
"""

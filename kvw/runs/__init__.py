"""Runs: the folder and the record that a search writes, can resume from bit for bit, and that programs read meanwhile.

Read :mod:`kvw.runs.schema` first; :mod:`kvw.runs.store` writes records, :mod:`kvw.runs.reader` reads them.
"""

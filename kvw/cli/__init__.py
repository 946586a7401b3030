"""The command line: ``python -m kvw``.

Read :mod:`kvw.cli.main` first.
"""

"""Observers, which follow a search while it runs.

Their contract is :class:`kvw.search.observer.Observer`.
"""

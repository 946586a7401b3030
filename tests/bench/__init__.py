"""Benchmarks; :mod:`tests.bench.__main__` prints them."""

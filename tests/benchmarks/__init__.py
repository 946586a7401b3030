"""Benchmarks; :mod:`tests.benchmarks.__main__` prints them."""

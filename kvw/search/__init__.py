"""Search: strategies, what they vary, and the loop that runs them.

This package knows voices and evaluations, not audio. Read :mod:`kvw.search.loop` first, then
:mod:`kvw.search.strategy`. It never imports :mod:`kvw.fitness`: both use :mod:`kvw.evaluation`.
"""

"""Search: strategies, what they vary, and the loop that runs them.

This room knows voices and evaluations, never how a voice sounds. Read :mod:`kvw.search.loop` first, then
:mod:`kvw.search.strategy`. It never imports :mod:`kvw.fitness`: the two meet in :mod:`kvw.evaluation`.
"""

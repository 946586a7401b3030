"""Fitness: how much a voice sounds like the target.

This room knows speech and scores, never who proposed a voice. Read :mod:`kvw.fitness.hybrid` first. It never imports
:mod:`kvw.search`: the two meet in :mod:`kvw.evaluation`.
"""

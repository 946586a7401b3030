"""Executors: where evaluations run: in this process, in others, or on a Ray cluster.

The contract is :class:`kvw.evaluation.Executor`.
"""

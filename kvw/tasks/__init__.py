"""Tasks: what ``task=NAME`` runs, one file a task.

A task is a function of a :class:`kvw.config.invocation.Invocation` and of the task's own settings; it returns a float.
"""

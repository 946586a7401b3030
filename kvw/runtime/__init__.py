"""Runtime: the machine under kvw. Files that survive crashes, locks, signals, logs, workers, versions, the model hub.

This is the lowest room: it knows nothing of voices, and every other room may import it.
"""

"""Runtime: the machine under kvw: files that survive crashes, locks, signals, logs, workers, versions, the model hub.

The lowest room. It knows nothing of voices, and everything above may import it.
"""

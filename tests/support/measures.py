"""Functions of a wave for worker processes, which import this alone, and waiting for those."""

from __future__ import annotations

import os
import time


def loudest(wave):
    """The highest sample, the length, and who measured."""
    if not wave.any():
        raise ValueError("silence")
    return float(wave.max()), len(wave), os.getpid()


def slow(wave):
    """Who measured, a second later."""
    time.sleep(1.0)
    return os.getpid()


def ready(scorers, count=1):
    """Waits until its processes are."""
    for _ in range(600):
        if len(scorers._ready) == count:
            return scorers
        time.sleep(0.1)
    raise AssertionError("no process got ready")

"""``executor=auto``: processes where they pay, for searches with several candidates a generation."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable

from kvw.executors.local import LocalExecutor
from kvw.executors.processes import ProcessExecutor
from kvw.fitness.hybrid import HybridFitness
from kvw.runtime.environment import usable_cpus

MOST_WORKERS = 4
"""Worker processes at most: each has models of its own, more than a gigabyte with Kokoro and Whisper."""


def automatic(*, fitness: Callable[[], HybridFitness], threads: int = 1) -> LocalExecutor | ProcessExecutor:
    """A process for each core, up to :data:`MOST_WORKERS`; on a device that batches, or one free core, this process.

    Args:
        fitness: makes the fitness; picklable.
        threads: CPU threads of an evaluation, 1 or more.

    Raises:
        KvwError: fewer than one thread.
    """
    workers = min(usable_cpus() // max(threads, 1), MOST_WORKERS)
    alone = multiprocessing.parent_process() is not None  # a worker itself: the other cores are its siblings'
    if alone or workers < 2:
        return LocalExecutor(fitness=fitness, threads=threads)
    made = fitness()
    if made.listener.synthesizer.batch > 1:
        return LocalExecutor(fitness=lambda: made, threads=threads)
    return ProcessExecutor(fitness=fitness, workers=workers, threads=threads)

"""Executors: where evaluations run. Each keeps the order, and on a CPU each gives the same numbers.

Workers get arrays and a gate and return evaluations; they never see a candidate, a strategy or a config.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol

from kvw import features, worker
from kvw.candidate import Evaluation
from kvw.fitness import HybridFitness
from kvw.gate import Gate
from kvw.scorers import Scorers
from kvw.types import KvwError, Voice
from kvw.worker import limit_threads


class Executor(Protocol):
    """Evaluates voices.

    A constructor takes, keyword-only, ``fitness`` (a picklable function without arguments that makes the fitness),
    then its own settings.
    """

    batch: int
    """Voices that it evaluates at once: with fewer, part of it waits."""

    def __call__(self, voices: Sequence[Voice], gate: Gate) -> list[Evaluation]:
        """One evaluation a voice, in order."""

    def close(self) -> None:
        """Lets workers go."""


class LocalExecutor:
    """Evaluates in this process, beside which others measure what it has spoken.

    They are spawned: a script of one's own calls this below ``if __name__ == "__main__"``, or with ``scorers=0``.

    Args:
        fitness: makes the fitness.
        threads: CPU threads of an evaluation, 1 or more.
        scorers: processes that measure, 0 or more; None is :func:`spare_processes`.

    Raises:
        ValueError: fewer than one thread, or than no scorers.
    """

    def __init__(self, *, fitness: Callable[[], HybridFitness], threads: int = 1, scorers: int | None = None) -> None:
        if scorers is not None and scorers < 0:
            raise ValueError(f"executor.scorers: expected 0 or more, or null; got {scorers}")
        limit_threads(threads)
        self._fitness = fitness()
        ear = self._fitness.ear
        count = spare_processes(ear.encoder.device.type, threads) if scorers is None else scorers
        self.batch = ear.synthesizer.batch
        ear.scorers = Scorers(count, (ear.encoder.measure, features.statistics), threads)

    def __call__(self, voices: Sequence[Voice], gate: Gate) -> list[Evaluation]:
        """Evaluates them here."""
        return self._fitness(voices, gate)

    def close(self) -> None:
        """Ends the processes that measure."""
        self._fitness.ear.scorers.close()


def spare_processes(device: str, threads: int) -> int:
    """How many processes can measure beside one that speaks on a device of type ``device``, with ``threads`` each.

    On a CPU they share its cores with it, and one keeps up; other devices outrun several. None in a process that is a
    worker itself: the other cores are its siblings'.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    free = 0 if multiprocessing.parent_process() else cpus // threads - 1
    return max(0, min(free, 1 if device == "cpu" else 8))


_fitness: HybridFitness


def _start(fitness: Callable[[], HybridFitness], threads: int) -> None:
    """Makes the fitness of a worker process, once."""
    global _fitness
    worker.begin(threads)
    _fitness = fitness()


def _evaluate(voice: Voice, gate: Gate) -> Evaluation:
    """Evaluates one voice in a worker process."""
    return _fitness([voice], gate)[0]


class ProcessExecutor:
    """Evaluates in processes of this machine, each with models of its own.

    Pays where a generation has several candidates, and in the ranking of the bank.

    Args:
        fitness: makes the fitness; picklable.
        workers: processes, 1 or more.
        threads: CPU threads of each, 1 or more.

    Raises:
        ValueError: fewer than one worker or thread.
    """

    def __init__(self, *, fitness: Callable[[], HybridFitness], workers: int = 2, threads: int = 1) -> None:
        if workers < 1:
            raise ValueError(f"executor.workers: expected 1 or more; got {workers}")
        limit_threads(threads)
        self.batch = workers
        fitness()  # here first: a setting that is wrong is an error, not a dead worker
        # spawn: a fork of a process that has started torch's threads can hang, and CUDA does not survive one
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(workers, context, initializer=_start, initargs=(fitness, threads))

    def __call__(self, voices: Sequence[Voice], gate: Gate) -> list[Evaluation]:
        """Evaluates them in the pool, whoever is free taking the next.

        Raises:
            KvwError: a worker process died.
        """
        try:
            jobs: list[Future[Evaluation]] = [self._pool.submit(_evaluate, voice, gate) for voice in voices]
            return [job.result() for job in jobs]
        except BrokenProcessPool:
            raise KvwError(
                "executor=processes: a worker process died, for want of memory perhaps; "
                "use fewer executor.workers, or executor=local to see its error"
            ) from None

    def close(self) -> None:
        """Ends the processes."""
        self._pool.shutdown(cancel_futures=True)

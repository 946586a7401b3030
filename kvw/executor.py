"""Executors: where evaluations run. Each keeps the order, and on a CPU each gives the same numbers.

Workers get arrays and a gate and return evaluations; they never see a candidate, a strategy or a config.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol

import torch
from threadpoolctl import threadpool_limits

from kvw.candidate import Evaluation
from kvw.fitness import HybridFitness
from kvw.gate import Gate
from kvw.types import KvwError, Voice


class Executor(Protocol):
    """Evaluates voices.

    A constructor takes, keyword-only, ``fitness`` (a picklable function without arguments that makes the fitness),
    then its own settings.
    """

    def __call__(self, voices: Sequence[Voice], gate: Gate) -> list[Evaluation]:
        """One evaluation a voice, in order."""

    def close(self) -> None:
        """Lets workers go."""


def limit_threads(threads: int) -> None:
    """Gives this process's numerical libraries ``threads`` threads: more can change the last bit of a result."""
    if threads < 1:
        raise ValueError(f"executor.threads: expected 1 or more; got {threads}")
    torch.set_num_threads(threads)
    threadpool_limits(threads)


class LocalExecutor:
    """Evaluates in this process.

    Args:
        fitness: makes the fitness.
        threads: CPU threads of an evaluation, 1 or more.
    """

    def __init__(self, *, fitness: Callable[[], HybridFitness], threads: int = 1) -> None:
        limit_threads(threads)
        self._fitness = fitness()

    def __call__(self, voices: Sequence[Voice], gate: Gate) -> list[Evaluation]:
        """Evaluates them here."""
        return self._fitness(voices, gate)

    def close(self) -> None:
        """Has nothing to let go."""


_fitness: HybridFitness


def _start(fitness: Callable[[], HybridFitness], threads: int) -> None:
    """Makes the fitness of a worker process, once."""
    global _fitness
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C reaches every process; the driver answers it
    threading.Thread(target=_end_with_driver, daemon=True).start()
    logging.getLogger("kvw").addHandler(logging.NullHandler())  # the driver has said it all
    limit_threads(threads)
    _fitness = fitness()


def _end_with_driver() -> None:
    """Ends this worker when the driver is gone, however it went."""
    driver = multiprocessing.parent_process()
    assert driver is not None
    driver.join()
    os._exit(1)


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
        fitness()  # here first: a setting that is wrong is an error, not a dead worker
        # spawn: a fork of a process that has started torch's threads can hang, and CUDA does not survive one
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(workers, context, initializer=_start, initargs=(fitness, threads))

    def __call__(self, voices: Sequence[Voice], gate: Gate) -> list[Evaluation]:
        """Evaluates them in the pool, whoever is free taking the next.

        Raises:
            KvwError: a worker process died.
        """
        jobs: list[Future[Evaluation]] = [self._pool.submit(_evaluate, voice, gate) for voice in voices]
        try:
            return [job.result() for job in jobs]
        except BrokenProcessPool:
            raise KvwError(
                "executor=processes: a worker process died, for want of memory perhaps; "
                "use fewer executor.workers, or executor=local to see its error"
            ) from None

    def close(self) -> None:
        """Ends the processes."""
        self._pool.shutdown(cancel_futures=True)

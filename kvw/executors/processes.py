"""``executor=processes``: evaluates in worker processes of this machine, each with models of its own."""

from __future__ import annotations

import math
import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from kvw.evaluation import Evaluation, Gate, Utterance, UtteranceCache, gates_for
from kvw.executors.base import evaluate_with, known_utterances
from kvw.executors.rounds import LostError
from kvw.executors.scheduler import Scheduler
from kvw.fitness.hybrid import HybridFitness
from kvw.runtime.workers import begin_worker, limit_threads
from kvw.types import Voice

Job = tuple[Voice, Gate, dict[str, Utterance]]
"""A voice, its gate, and the utterances of the voice that are known, by key."""

LONGEST_START = 300.0
"""Seconds that a search goes on without any worker before it ends with an error."""

_fitness: HybridFitness


def _load(fitness: Callable[[], HybridFitness]) -> None:
    """Makes the fitness of a worker process."""
    global _fitness
    _fitness = fitness()


def _evaluate(
    voices: Sequence[Voice], gates: Sequence[Gate], known: Mapping[str, Utterance]
) -> tuple[list[Evaluation], dict[str, Utterance]]:
    """Evaluates voices in a worker process; returns the new utterances too."""
    return evaluate_with(_fitness, voices, gates, known)


class Processes:
    """Processes of this machine as the scheduler's workers; a handle is a pool of one process, a ticket a future.

    Args:
        fitness: makes the fitness; picklable.
        count: processes, 1 or more.
        threads: CPU threads of each, 1 or more.

    Attributes:
        batch: voices that a process evaluates at once.
    """

    batch = 1

    def __init__(self, fitness: Callable[[], HybridFitness], count: int, threads: int) -> None:
        self._fitness, self._count, self._threads = fitness, count, threads

    def wanted(self) -> int:
        """As :class:`kvw.executors.rounds.Workers`."""
        return self._count

    def place(self) -> tuple[ProcessPoolExecutor, Future[Any]]:
        """As :class:`kvw.executors.rounds.Workers`."""
        # spawn: a fork of a process that has started torch's threads can hang, and CUDA does not survive one
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(1, context, initializer=begin_worker, initargs=(self._threads,))
        return pool, pool.submit(os.getpid)

    def prepare(self, handle: Any) -> Any:
        """As :class:`kvw.executors.rounds.Workers`."""
        return self._submit(handle, _load, self._fitness)

    def submit(self, handle: Any, jobs: Sequence[Any]) -> Any:
        """As :class:`kvw.executors.rounds.Workers`."""
        voices, gates, known = zip(*jobs, strict=True)
        merged = {key: utterance for some in known for key, utterance in some.items()}
        return self._submit(handle, _evaluate, voices, gates, merged)

    def _submit(self, handle: Any, function: Callable[..., Any], *given: Any) -> Any:
        try:
            return handle.submit(function, *given)
        except BrokenProcessPool:  # the process died while it was idle: no candidate is to blame
            lost: Future[Any] = Future()
            lost.set_exception(LostError("died while it was idle", with_node=True))
            return lost

    def wait(self, tickets: Sequence[Any], seconds: float) -> Sequence[Any]:
        """As :class:`kvw.executors.rounds.Workers`."""
        if not tickets:
            time.sleep(seconds)
            return []
        done, _ = wait(tickets, seconds, FIRST_COMPLETED)
        return [ticket for ticket in tickets if ticket in done]

    def take(self, ticket: Any) -> Any:
        """As :class:`kvw.executors.rounds.Workers`."""
        try:
            return ticket.result()
        except BrokenProcessPool as error:
            raise LostError("died, for want of memory perhaps") from error

    def end(self, handle: Any) -> None:
        """As :class:`kvw.executors.rounds.Workers`."""
        for process in list((handle._processes or {}).values()):  # Python 3.14 has terminate_workers for it
            process.terminate()
        handle.shutdown(cancel_futures=True)


class ProcessExecutor:
    """Evaluates in processes of this machine, each with models of its own.

    Pays where a generation has several candidates, and in the ranking of the bank. Where a process dies, the scheduler
    has its candidates evaluated again.

    Args:
        fitness: makes the fitness; picklable.
        workers: processes, 1 or more.
        threads: CPU threads of each, 1 or more.

    Raises:
        KvwError: fewer than one thread.
        ValueError: fewer than one worker.
    """

    def __init__(self, *, fitness: Callable[[], HybridFitness], workers: int = 2, threads: int = 1) -> None:
        if workers < 1:
            raise ValueError(f"executor.workers: expected 1 or more; got {workers}")
        limit_threads(threads)
        self.batch = workers
        self._own = fitness()  # here first: a setting that is wrong is an error, not a dead worker
        self._scheduler = Scheduler(
            Processes(fitness, workers, threads),
            deadline=math.inf,  # a process of this machine that is slow is not lost
            wait=LONGEST_START,
            advice="use fewer executor.workers, or executor=local to see its error",
        )

    def __call__(
        self, voices: Sequence[Voice], gate: Gate | Sequence[Gate], cache: UtteranceCache | None = None
    ) -> list[Evaluation]:
        """Evaluates voices in the processes: each takes the next batch when it is free.

        Raises:
            KvwError: as :class:`kvw.executors.scheduler.Scheduler`.
        """
        jobs: list[Job] = [
            (voice, own, known_utterances(cache, self._own.listener, self._own, [voice], [own]))
            for voice, own in zip(voices, gates_for(gate, len(voices)), strict=True)
        ]
        return self._scheduler(jobs, cache.put if cache is not None else None)

    def close(self) -> None:
        """Ends the processes, also those at work: nobody waits for what they find."""
        self._scheduler.close()

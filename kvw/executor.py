"""Executors: where evaluations run. Each keeps the order, and on a CPU each gives the same numbers.

Workers get arrays and a gate and return evaluations; they never see a candidate, a strategy or a config.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol

from kvw import features, worker
from kvw.candidate import Evaluation
from kvw.fitness import HybridFitness
from kvw.gate import Gate, each
from kvw.ledger import MOST_DEATHS, crashed
from kvw.scorers import Scorers
from kvw.speech import Script
from kvw.stages import Ear
from kvw.types import KvwError, Voice
from kvw.utterance import Memory, Notes, Utterance
from kvw.worker import limit_threads

log = logging.getLogger(__name__)


class Executor(Protocol):
    """Evaluates voices.

    A constructor takes, keyword-only, ``fitness`` (a picklable function without arguments that makes the fitness),
    then its own settings.
    """

    batch: int
    """Voices that it evaluates at once: with fewer, part of it waits."""

    memory: Memory | None
    """What need not be spoken again, and takes in what is, as it comes; None for nothing. The driver alone calls it."""

    def __call__(self, voices: Sequence[Voice], gate: Gate | Sequence[Gate]) -> list[Evaluation]:
        """One evaluation a voice, in order; ``gate`` is one for all, or one for each."""

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

    @property
    def memory(self) -> Memory | None:
        """As :class:`Executor`."""
        return self._fitness.ear.memory

    @memory.setter
    def memory(self, memory: Memory | None) -> None:
        self._fitness.ear.memory = memory

    def __call__(self, voices: Sequence[Voice], gate: Gate | Sequence[Gate]) -> list[Evaluation]:
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


def remembered(memory: Memory, ear: Ear, scripts: Sequence[Script], voice: Voice) -> dict[str, Utterance]:
    """What ``memory`` has of a voice speaking ``scripts`` to ``ear``, by key."""
    keys = [ear.key(voice, script) for script in scripts]
    return {key: known for key in keys if (known := memory.recall(key))}


_fitness: HybridFitness


def _start(fitness: Callable[[], HybridFitness], threads: int) -> None:
    """Makes the fitness of a worker process, once."""
    global _fitness
    worker.begin(threads)
    _fitness = fitness()


def _evaluate(voice: Voice, gate: Gate, known: Mapping[str, Utterance]) -> tuple[Evaluation, dict[str, Utterance]]:
    """Evaluates one voice in a worker process; also what was measured anew."""
    notes = Notes(known)
    _fitness.ear.memory = notes
    (evaluation,) = _fitness([voice], gate)
    return evaluation, {key: one for key, one in notes.items() if one is not known.get(key)}


class ProcessExecutor:
    """Evaluates in processes of this machine, each with models of its own.

    Pays where a generation has several candidates, and in the ranking of the bank. Where a process dies, those that
    were at work are evaluated again; a voice that ends :data:`MOST_DEATHS` processes, alone in them, is a failure.

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
        self.memory: Memory | None = None
        self._own = fitness()  # here first: a setting that is wrong is an error, not a dead worker
        self._fitness, self._threads = fitness, threads
        self._pool, self._works = self._start(), False

    def _start(self) -> ProcessPoolExecutor:
        # spawn: a fork of a process that has started torch's threads can hang, and CUDA does not survive one
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self.batch, context, initializer=_start, initargs=(self._fitness, self._threads))

    def __call__(self, voices: Sequence[Voice], gate: Gate | Sequence[Gate]) -> list[Evaluation]:
        """Evaluates them in the pool, whoever is free taking the next.

        Raises:
            KvwError: processes die whatever they are given.
        """
        found: dict[int, Evaluation] = {}
        jobs = dict(enumerate(zip(voices, each(gate, len(voices)), strict=True)))
        self._evaluate(jobs, found)
        for number, job in jobs.items():
            for _ in range(MOST_DEATHS):  # without company it is known who ends a process
                if number not in found:
                    self._evaluate({number: job}, found)
            if not (found or self._works):  # is it this voice that ends them, or would any?
                self._evaluate({n: other for n, other in jobs.items() if n > number}, found)
            self._works = self._works or bool(found)
            if not self._works:
                raise KvwError(
                    "executor=processes: every worker process died, for want of memory perhaps; "
                    "use fewer executor.workers, or executor=local to see its error"
                )
            if number not in found:
                found[number] = crashed(MOST_DEATHS)
        return [found[number] for number in range(len(voices))]

    def _evaluate(self, jobs: Mapping[int, tuple[Voice, Gate]], found: dict[int, Evaluation]) -> None:
        """Adds what comes of ``jobs`` to ``found``; none of those that were at work when a process died."""
        try:
            begun = {self._pool.submit(_evaluate, *job, self._known(job[0])): n for n, job in jobs.items()}
            for one in as_completed(begun):
                evaluation, utterances = one.result()
                if self.memory is not None and utterances:
                    self.memory.keep(utterances)
                found[begun[one]] = evaluation
        except BrokenProcessPool:
            log.warning("A worker process died, for want of memory perhaps; another takes its place")
            self._pool.shutdown(cancel_futures=True)
            self._pool = self._start()

    def _known(self, voice: Voice) -> dict[str, Utterance]:
        """What is remembered of a voice."""
        return remembered(self.memory, self._own.ear, self._own.scripts, voice) if self.memory is not None else {}

    def close(self) -> None:
        """Ends the processes, also those at work: nobody waits for what they find."""
        for process in list((self._pool._processes or {}).values()):  # Python 3.14 has terminate_workers for it
            process.terminate()
        self._pool.shutdown(cancel_futures=True)

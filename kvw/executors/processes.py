"""``executor=processes``: evaluates in worker processes of this machine, each with models of its own."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from kvw.errors import KvwError
from kvw.evaluation import Evaluation, Gate, Utterance, UtteranceCache, gates_for
from kvw.executors.base import evaluate_with, known_utterances
from kvw.executors.rounds import MOST_DEATHS, crashed
from kvw.fitness.hybrid import HybridFitness
from kvw.runtime.workers import begin_worker, limit_threads
from kvw.types import Voice

log = logging.getLogger(__name__)
_fitness: HybridFitness


def _start(fitness: Callable[[], HybridFitness], threads: int) -> None:
    """Makes the fitness of a worker process, once."""
    global _fitness
    begin_worker(threads)
    _fitness = fitness()


def _evaluate(voice: Voice, gate: Gate, known: Mapping[str, Utterance]) -> tuple[Evaluation, dict[str, Utterance]]:
    """Evaluates one voice in a worker process; returns the new utterances too."""
    (evaluation,), utterances = evaluate_with(_fitness, [voice], [gate], known)
    return evaluation, utterances


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
        self._own = fitness()  # here first: a setting that is wrong is an error, not a dead worker
        self._fitness, self._threads = fitness, threads
        self._pool, self._works = self._start(), False

    def _start(self) -> ProcessPoolExecutor:
        # spawn: a fork of a process that has started torch's threads can hang, and CUDA does not survive one
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self.batch, context, initializer=_start, initargs=(self._fitness, self._threads))

    def __call__(
        self, voices: Sequence[Voice], gate: Gate | Sequence[Gate], cache: UtteranceCache | None = None
    ) -> list[Evaluation]:
        """Evaluates voices in the pool: each process takes the next one when it is free.

        Raises:
            KvwError: processes die whatever they are given.
        """
        found: dict[int, Evaluation] = {}
        jobs = dict(enumerate(zip(voices, gates_for(gate, len(voices)), strict=True)))
        self._evaluate(jobs, found, cache)
        for number, job in jobs.items():
            for _ in range(MOST_DEATHS):  # without company it is known who ends a process
                if number not in found:
                    self._evaluate({number: job}, found, cache)
            if not (found or self._works):  # is it this voice that ends them, or would any?
                self._evaluate({n: later for n, later in jobs.items() if n > number}, found, cache)
            self._works = self._works or bool(found)
            if not self._works:
                raise KvwError(
                    "executor=processes: every worker process died, for want of memory perhaps; "
                    "use fewer executor.workers, or executor=local to see its error"
                )
            if number not in found:
                found[number] = crashed(MOST_DEATHS)
        return [found[number] for number in range(len(voices))]

    def _evaluate(
        self, jobs: Mapping[int, tuple[Voice, Gate]], found: dict[int, Evaluation], cache: UtteranceCache | None
    ) -> None:
        """Adds the evaluations of ``jobs`` to ``found``, but of jobs that were at work when a process died."""
        try:
            begun = {}
            for number, (voice, gate) in jobs.items():
                known = known_utterances(cache, self._own.listener, self._own.scripts, [voice])
                begun[self._pool.submit(_evaluate, voice, gate, known)] = number
            for future in as_completed(begun):
                evaluation, utterances = future.result()
                if cache is not None and utterances:
                    cache.put(utterances)
                found[begun[future]] = evaluation
        except BrokenProcessPool:
            log.warning("A worker process died, for want of memory perhaps; another takes its place")
            self._pool.shutdown(cancel_futures=True)
            self._pool = self._start()

    def close(self) -> None:
        """Ends the processes, also those at work: nobody waits for what they find."""
        for process in list((self._pool._processes or {}).values()):  # Python 3.14 has terminate_workers for it
            process.terminate()
        self._pool.shutdown(cancel_futures=True)

"""``executor=local``: evaluates in the driver, beside processes that measure what has been spoken."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Sequence

from kvw.evaluation import Evaluation, Gate, UtteranceCache
from kvw.executors.base import evaluated
from kvw.fitness.background import Scorers
from kvw.fitness.hybrid import HybridFitness
from kvw.runtime.environment import usable_cpus
from kvw.runtime.workers import limit_threads
from kvw.types import Voice

log = logging.getLogger(__name__)


class LocalExecutor:
    """Evaluates in this process, beside which others measure what it has spoken.

    They are spawned: a script of one's own calls this below ``if __name__ == "__main__"``, or with ``scorers=0``.

    Args:
        fitness: makes the fitness.
        threads: CPU threads of an evaluation, 1 or more.
        scorers: processes that measure, 0 or more; None is :func:`spare_processes`.

    Raises:
        KvwError: fewer than one thread.
        ValueError: fewer than no scorers.
    """

    def __init__(self, *, fitness: Callable[[], HybridFitness], threads: int = 1, scorers: int | None = None) -> None:
        if scorers is not None and scorers < 0:
            raise ValueError(f"executor.scorers: expected 0 or more, or null; got {scorers}")
        limit_threads(threads)
        self._fitness = fitness()
        listener = self._fitness.listener
        count = spare_processes(listener.encoder.device.type, threads) if scorers is None else scorers
        self.batch = listener.synthesizer.batch
        listener.scorers = Scorers(count, self._fitness.measures, threads)

    def __call__(
        self, voices: Sequence[Voice], gate: Gate | Sequence[Gate], cache: UtteranceCache | None = None
    ) -> list[Evaluation]:
        """As :class:`kvw.evaluation.Executor`."""
        return evaluated(self._fitness, voices, gate, cache)

    def close(self) -> None:
        """Ends the processes that measure."""
        self._fitness.listener.scorers.close()


def spare_processes(device: str, threads: int) -> int:
    """How many processes can measure beside one that speaks on a device of type ``device``, with ``threads`` each.

    On a CPU they share its cores with it, and one keeps up; other devices outrun several. None in a process that is a
    worker itself: the other cores are its siblings'.
    """
    free = 0 if multiprocessing.parent_process() else usable_cpus() // threads - 1
    return max(0, min(free, 1 if device == "cpu" else 8))

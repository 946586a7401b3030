"""What runs on the machines of a cluster: one worker of :mod:`kvw.executors.ray_executor`, with models of its own.

It is imported before anybody knows whether that machine has what it takes, so it imports nothing that takes time.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kvw.errors import KvwError
from kvw.runtime.environment import comparable
from kvw.types import VOICE_SHAPE

if TYPE_CHECKING:
    from kvw.evaluation import Evaluation, Gate, Utterance
    from kvw.fitness.hybrid import HybridFitness


class RayWorker:
    """A worker: a process on some machine."""

    def place(self, wanted: Mapping[str, str]) -> None:
        """Answers as soon as the process runs.

        Args:
            wanted: versions that the driver has.

        Raises:
            KvwError: this machine has others.
        """
        here = comparable()
        if wrong := [f"{name} {here[name]}, the driver {wanted[name]}" for name in here if here[name] != wanted[name]]:
            raise KvwError(
                f"executor: expected the driver's versions on node {socket.gethostname()}; it has {'; '.join(wrong)}; "
                "install the same there, or give executor.runtime_env"
            )

    def prepare(
        self,
        make: Callable[[], HybridFitness],
        threads: int,
        scorers: int,
        driver: str,
        rows: Sequence[int],
    ) -> dict[str, str]:
        """Loads the models.

        Args:
            make: makes the fitness.
            threads: of an evaluation.
            scorers: processes that measure beside this one.
            driver: ``identity_on_device`` of the driver's :class:`kvw.fitness.listener.Listener`.
            rows: of a voice, in [0, 509], that arrive in :meth:`evaluate`.

        Returns:
            The fingerprint of this process.

        Raises:
            KvwError: the synthesiser is another than the driver's.
        """
        from kvw.fitness.background import Scorers
        from kvw.runtime.environment import fingerprint
        from kvw.runtime.workers import limit_threads

        logging.getLogger("kvw").addHandler(logging.NullHandler())  # the driver says it all
        limit_threads(threads)
        self._fitness, self._rows = make(), list(rows)
        listener = self._fitness.listener
        if listener.identity_on_device != driver:
            raise KvwError(
                f"executor: expected the driver's synthesiser, {driver}, on node {socket.gethostname()}; it has "
                f"{listener.identity_on_device}; bring the same weights there"
            )
        listener.scorers = Scorers(scorers, self._fitness.measures, threads)
        return fingerprint(listener.encoder.device.type, listener.synthesizer.batch, ())

    def evaluate(
        self, heard: NDArray[np.float32], gates: Sequence[Gate], known: Mapping[str, Utterance]
    ) -> tuple[list[Evaluation], dict[str, Utterance]]:
        """Evaluates voices.

        Args:
            heard: their rows that are heard, float32 ``(voices, rows, 256)``.
            gates: one for each.
            known: the utterances of these voices that the driver's cache has, by key.

        Returns:
            As :func:`kvw.executors.base.evaluate_with`.
        """
        from kvw.executors.base import evaluate_with

        voices = np.zeros((len(heard), *VOICE_SHAPE), np.float32)
        voices[:, self._rows, 0] = heard
        return evaluate_with(self._fitness, list(voices), gates, known)

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
        self, make: Callable[[], HybridFitness], threads: int, scorers: int, speaker: str, rows: Sequence[int]
    ) -> dict[str, str]:
        """Loads the models.

        Args:
            make: makes the fitness.
            threads: of an evaluation.
            scorers: processes that measure beside this one.
            speaker: of the driver's ear; see :class:`kvw.fitness.listener.Listener`.
            rows: of a voice, in [0, 509], that arrive in :meth:`evaluate`.

        Returns:
            The fingerprint of this process.

        Raises:
            KvwError: the synthesiser is another than the driver's.
        """
        from kvw.fitness import acoustics
        from kvw.fitness.background import Scorers
        from kvw.runtime.environment import fingerprint
        from kvw.runtime.workers import limit_threads

        logging.getLogger("kvw").addHandler(logging.NullHandler())  # the driver says it all
        limit_threads(threads)
        self._fitness, self._rows = make(), list(rows)
        ear = self._fitness.ear
        if ear.speaker != speaker:
            raise KvwError(
                f"executor: expected the driver's synthesiser, {speaker}, on node {socket.gethostname()}; it has "
                f"{ear.speaker}; bring the same weights there"
            )
        ear.scorers = Scorers(scorers, (ear.encoder.measure, acoustics.statistics), threads)
        return fingerprint(ear.encoder.device.type, ear.synthesizer.batch, ())

    def evaluate(
        self, heard: NDArray[np.float32], gates: Sequence[Gate], known: Mapping[str, Utterance]
    ) -> tuple[list[Evaluation], dict[str, Utterance]]:
        """Evaluates voices.

        Args:
            heard: their rows that are heard, float32 ``(voices, rows, 256)``.
            gates: one for each.
            known: what is remembered of them.

        Returns:
            One evaluation a voice, in order; and what was measured anew.
        """
        from kvw.fitness.utterances import DictCache

        voices = np.zeros((len(heard), *VOICE_SHAPE), np.float32)
        voices[:, self._rows, 0] = heard
        notes = DictCache(known)
        self._fitness.ear.memory = notes
        evaluations = self._fitness(list(voices), gates)
        return evaluations, {key: one for key, one in notes.items() if one is not known.get(key)}

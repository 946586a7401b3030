"""What the search and the fitness exchange: gates go in, evaluations come out, utterances are cached between them.

The two rooms import this module and not each other. Everything here is plain data, which travels to workers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kvw.types import Embedding, Voice


@dataclass(frozen=True)
class Evaluation:
    """What the fitness found out about one voice.

    Attributes:
        status: ``complete``; ``stopped`` (a gate ended it early); ``gradient`` (nothing but a gradient was asked for);
            else the name of a failure, such as ``silent``.
        score: [0, 100]; 0 unless complete.
        target_similarity: cosine to the target speaker, in [0, 1]; -1 where the evaluation failed.
        parts: every stage's similarity that was reached, by the stage's name, each in [0, 1].
        synthesised: seconds of audio that were synthesised for it; a gradient counts as the audio that could have been
            evaluated in its time.
        stage: the stage that stopped or failed it; empty when complete.
        detail: what went wrong, for a failure.
        gradient: float32 ``(256,)``, what a :class:`Pullback` asks for; None for an evaluation.
    """

    status: str
    score: float = 0.0
    target_similarity: float = -1.0
    parts: dict[str, float] = field(default_factory=dict)
    synthesised: float = 0.0
    stage: str = ""
    detail: str = ""
    gradient: NDArray[np.float32] | None = field(default=None, compare=False)

    @property
    def complete(self) -> bool:
        """Whether every stage was passed."""
        return self.status == "complete"

    @property
    def failed(self) -> bool:
        """Whether it could not be scored (as opposed to: was stopped, because it scored badly)."""
        return self.status not in ("complete", "stopped", "gradient")


@dataclass(frozen=True)
class Pullback:
    """Asks for a gradient in place of an evaluation. Plain data: it travels to workers.

    The voice speaks one short text, and its speaker embedding is differentiated along a cotangent by an offset that
    moves all rows of the voice together.

    Attributes:
        text: which of the short texts, from 0.
        seed: of the noise, 0 or more.
        cotangent: on the embedding, as many numbers as that has: the gradient is that of their inner product.
    """

    text: int
    seed: int
    cotangent: tuple[float, ...]


@dataclass(frozen=True)
class Gate:
    """What a candidate is compared with while it is being evaluated. Plain data: it travels to workers.

    Attributes:
        score: the reference's score, [0, 100].
        parts: the reference's similarities, each in [0, 1], by the stage's name; one that is missing stops nobody.
        stock: the same of the best stock voice, which is the same for every candidate of a search: what no candidate
            may lose, however slowly its references lose it.
        only: run this stage alone, and stop; ``target`` is for ranking. None runs all.
        pullback: measure this gradient, and no stage; None for an evaluation.
    """

    score: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)
    only: str | None = None
    stock: Mapping[str, float] = field(default_factory=dict)
    pullback: Pullback | None = None


OPEN = Gate()
"""Stops nothing, but for rules without a reference."""


def gates_for(gate: Gate | Sequence[Gate], count: int) -> list[Gate]:
    """The gate of each of ``count`` candidates, of one for all or one for each.

    Raises:
        ValueError: there are gates for another number of candidates.
    """
    gates = [gate] * count if isinstance(gate, Gate) else list(gate)
    if len(gates) != count:
        raise ValueError(f"expected one gate, or one for each of {count} candidates; got {len(gates)}")
    return gates


def harmonic_mean(parts: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """Weighted harmonic mean of similarities in [0, 1], x 100; 0 where one of them is 0 or less.

    What weighs nothing is left out.
    """
    counted = {name: weight for name, weight in weights.items() if weight > 0}
    if any(parts[name] <= 0 for name in counted):
        return 0.0
    return 100 * sum(counted.values()) / sum(weight / parts[name] for name, weight in counted.items())


@dataclass(frozen=True)
class Utterance:
    """The measurements of one voice speaking one text.

    Attributes:
        seconds: of audio.
        status: empty for sound audio, else the name of a failure, such as ``silent``.
        detail: what went wrong, for a failure.
        embedding: of the speaker; None for a failure.
        statistics: acoustic ones, float64 ``(n,)`` (see :mod:`kvw.fitness.acoustics`); None where nobody has measured
            them.
        transcript: the words that Whisper hears; None where nobody has asked it.
        gradient: float32 ``(256,)``, of a :class:`Pullback`; None of an ordinary utterance.
    """

    seconds: float
    status: str = ""
    detail: str = ""
    embedding: Embedding | None = None
    statistics: NDArray[np.float64] | None = None
    transcript: str | None = None
    gradient: NDArray[np.float32] | None = None


class UtteranceCache(Protocol):
    """Utterances that were measured before, by :func:`kvw.fitness.utterances.utterance_key`."""

    def get(self, key: str) -> Utterance | None:
        """The utterance with this key, None where the cache has none."""

    def put(self, utterances: Mapping[str, Utterance]) -> None:
        """Stores all utterances or none; an utterance replaces that with its key, of which less was measured."""


class Executor(Protocol):
    """Evaluates voices.

    A constructor takes, keyword-only, ``fitness`` (a picklable function without arguments that makes the fitness),
    then its own settings.
    """

    batch: int
    """Voices that are evaluated at once: with fewer, part of the executor idles."""

    def __call__(
        self, voices: Sequence[Voice], gate: Gate | Sequence[Gate], cache: UtteranceCache | None = None
    ) -> list[Evaluation]:
        """Evaluates voices.

        Args:
            voices: to evaluate.
            gate: one for all voices, or one for each.
            cache: gives utterances that need not be spoken again, and stores new ones as they are measured; None for no
                cache. It is called in the driver's process alone.

        Returns:
            One evaluation a voice, in order.
        """

    def close(self) -> None:
        """Ends the workers."""

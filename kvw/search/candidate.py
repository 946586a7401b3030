"""A candidate: a genome with its DEAP fitness, and the evaluation that the fitness came from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from deap import base
from numpy.typing import ArrayLike, NDArray

from kvw.evaluation import Evaluation, Pullback
from kvw.types import Genome, Voice


class Score(base.Fitness):  # type: ignore[misc] # deap ships no types
    """A DEAP fitness ``(score, target_similarity)``, both maximised.

    DEAP compares lexicographically, so candidates that were stopped early (score 0) are still ordered among
    themselves by how near to the target they sounded.
    """

    weights = (1.0, 1.0)


class Candidate:
    """A genome that behaves as the sequence of floats which deap.tools and deap.cma work on.

    The class is not made by deap.creator, whose classes do not survive pickling. Slices are copies: with numpy's views,
    DEAP's crossovers (``a[i:j], b[i:j] = b[i:j], a[i:j]``) would make both halves equal.

    Args:
        genome: ``(dim,)``, copied to float64.
        notes: figures that the strategy wants to be shown beside the candidate, such as its mutation strength.
        pullback: asks for a gradient in place of an evaluation, which is then found in ``evaluation.gradient``: such a
            candidate has no score.

    Attributes:
        genome: float64 ``(dim,)``.
        fitness: DEAP's; valid once evaluated.
        evaluation: the source of the fitness; None before.
        notes: as given.
        pullback: as given; not part of a strategy's state.
        voice: the voice that was evaluated, half a megabyte; else None. The loop sets it for the archive, the record
            and the observers, and resets it after each generation: a strategy that keeps candidates keeps no voices.
            The voice is not part of a strategy's state.
    """

    __slots__ = ("evaluation", "fitness", "genome", "notes", "pullback", "voice")

    def __init__(
        self, genome: ArrayLike, notes: dict[str, float] | None = None, pullback: Pullback | None = None
    ) -> None:
        self.genome: Genome = np.array(genome, dtype=np.float64)
        self.fitness = Score()
        self.evaluation: Evaluation | None = None
        self.notes: dict[str, float] = dict(notes or {})
        self.pullback = pullback
        self.voice: Voice | None = None

    def evaluate(self, evaluation: Evaluation) -> None:
        """Sets the evaluation and the fitness."""
        self.evaluation = evaluation
        self.fitness.values = (evaluation.score, evaluation.target_similarity)

    def __len__(self) -> int:
        return len(self.genome)

    def __iter__(self) -> Iterator[float]:
        return iter(self.genome.tolist())

    def __getitem__(self, index: int | slice) -> Any:
        return self.genome[index].copy() if isinstance(index, slice) else float(self.genome[index])

    def __setitem__(self, index: int | slice, value: float | Sequence[float] | Genome) -> None:
        self.genome[index] = value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.genome, dtype=dtype)

    def __repr__(self) -> str:
        return f"Candidate(dim={len(self)}, fitness={self.fitness.values})"

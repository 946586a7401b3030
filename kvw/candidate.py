"""What evolves: a genome with its DEAP fitness, and the evaluation that the fitness came from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from deap import base
from numpy.typing import ArrayLike, NDArray

from kvw.types import Genome


class Score(base.Fitness):  # type: ignore[misc] # deap ships no types
    """A DEAP fitness ``(score, target_similarity)``, both maximised.

    DEAP compares lexicographically, so candidates that were stopped early (score 0) are still ordered among
    themselves by how near to the target they sounded.
    """

    weights = (1.0, 1.0)


@dataclass(frozen=True)
class Evaluation:
    """What the fitness found out about one voice.

    Attributes:
        status: ``complete``; ``stopped`` (a gate ended it early); else the name of a failure, such as ``silent``.
        score: [0, 100]; 0 unless complete.
        target_similarity: cosine to the target speaker, in [0, 1]; -1 where the evaluation failed.
        parts: every stage's similarity that was reached, by the stage's name, each in [0, 1].
        synthesised: seconds of audio that were synthesised for it.
        stage: the stage that stopped or failed it; empty when complete.
        detail: what went wrong, for a failure.
    """

    status: str
    score: float = 0.0
    target_similarity: float = -1.0
    parts: dict[str, float] = field(default_factory=dict)
    synthesised: float = 0.0
    stage: str = ""
    detail: str = ""

    @property
    def complete(self) -> bool:
        """Whether every stage was passed."""
        return self.status == "complete"

    @property
    def failed(self) -> bool:
        """Whether it could not be scored (as opposed to: was stopped, because it scored badly)."""
        return self.status not in ("complete", "stopped")


class Candidate:
    """A genome that behaves as the sequence of floats which deap.tools and deap.cma work on.

    A class of its own and not deap.creator's: those do not survive pickling, and slices of a numpy array are views,
    which DEAP's crossovers (``a[i:j], b[i:j] = b[i:j], a[i:j]``) would turn into two equal halves. Slices here are
    copies.

    Args:
        genome: ``(dim,)``, copied to float64.
        notes: figures that the strategy wants to be shown beside the candidate, such as its mutation strength.

    Attributes:
        genome: float64 ``(dim,)``.
        fitness: DEAP's; valid once evaluated.
        evaluation: what the fitness came from; None before.
        notes: see above.
    """

    __slots__ = ("evaluation", "fitness", "genome", "notes")

    def __init__(self, genome: ArrayLike, notes: dict[str, float] | None = None) -> None:
        self.genome: Genome = np.array(genome, dtype=np.float64)
        self.fitness = Score()
        self.evaluation: Evaluation | None = None
        self.notes: dict[str, float] = dict(notes or {})

    def evaluate(self, evaluation: Evaluation) -> None:
        """Takes its evaluation, and the fitness from it."""
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

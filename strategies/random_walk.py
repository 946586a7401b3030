"""The documents' random walk: mutate the current voice, keep the mutant if it scores better.

Source: KVoiceWalk's ``random_walk`` and ``generate_voice``. The walk starts at the space's origin, which is
``starting_voice`` or the mean of the top ``population_limit`` stock voices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kvw.candidate import Candidate, Evaluation
from kvw.space import Space
from kvw.types import KvwError


class RandomWalk:
    """One candidate a step: noise x the top voices' standard deviation x a factor drawn for each step.

    Args:
        space: where to walk; its scale is that standard deviation.
        seeds: the top stock voices, for ``clip``.
        rng: the only source of randomness.
        diversity: the range ``[low, high]``, both positive, that a step's factor is drawn from.
        clip: keep every gene between the smallest and the largest of the seeds.

    Raises:
        KvwError: ``diversity`` is not two numbers ``0 < low <= high``.
    """

    def __init__(
        self,
        *,
        space: Space,
        seeds: Sequence[Candidate],
        rng: np.random.Generator,
        diversity: Sequence[float] = (0.01, 0.15),
        clip: bool = False,
    ) -> None:
        try:
            low, high = (float(bound) for bound in diversity)
        except (TypeError, ValueError):
            low = high = 0.0
        if not 0 < low <= high < np.inf:
            raise KvwError(
                f"strategy.diversity: expected two numbers 0 < low <= high, such as [0.01,0.15]; got {diversity!r}"
            )
        self.diversity = (low, high)
        self.space = space
        self.rng = rng
        genomes = [seed.genome for seed in seeds]
        self.bounds = (np.min(genomes, axis=0), np.max(genomes, axis=0)) if clip else None
        self.current: Candidate | None = None

    def reference(self) -> Candidate | None:
        """The current voice: a candidate is stopped early by comparison with it."""
        return self.current

    def generate(self) -> list[Candidate]:
        """The start, then one mutant of the current voice."""
        if self.current is None:
            return [Candidate(self.space.origin)]
        factor = self.rng.uniform(*self.diversity)
        genome = self.current.genome + self.rng.standard_normal(self.space.dim) * self.space.scale * factor
        if self.bounds:
            genome = genome.clip(*self.bounds)
        return [Candidate(genome, notes={"Diversity": factor})]

    def update(self, population: list[Candidate]) -> None:
        """Accepts the mutant if its score is higher."""
        (candidate,) = population
        if self.current is None or candidate.fitness.values[0] > self.current.fitness.values[0]:
            self.current = candidate

    def state_dict(self) -> dict[str, Any]:
        """The current voice and its evaluation."""
        if self.current is None or self.current.evaluation is None:
            return {}
        return {"genome": self.current.genome.copy(), "evaluation": vars(self.current.evaluation).copy()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up the current voice of another walk."""
        self.current = None
        if state:
            self.current = Candidate(state["genome"])
            self.current.evaluate(Evaluation(**state["evaluation"]))

"""KVoiceWalk's random walk: mutate the current voice, keep the mutant if it scores better.

Source: KVoiceWalk's ``random_walk`` and ``generate_voice``. The walk starts at the space's origin, which is
``starting_voice`` or the mean of the top ``population_limit`` stock voices.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kvw import Candidate, Space
from kvw.errors import KvwError


class RandomWalk:
    """Proposes mutants of the current voice: noise x the top voices' standard deviation x a random factor.

    Args:
        space: where to walk; its scale is that standard deviation.
        seeds: the top stock voices, for ``clip``.
        rng: the only source of randomness.
        diversity: the range ``[low, high]``, both positive, that a step's factor is drawn from.
        clip: keep every gene between the smallest and the largest of the seeds.
        batch: mutants of a step, the best of which may be accepted, 1 or more.
        half_life: candidates after which the range has halved, above 0; null keeps it as it is.

    Raises:
        KvwError: ``diversity`` is not two numbers ``0 < low <= high``.
        ValueError: another setting is out of its range.
    """

    def __init__(
        self,
        *,
        space: Space,
        seeds: Sequence[Candidate],
        rng: np.random.Generator,
        diversity: Sequence[float] = (0.01, 0.15),
        clip: bool = False,
        batch: int = 1,
        half_life: float | None = None,
    ) -> None:
        try:
            low, high = (float(bound) for bound in diversity)
        except (TypeError, ValueError):
            low = high = 0.0
        if not 0 < low <= high < np.inf:
            raise KvwError(
                f"strategy.diversity: expected two numbers 0 < low <= high, such as [0.01,0.15]; got {diversity!r}"
            )
        if batch < 1 or (half_life is not None and not half_life > 0):
            raise ValueError(f"expected batch of 1 or more and half_life above 0; got {batch} and {half_life}")
        self._space, self._rng = space, rng
        self._diversity, self._batch, self._half_life = (low, high), batch, half_life
        genomes = [seed.genome for seed in seeds]
        self._bounds = (np.min(genomes, axis=0), np.max(genomes, axis=0)) if clip else None
        self.current: Candidate | None = None
        self.steps = 0

    def reference(self) -> Candidate | None:
        """The current voice: a candidate is stopped early by comparison with it."""
        return self.current

    def generate(self) -> list[Candidate]:
        """The start, then mutants of the current voice."""
        return [Candidate(self._space.origin)] if self.current is None else [self._mutant() for _ in range(self._batch)]

    def _mutant(self) -> Candidate:
        assert self.current is not None
        factor = self._rng.uniform(*self._diversity)
        if self._half_life:
            factor *= 0.5 ** (self.steps / self._half_life)
        genome = self.current.genome + self._rng.standard_normal(self._space.dim) * self._space.scale * factor
        if self._bounds:
            genome = genome.clip(*self._bounds)
        return Candidate(genome, notes={"Diversity": factor})

    def update(self, population: list[Candidate]) -> None:
        """Accepts the best mutant if its score is higher."""
        self.steps += len(population)
        best = max(population, key=lambda candidate: candidate.fitness)
        self.receive(best)

    def receive(self, candidate: Candidate) -> None:
        """Makes ``candidate`` the current voice if its score is higher."""
        if self.current is None or candidate.fitness.values[0] > self.current.fitness.values[0]:
            self.current = candidate

"""Differential evolution: a candidate moves along differences between others, and gives way only to a better child.

Source: Storn & Price 1997; ``current_to_best`` after Zhang & Sanderson 2009 (JADE).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kvw import Candidate, Space
from kvw.search.operators import founders, one_of, replace_worst


class Differential:
    """DE/``scheme``/1/bin on a population that starts as the seeds and blends of them.

    Args:
        space: where to search.
        seeds: the best stock voices.
        rng: the only source of randomness.
        scheme: where a difference is added: ``rand``, to a random candidate; ``best``, to the best one;
            ``current_to_best``, to the candidate itself, moved towards one of the best fifth.
        size: of the population, 5 or more.
        factor: of a difference, (0, 2].
        crossover: probability that a gene is taken from the mutant, (0, 1].

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(
        self,
        *,
        space: Space,
        seeds: Sequence[Candidate],
        rng: np.random.Generator,
        scheme: str = "current_to_best",
        size: int = 16,
        factor: float = 0.6,
        crossover: float = 0.7,
    ) -> None:
        one_of("scheme", scheme, ("rand", "best", "current_to_best"))
        if not (size >= 5 and 0 < factor <= 2 and 0 < crossover <= 1):
            raise ValueError(
                "expected size of 5 or more, factor in (0, 2] and crossover in (0, 1]; "
                f"got {size}, {factor} and {crossover}"
            )
        self._space, self._seeds, self._rng = space, list(seeds), rng
        self._scheme, self._size, self._factor, self._crossover = scheme, size, factor, crossover
        self.population: list[Candidate] = []

    def generate(self) -> list[Candidate]:
        """First the population, then a child of each candidate."""
        if not self.population:
            return founders(self._space, self._seeds, self._seeds, self._size, self._rng)
        ranked = sorted(self.population, key=lambda candidate: candidate.fitness, reverse=True)
        return [self._child(number, ranked) for number in range(self._size)]

    def _child(self, number: int, ranked: Sequence[Candidate]) -> Candidate:
        others = [other for other in range(self._size) if other != number]
        first, second, third = (self.population[k].genome for k in self._rng.choice(others, 3, replace=False))
        parent = self.population[number].genome
        if self._scheme == "rand":
            start = third
        elif self._scheme == "best":
            start = ranked[0].genome
        else:
            leader = ranked[int(self._rng.integers(max(1, self._size // 5)))].genome
            start = parent + self._factor * (leader - parent)
        taken = self._rng.random(self._space.dim) < self._crossover
        taken[self._rng.integers(self._space.dim)] = True
        return Candidate(np.where(taken, start + self._factor * (first - second), parent))

    def update(self, population: list[Candidate]) -> None:
        """A child takes its parent's place if it is better."""
        parents = self.population or population
        pairs = zip(parents, population, strict=True)
        self.population = [max(pair, key=lambda candidate: candidate.fitness) for pair in pairs]

    def receive(self, candidate: Candidate) -> None:
        """Replaces the worst candidate, if ``candidate`` is better."""
        replace_worst(self.population, candidate)

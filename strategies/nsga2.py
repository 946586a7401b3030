"""NSGA-II: target, self and feature similarity as three objectives; its front is saved, and the user picks by ear.

Source: Deb et al. 2002, in DEAP's implementation. There is no gate: a candidate far from the target may be the
most stable one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from deap import base, tools

from kvw import Candidate, Space
from kvw.search.operators import Crossover, Mutation, founders, offspring
from kvw.search.strategy import deap_random


class Objectives(base.Fitness):  # type: ignore[misc] # deap ships no types
    """Target, self and feature similarity, all maximised."""

    weights = (1.0, 1.0, 1.0)


class NSGA2:
    """A population that approaches the Pareto front.

    Args:
        space: where to search.
        seeds: the best stock voices.
        rng: the only source of randomness.
        crossover: makes children.
        mutation: varies them.
        size: of the population, a multiple of 4.

    Raises:
        ValueError: ``size`` is not a multiple of 4.
    """

    def __init__(
        self,
        *,
        space: Space,
        seeds: Sequence[Candidate],
        rng: np.random.Generator,
        crossover: Crossover = Crossover(),  # noqa: B008 - frozen
        mutation: Mutation = Mutation(),  # noqa: B008
        size: int = 24,
    ) -> None:
        if size < 4 or size % 4:
            raise ValueError(f"size: expected a multiple of 4; got {size}")
        self._space, self._seeds, self._rng = space, list(seeds), rng
        self._cross, self._mutate, self._size = crossover, mutation, size
        self.population: list[Candidate] = []

    def reference(self) -> None:
        """None: there is no gate."""

    def generate(self) -> list[Candidate]:
        """First the population, then ``size`` children."""
        if not self.population:
            return founders(self._space, self._seeds, self._seeds, self._size, self._rng)
        ranked = self._survivors(self.population)  # assigns the crowding that the tournament compares
        with deap_random(self._rng):
            parents = tools.selTournamentDCD(ranked, self._size)
        return offspring(parents, self._cross, self._mutate, self._space, self._rng)

    def update(self, population: list[Candidate]) -> None:
        """The best ``size`` of parents and children, by front and by crowding."""
        self.population = self._survivors(self.population + list(population))

    def receive(self, candidate: Candidate) -> None:
        """Adds ``candidate`` to the population, which keeps its size."""
        self.population = self._survivors([*self.population, candidate])

    def _survivors(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        chosen: list[Candidate] = tools.selNSGA2([judged(candidate) for candidate in candidates], self._size)
        return chosen

    def keep(self) -> dict[str, list[Candidate]]:
        """The first front, the best target similarity first."""
        found = [judged(candidate) for candidate in self.population]
        complete = [candidate for candidate in found if candidate.evaluation and candidate.evaluation.complete]
        front = tools.sortNondominated(complete, len(complete), first_front_only=True)[0] if complete else []
        return {"front": sorted(front, key=lambda candidate: -candidate.fitness.values[0])}


def judged(candidate: Candidate) -> Candidate:
    """A copy of an evaluated candidate with its three objectives as its fitness."""
    assert candidate.evaluation is not None
    twin = Candidate(candidate.genome, candidate.notes)
    twin.evaluation = candidate.evaluation
    parts = {} if candidate.evaluation.failed else candidate.evaluation.parts
    twin.fitness = Objectives([parts.get(name, -1.0) for name in ("target", "self", "feature")])
    return twin

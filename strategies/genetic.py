"""A genetic algorithm: select parents, cross them, mutate the children, keep the elite.

Source: DEAP's ``eaSimple`` with elitism and random immigrants (Grefenstette 1992); the operators are
:mod:`kvw.search.operators`'s.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from deap import tools

from kvw import Candidate, Space
from kvw.search.operators import Crossover, Mutation, Selection, founders, newcomers, offspring, replace_worst


class Genetic:
    """A population that starts as the seeds, blends of them and mutants.

    Args:
        space: where to search.
        seeds: the best stock voices.
        rng: the only source of randomness.
        selection: picks the parents.
        crossover: makes children of them.
        mutation: varies the children.
        size: of the population, 2 or more.
        elites: how many of the best complete candidates survive, in [0, size).
        patience: generations without a better candidate before immigrants come, 1 or more.
        immigrants: share of a generation's children that are then newcomers, [0, 1].

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(
        self,
        *,
        space: Space,
        seeds: Sequence[Candidate],
        rng: np.random.Generator,
        selection: Selection = Selection(),  # noqa: B008 - frozen
        crossover: Crossover = Crossover(),  # noqa: B008
        mutation: Mutation = Mutation(),  # noqa: B008
        size: int = 24,
        elites: int = 4,
        patience: int = 5,
        immigrants: float = 0.3,
    ) -> None:
        if not (size >= 2 and 0 <= elites < size and patience >= 1 and 0 <= immigrants <= 1):
            raise ValueError(
                "expected size of 2 or more, elites in [0, size), patience of 1 or more and immigrants in [0, 1]; "
                f"got {size}, {elites}, {patience} and {immigrants}"
            )
        self._space, self._seeds, self._rng = space, list(seeds), rng
        self._select, self._cross, self._mutate = selection, crossover, mutation
        self._size, self._elites, self._patience, self._immigrants = size, elites, patience, immigrants
        self.population: list[Candidate] = [seed for seed in seeds if seed.fitness.valid][:size]
        self.started = False
        self.stalled = 0

    def generate(self) -> list[Candidate]:
        """First the founders of the population, then children."""
        if not self.started:
            unknown = [seed for seed in self._seeds if not seed.fitness.valid]
            missing = self._size - len(self.population)
            if missing:
                return founders(self._space, unknown, self._seeds, missing, self._rng)
            self.started = True
        count = self._size - self._elites
        new = round(count * self._immigrants) if self.stalled >= self._patience else 0
        return newcomers(self._space, self._seeds, new, self._rng) + self._children(count - new)

    def _children(self, count: int) -> list[Candidate]:
        parents = self._select(self.population, count + count % 2, self._rng)
        return offspring(parents, self._cross, self._mutate, self._space, self._rng)[:count]

    def update(self, population: list[Candidate]) -> None:
        """The elite and the children are the next population."""
        before = tools.selBest(self.population, 1) if self.population else []
        best = tools.selBest(self.population, self._elites)
        elite = [candidate for candidate in best if candidate.evaluation.complete]
        self.population = (elite if self.started else self.population) + list(population)
        self.started = True
        better = not before or max(candidate.fitness for candidate in population) > before[0].fitness
        self.stalled = 0 if better or self.stalled >= self._patience else self.stalled + 1

    def receive(self, candidate: Candidate) -> None:
        """Replaces the worst candidate, if ``candidate`` is better."""
        replace_worst(self.population, candidate)

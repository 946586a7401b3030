"""A (1+1) evolution strategy: mutants of the best voice, with longer steps after a success."""

from __future__ import annotations

import numpy as np

from kvw import Candidate, Space


class OneFifth:
    """Steps whose length settles where one of five succeeds.

    Args:
        space: where to search; the first candidate is its origin.
        rng: the only source of randomness.
        sigma: length of the first step in units of ``space.scale``, above 0.

    Raises:
        ValueError: ``sigma`` is not above 0.
    """

    def __init__(self, *, space: Space, rng: np.random.Generator, sigma: float = 0.2) -> None:
        if not sigma > 0:
            raise ValueError(f"sigma: expected a number above 0; got {sigma}")
        self._space, self._rng = space, rng
        self.sigma = sigma
        self.best: Candidate | None = None

    def generate(self) -> list[Candidate]:
        """The start, then one mutant of the best voice."""
        if self.best is None:
            return [Candidate(self._space.origin)]
        step = self._rng.standard_normal(self._space.dim) * self._space.scale * self.sigma
        return [Candidate(self.best.genome + step, notes={"Sigma": self.sigma})]

    def update(self, population: list[Candidate]) -> None:
        """Keeps the mutant if it is better, and adapts the length of steps."""
        (child,) = population
        better = self.best is None or child.fitness > self.best.fitness
        if better:
            self.best = child
        self.sigma *= 1.35 if better else 1.35**-0.25

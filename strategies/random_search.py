"""Random search: independent draws around the start. A baseline that every strategy should beat."""

from __future__ import annotations

import numpy as np

from kvw import Candidate, Space


class RandomSearch:
    """Draws candidates from a normal distribution around the space's origin; the first one is the origin.

    Args:
        space: where to draw.
        rng: the only source of randomness.
        sigma: standard deviation in units of ``space.scale``, above 0.
        batch: candidates of a generation, 1 or more.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(self, *, space: Space, rng: np.random.Generator, sigma: float = 1.0, batch: int = 10) -> None:
        if not 0 < sigma < np.inf or batch < 1:
            raise ValueError(f"expected sigma above 0 and batch of 1 or more; got {sigma} and {batch}")
        self._space, self._rng, self._sigma, self._batch = space, rng, sigma, batch
        self.started = False

    def generate(self) -> list[Candidate]:
        """A batch of draws."""
        noise = self._rng.standard_normal((self._batch, self._space.dim))
        if not self.started:
            noise[0] = 0
        return [Candidate(self._space.origin + draw * self._space.scale * self._sigma) for draw in noise]

    def update(self, population: list[Candidate]) -> None:
        """Learns nothing."""
        self.started = True

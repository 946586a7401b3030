"""CMA-ES: a normal distribution that learns where, how far and along which directions to draw.

Source: Hansen & Ostermeier 2001, in DEAP's implementation; restarts after Auger & Hansen 2005 (IPOP). Genes are
searched in units of ``space.scale``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from deap import cma

from kvw import Candidate, Space
from kvw.errors import KvwError
from kvw.search.operators import likeliest
from kvw.search.state import pack, unpack
from kvw.search.strategy import Predictor, deap_random
from kvw.types import Genome

LARGEST = 1_000
"""Most dimensions; beyond, the covariance matrix costs more than the evaluations."""

LARGEST_GENERATION = 160
"""Most candidates after restarts: a budget is only checked between generations."""


class CMA:
    """CMA-ES with restarts.

    Args:
        space: where to search, of 1,000 dimensions at most.
        seeds: not used.
        rng: the only source of randomness.
        predictor: of an atlas, for ``screen``.
        sigma: first standard deviation in units of ``space.scale``, above 0.
        population: candidates of a generation, 2 or more; null is CMA-ES's default, 4 + 3 log(dimensions).
        patience: generations without a better candidate before a restart around the best one with twice the
            population, 1 or more.
        screen: draws for each candidate, of which those are evaluated that the atlas expects most of, 1 or more; 1
            where there is no atlas.

    Raises:
        ValueError: a setting is out of its range.
        KvwError: the space is too large.
    """

    engine = cma.Strategy
    largest: float = LARGEST

    def __init__(
        self,
        *,
        space: Space,
        seeds: Sequence[Candidate],
        rng: np.random.Generator,
        predictor: Predictor,
        sigma: float = 0.6,
        population: int | None = None,
        patience: int = 20,
        screen: int = 1,
    ) -> None:
        if not (0 < sigma < np.inf and (population is None or population >= 2) and patience >= 1 and screen >= 1):
            raise ValueError(
                "expected sigma above 0, population of 2 or more, patience and screen of 1 or more; "
                f"got {sigma}, {population}, {patience} and {screen}"
            )
        if space.dim > self.largest:
            raise KvwError(
                f"strategy: expected a space of {self.largest} dimensions at most for a full covariance matrix; got "
                f"{space.dim}; use strategy=sep_cma, or space=pca"
            )
        self._space, self._rng, self._sigma, self._patience = space, rng, sigma, patience
        self._predictor, self._screen = predictor, screen if screen > 1 and predictor.here else 1
        self._size = population or int(4 + 3 * np.log(space.dim))
        self.best: Candidate | None = None
        self._start(space.origin, self._size)

    def _start(self, genome: Genome, size: int) -> None:
        centroid = (genome - self._space.origin) / self._space.scale
        self._cma = self.engine(centroid, self._sigma, lambda_=size)
        self.stalled = 0

    def generate(self) -> list[Candidate]:
        """The mean of the distribution, and draws from it.

        In many dimensions the mean is better than nearly every draw. The update leaves it out, as
        the mean would count as a very short step.
        """
        with deap_random(self._rng):
            drawn = [one for _ in range(self._screen) for one in self._cma.generate(self._candidate)]
        if self._screen > 1:
            drawn = likeliest(drawn, self._cma.lambda_, self._space, self._predictor)
        return [self._candidate(self._cma.centroid), *drawn]

    def _candidate(self, point: Genome) -> Candidate:
        return Candidate(self._space.origin + point * self._space.scale, notes={"Sigma": float(self._cma.sigma)})

    def update(self, population: list[Candidate]) -> None:
        """Moves the distribution towards the better half; restarts it if it has stalled."""
        leader = max(population, key=lambda candidate: candidate.fitness)
        self.stalled += 1
        if self.best is None or leader.fitness > self.best.fitness:
            self.best, self.stalled = leader, 0
        points = []
        for candidate in population[1:]:
            point = Candidate((candidate.genome - self._space.origin) / self._space.scale)
            point.fitness = candidate.fitness
            points.append(point)
        self._cma.update(points)
        if self.stalled >= self._patience or not 1e-6 < self._cma.sigma < 1e3:
            self._start(self.best.genome, min(2 * self._cma.lambda_, LARGEST_GENERATION))

    def receive(self, candidate: Candidate) -> None:
        """The next restart is around ``candidate``, if it is better than the best so far."""
        if self.best is None or candidate.fitness > self.best.fitness:
            self.best = candidate

    def state_dict(self) -> dict[str, Any]:
        """The distribution, the best candidate, and the generations since it was found."""
        return {"cma": pack(vars(self._cma)), "best": pack(self.best), "stalled": self.stalled}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a :meth:`state_dict`."""
        vars(self._cma).update(unpack(state["cma"]))
        self.best, self.stalled = unpack(state["best"]), state["stalled"]

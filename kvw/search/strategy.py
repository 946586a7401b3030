"""What a search strategy is: it proposes candidates and learns from their scores.

A strategy is one file in ``strategies/`` and one YAML in ``conf/strategy/``. ``strategies/random_search.py`` is the
shortest whole example. It imports kvw, numpy and deap, never torch, kokoro or hydra.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np

from kvw.search.candidate import Candidate


class Finished(Exception):
    """Raised by :meth:`Strategy.generate` when there is nothing left to propose; its message is the reason."""


class Strategy(Protocol):
    """DEAP's ask and tell, as ``deap.algorithms.eaGenerateUpdate`` calls them.

    A constructor takes, keyword-only, those that it needs of ``space`` (:class:`kvw.spaces.base.Space`), ``seeds`` (the
    best voices known for the target as candidates, best first; ``seed.fitness.valid`` where the space holds that voice
    exactly, so that its score is known) and ``rng`` (a numpy Generator, the only randomness), then its own settings,
    which it checks.

    A strategy may also have

    - ``reference() -> Candidate | None``: whom the gate compares with, None for no gate. For the others it is the best
      complete candidate since the strategy began. Or ``references(population) -> list[Candidate | None]``, for each.
    - ``total: int``: it proposes so many candidates and no others. They are not counted against ``step_limit``.
    - ``keep() -> dict[str, list[Candidate]]``: what is saved at its end, by folder; a strategy that follows takes them
      as its seeds.
    - ``receive(candidate)``: takes in a complete candidate of its space that it did not propose, after an update:
      ``strategy=islands`` sends it the best of another strategy.
    - ``state_dict()`` and ``load_state_dict(state)``: all that changes during a search, as numpy arrays and JSON
      values. Without them it is every public attribute that holds such values, or candidates: call private
      (``_seeds``) what the constructor makes for good.
    """

    def generate(self) -> list[Candidate]:
        """The candidates of the next generation, at least one.

        Raises:
            Finished: nothing is left to propose.
        """

    def update(self, population: list[Candidate]) -> None:
        """Learns from what :meth:`generate` returned: the same candidates in the same order, now evaluated."""


@contextmanager
def deap_random(rng: np.random.Generator) -> Iterator[None]:
    """Lets DEAP draw from ``rng``: deap.tools draws from ``random`` and deap.cma from ``numpy.random``.

    Within the block both are seeded from ``rng``; behind it they are as before.
    """
    before = random.getstate(), np.random.get_state()  # noqa: NPY002 - deap draws from it
    seed = int(rng.integers(2**32))
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002

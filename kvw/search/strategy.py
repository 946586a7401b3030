"""The contract of strategies, which propose candidates and learn from their scores.

A strategy is one file in ``strategies/`` and one YAML in ``conf/strategy/``. ``strategies/random_search.py`` is the
shortest whole example. A strategy imports kvw, numpy and deap, never torch, kokoro or hydra.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kvw.search.candidate import Candidate
from kvw.types import Embedding, Voice


class Finished(Exception):
    """Raised by :meth:`Strategy.generate` when there is nothing left to propose; its message is the reason."""


class Predictor(Protocol):
    """Predicts voices for the search's target: see :class:`kvw.atlas.predictor.Predictor`."""

    @property
    def here(self) -> bool:
        """Whether there is an atlas to predict by: one that was asked for, or kvw's own of the model."""

    def __call__(self, count: int) -> NDArray[np.float64]:
        """Mean rows of voices that should sound like the target, ``(count, 256)``, the best guess first.

        Raises:
            KvwError: there is no atlas to predict by.
        """

    def likeness(self, styles: NDArray[np.float64]) -> NDArray[np.float64]:
        """The similarity to the target, in [0, 1], that is expected of mean rows, ``(n, 256)``: ``(n,)``.

        Raises:
            KvwError: as above.
        """


class Gradients(Protocol):
    """What a strategy has to know to ask for gradients, by candidates with a :class:`kvw.evaluation.Pullback`."""

    @property
    def target(self) -> Embedding:
        """The target's embedding, a unit vector, ``(256,)`` by Resemblyzer alone.

        As a cotangent it asks for the gradient of the similarity.

        Raises:
            KvwError: the synthesiser or the encoder can't be differentiated.
        """

    @property
    def texts(self) -> int:
        """How many short texts there are."""


FIRST, SECOND, SAME, NEITHER, UNDO = "a", "b", "same", "neither", "undo"
"""What a :class:`Listener` answers: which of two voices is preferred; that they are equally good, or both bad; or that
the last answer is to be given again."""


class Listener(Protocol):
    """Somebody who chooses between two voices."""

    def __call__(self, number: int, first: Voice, second: Voice) -> str:
        """One of :data:`FIRST`, :data:`SECOND`, :data:`SAME`, :data:`NEITHER` and :data:`UNDO`.

        Args:
            number: of the question, from 0; one that was answered before the search resumed has the same answer.
            first: the first voice.
            second: the second voice.

        Raises:
            KvwError: nobody listens.
        """


class Strategy(Protocol):
    """DEAP's ask and tell, as ``deap.algorithms.eaGenerateUpdate`` calls them.

    A constructor takes, keyword-only, what it needs of ``space`` (:class:`kvw.spaces.base.Space`), ``seeds`` (the
    best voices known for the target as candidates, best first; ``seed.fitness.valid`` where the space holds that voice
    exactly, so that its score is known), ``rng`` (a numpy Generator, the only source of randomness),
    ``predictor`` (:class:`Predictor`), ``gradients`` (:class:`Gradients`) and ``listener`` (:class:`Listener`), then
    its own settings, which it checks.

    A strategy may also have

    - ``reference() -> Candidate | None``: the gate's reference, None for no gate; by default the best complete
      candidate since the strategy began. Or ``references(population) -> list[Candidate | None]``, for each.
    - ``total: int``: how many candidates it proposes altogether. They do not count against ``step_limit``.
    - ``most: int``: how many it proposes at most, of those that count: then it ends by itself.
    - ``pullbacks: int``: how many of them ask for a gradient, for estimates of time.
    - ``keep() -> dict[str, list[Candidate]]``: the candidates to be saved at its end, by folder; they are the
      seeds of the next strategy.
    - ``chosen() -> tuple[int, Candidate] | None``: after an update, the candidate that is the search's result whatever
      the scores say, and its place among all that the strategy proposed, from 0.
    - ``receive(candidate)``: called after an update with a complete candidate of its space that it did not propose:
      ``strategy=islands`` sends the best of another strategy.
    - ``state_dict()`` and ``load_state_dict(state)``: all that changes during a search, as numpy arrays and JSON
      values. Without them, the state is every public attribute that holds such values, or candidates: give
      constants a private name (``_seeds``).
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

    Within the block both are seeded from ``rng``; after it they are as before.
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

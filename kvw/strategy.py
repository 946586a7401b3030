"""What a search strategy is: it proposes candidates and learns from their scores.

A strategy is one file in ``strategies/`` and one YAML in ``conf/strategy/``. ``strategies/random_search.py`` is the
shortest whole example. It imports kvw, numpy and deap, never torch, kokoro or hydra.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from kvw.candidate import Candidate, Evaluation


class Finished(Exception):
    """Raised by :meth:`Strategy.generate` when there is nothing left to propose; its message is the reason."""


class Strategy(Protocol):
    """DEAP's ask and tell, as ``deap.algorithms.eaGenerateUpdate`` calls them.

    A constructor takes, keyword-only, those that it needs of ``space`` (:class:`kvw.space.Space`), ``seeds`` (the best
    voices known for the target as candidates, best first; ``seed.fitness.valid`` where the space holds that voice
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


def state_dict(strategy: Strategy) -> dict[str, Any]:
    """All that changes in ``strategy`` during a search, as numpy arrays and JSON values."""
    own = getattr(strategy, "state_dict", None)
    if own:
        given: dict[str, Any] = own()
        return given
    state = {}
    for name, value in vars(strategy).items():
        try:
            if not name.startswith("_"):
                state[name] = pack(value)
        except TypeError:  # space, rng and the like, which the constructor is given again
            continue
    return state


def load_state_dict(strategy: Strategy, state: Mapping[str, Any]) -> None:
    """Lets ``strategy`` go on as the one that gave ``state``."""
    own = getattr(strategy, "load_state_dict", None)
    if own:
        own(state)
    else:
        for name, value in state.items():
            setattr(strategy, name, unpack(value))


PACKED = "kvw.Candidate"
"""Marks a packed candidate."""


def pack(value: Any) -> Any:
    """A copy of ``value`` in which candidates are dicts.

    Raises:
        TypeError: there is something else in it than numbers, text, arrays, lists, tuples, dicts and candidates.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        return value.copy(order="K") if isinstance(value, np.ndarray) else value.item()
    if isinstance(value, Candidate):
        seen = value.evaluation
        return {
            PACKED: {"genome": value.genome.copy(), "notes": dict(value.notes), "evaluation": seen and pack(vars(seen))}
        }
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: pack(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [pack(one) for one in value]
    raise TypeError(f"can't be saved: {type(value).__name__}")


def unpack(value: Any) -> Any:
    """The reverse of :func:`pack`, with lists for tuples."""
    if isinstance(value, list):
        return [unpack(one) for one in value]
    if isinstance(value, np.ndarray):
        return value.copy(order="K")
    if not isinstance(value, dict):
        return value
    if PACKED not in value:
        return {key: unpack(one) for key, one in value.items()}
    packed = value[PACKED]
    candidate = Candidate(packed["genome"], packed["notes"])
    if packed["evaluation"]:
        candidate.evaluate(Evaluation(**unpack(packed["evaluation"])))
    return candidate

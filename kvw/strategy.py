"""What a search strategy is: it proposes candidates and learns from their scores.

A strategy is one file in ``strategies/`` and one YAML in ``conf/strategy/``. ``strategies/random_walk.py`` is the
shortest whole example. It imports kvw, numpy and deap, never torch, kokoro or hydra.
"""

from __future__ import annotations

from typing import Any, Protocol

from kvw.candidate import Candidate


class Finished(Exception):
    """Raised by :meth:`Strategy.generate` when there is nothing left to propose; its message is the reason."""


class Strategy(Protocol):
    """DEAP's ask and tell, as ``deap.algorithms.eaGenerateUpdate`` calls them.

    A constructor takes, keyword-only, ``space`` (:class:`kvw.space.Space`), ``seeds`` (the best stock voices for the
    target as evaluated candidates, best first), ``rng`` (a numpy Generator, the only randomness), then its own
    settings, which it checks. A strategy that defines ``reference() -> Candidate | None`` names the candidate that the
    gate compares with; for the others it is the best complete one so far.
    """

    def generate(self) -> list[Candidate]:
        """The candidates of the next generation, at least one.

        Raises:
            Finished: nothing is left to propose.
        """

    def update(self, population: list[Candidate]) -> None:
        """Learns from what :meth:`generate` returned: the same candidates in the same order, now evaluated."""

    def state_dict(self) -> dict[str, Any]:
        """All that changes during a search, as numpy arrays and JSON values."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up a state that :meth:`state_dict` gave: the strategy then goes on as the one that gave it."""

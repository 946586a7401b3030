"""A listener steers: choices between two voices rank the draws of a CMA-ES, whatever the scores say.

Sources: interactive evolution (Takagi 2001); the strengths of paired comparisons (Bradley & Terry 1952), with a normal
prior around the strength of the voice that a generation began with: one that was heard once is neither infinitely
strong, nor drawn down to where the search began.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kvw import Candidate, Finished, Space
from kvw.search.state import pack, unpack
from kvw.search.strategy import FIRST, NEITHER, SECOND, UNDO, Listener, Predictor
from strategies.sep_cma import SeparableCMA

STATE = ("heard", "places", "parents", "proposed", "choices", "asked", "generation", "before")
"""Attributes in the state, beside the distribution."""


class ByEar:
    """Separable CMA-ES whose candidates are ranked by a listener.

    A generation, the mean of the distribution and draws from it, is a knock-out tournament, whose winner meets the
    voice that was liked best until then. All choices so far give each voice a strength; the draws are ranked by it.

    Args:
        space: where to search.
        seeds: not used.
        rng: the only source of randomness.
        predictor: not used.
        listener: chooses between two voices.
        answers: how many choices are made, 1 or more.
        draws: of a generation, beside its mean, 2 or more.
        sigma: first standard deviation in units of ``space.scale``, above 0.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(
        self,
        *,
        space: Space,
        seeds: Sequence[Candidate],
        rng: np.random.Generator,
        predictor: Predictor,
        listener: Listener,
        answers: int = 60,
        draws: int = 5,
        sigma: float = 0.6,
    ) -> None:
        if answers < 1:
            raise ValueError(f"answers: expected 1 or more; got {answers}")
        self._space, self._listener, self._answers = space, listener, answers
        self._cma = SeparableCMA(space=space, seeds=seeds, rng=rng, predictor=predictor, sigma=sigma, population=draws)
        self.heard: list[Candidate] = []
        self.places: list[int] = []  # of the voices that were heard, among all that were proposed
        self.parents: list[int] = []  # of each, the best one when it was proposed; itself where there was none
        self.proposed = self.asked = 0
        self.choices: list[list[Any]] = []  # the numbers of two voices, the answer, the number of the best until then
        self.generation: dict[str, Any] = {}
        self.before: dict[str, Any] = {}  # the generation before, and the distribution that it was drawn from

    def generate(self) -> list[Candidate]:
        """The mean of the distribution, and draws from it."""
        if len(self.choices) >= self._answers:
            raise Finished(f"{len(self.choices)} choices were made")
        return self._cma.generate()

    def reference(self) -> None:
        """No score stops a voice before it is heard."""

    def update(self, population: list[Candidate]) -> None:
        """Asks the listener, then moves the distribution towards the voices that are preferred."""
        best, numbers, own = self.best, [], [copied(candidate) for candidate in population]
        for candidate in own:
            failed = not candidate.evaluation or candidate.evaluation.failed
            numbers.append(-1 if failed else len(self.heard))
            if not failed:
                self.parents.append(len(self.heard) if best is None else best)
                self.heard.append(candidate)
                self.places.append(self.proposed)
            self.proposed += 1
        self.generation = {"own": own, "numbers": numbers, "best": best, "began": len(self.choices)}
        while len(self.choices) < self._answers and (pair := self._next()):
            voices = [self._space.decode(self.heard[number].genome) for number in pair]
            answer = self._listener(self.asked, *voices)
            self.asked += 1
            if answer != UNDO:
                self.choices.append([*pair, answer, self.best])
            elif len(self.choices) > self.generation["began"]:
                self.choices.pop()
            elif self.before:  # the choice belongs to the generation before, which is ranked again; this one is dropped
                self._cma.load_state_dict(self.before["cma"])
                self.generation, self.before = self.before["generation"], {}
                self.choices.pop()
        strengths = self.strengths()
        for candidate, number in zip(self.generation["own"], self.generation["numbers"], strict=True):
            candidate.fitness.values = (strengths[number] if number >= 0 else -np.inf, 0.0)
        self.before = {"cma": self._cma.state_dict(), "generation": self.generation}
        self._cma.best = None  # each choice changes all strengths: no earlier one compares, and so nothing stalls
        self._cma.update(self.generation["own"])

    def _next(self) -> tuple[int, int] | None:
        """The numbers of the two voices to choose between; None when the generation has been heard."""
        left = deque(number for number in self.generation["numbers"] if number >= 0)
        for first, second, answer, _ in self.choices[self.generation["began"] :]:
            if len(left) == 1:
                return None
            del left[0], left[0]
            left.append(second if answer == SECOND else first)
        if len(left) > 1:
            return left[0], left[1]
        best = self.generation["best"]
        return (best, left[0]) if left and best is not None else None

    def strengths(self) -> NDArray[np.float64]:
        """The strength of each voice that was heard, ``(n,)``: the mode of Bradley and Terry's, by Newton's method.

        "same" is half a win of each; "neither" is a win of the best voice until then over both, too.
        """
        count = len(self.heard)
        games: list[tuple[int, int, float]] = []
        for first, second, answer, best in self.choices:
            games.append((first, second, {FIRST: 1.0, SECOND: 0.0}.get(answer, 0.5)))
            if answer == NEITHER and best is not None:
                games += [(best, other, 1.0) for other in (first, second) if other != best]
        sides = np.zeros((len(games), count))
        for row, (first, second, _) in zip(sides, games, strict=True):
            row[first], row[second] = 1, -1
        own = np.eye(count)
        tree = own - np.where(np.array(self.parents) == np.arange(count), 0, own[:, self.parents]).T
        prior = tree.T @ tree
        won, found = np.array([share for _, _, share in games]), np.zeros(count)
        for _ in range(20):
            chance = 1 / (1 + np.exp(-sides @ found))
            curvature = prior + sides.T @ (sides * (chance * (1 - chance))[:, None])
            found = found + np.linalg.solve(curvature, sides.T @ (won - chance) - prior @ found)
        return found

    @property
    def best(self) -> int | None:
        """The number of the strongest voice of those that were chosen between; None before there is one."""
        known: set[int] = {number for choice in self.choices for number in choice[:2]}
        strengths = self.strengths()
        return max(sorted(known), key=lambda number: float(strengths[number]), default=None)

    def chosen(self) -> tuple[int, Candidate] | None:
        """The voice that the listener likes best, with its place among all that were proposed."""
        best = self.best
        return None if best is None else (self.places[best], self.heard[best])

    def state_dict(self) -> dict[str, Any]:
        """The choices, the voices, the distribution now and before."""
        return {"cma": self._cma.state_dict(), **{name: pack(getattr(self, name)) for name in STATE}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a :meth:`state_dict`."""
        self._cma.load_state_dict(state["cma"])
        for name in STATE:
            setattr(self, name, unpack(state[name]))


def copied(candidate: Candidate) -> Candidate:
    """The candidate without its voice, whose fitness can be set."""
    copy = Candidate(candidate.genome, candidate.notes)
    if candidate.evaluation:
        copy.evaluate(candidate.evaluation)
    return copy

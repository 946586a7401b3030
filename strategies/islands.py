"""Islands: several strategies side by side, each in its own space; the best of each sometimes visits the next.

Source: the island model (Whitley, Rana & Heckendorn 1999), on a ring. Islands can use more machines than one population
needs: a generation holds the candidates of all islands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kvw import Candidate, Finished
from kvw.search.islands import Island, Union
from kvw.search.state import load_state_dict, pack, state_dict, unpack

STATE = ("generations", "finished", "best", "sent", "visitors")
"""Attributes in the state, beside the islands' states."""


class Islands:
    """Joins the generations of all islands into one.

    A visitor is encoded in the space of the island that it visits, perhaps inexactly, evaluated, and then given to that
    island's strategy, if this has ``receive`` (see :class:`kvw.search.strategy.Strategy`).

    Args:
        space: the union of the islands' spaces.
        islands: each with its strategy, at least two.
        exchange: generations between visits, 1 or more; None for none.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(self, *, space: Union, islands: Sequence[Island], exchange: int | None = 5) -> None:
        if len(islands) < 2 or (exchange is not None and exchange < 1):
            raise ValueError(
                f"expected two members at least, and exchange of 1 or more, or null; got {len(islands)} and {exchange}"
            )
        self._space, self._islands, self._exchange = space, islands, exchange
        self.generations = 0
        self.finished: list[str] = [""] * len(islands)
        self.best: list[Candidate | None] = [None] * len(islands)  # of each island, without visitors
        self.sent = [-1.0] * len(islands)  # score of each island's last visitor: none is sent twice
        self.visitors: list[Candidate | None] = [None] * len(islands)
        self._own: list[list[Candidate]] = []  # this generation by island, visitors last

    def generate(self) -> list[Candidate]:
        """The generations of all islands that are not finished, and their visitors."""
        self._own = []
        for number, (island, visitor) in enumerate(zip(self._islands, self.visitors, strict=True)):
            own: list[Candidate] = []
            if not self.finished[number]:
                try:
                    own = island.stage.generate(island.strategy, island.space.dim)
                except Finished as finished:
                    self.finished[number] = f"{island.stage.name}: {finished}"
            self._own.append([*own, visitor] if own and visitor else own)
        if not any(self._own):
            raise Finished("; ".join(self.finished))
        return [
            Candidate(
                self._space.join(number, candidate.genome),
                {**candidate.notes, "Island": number, **({"Visits": 1.0} if candidate is visitor else {})},
                candidate.pullback,
            )
            for number, (own, visitor) in enumerate(zip(self._own, self.visitors, strict=True))
            for candidate in own
        ]

    def references(self, population: Sequence[Candidate]) -> list[Candidate | None]:
        """The reference of each candidate, from its island."""
        found = []
        for island, best, own in zip(self._islands, self.best, self._own, strict=True):
            if each := getattr(island.strategy, "references", None):
                found += island.stage.attempt(each, own)
                continue
            asked = getattr(island.strategy, "reference", None)
            found += [island.stage.attempt(asked) if asked else best] * len(own)
        return found

    def update(self, population: list[Candidate]) -> None:
        """Updates every island with its own candidates; then sends visitors, if it is time."""
        seen = iter(population)
        for number, (island, own) in enumerate(zip(self._islands, self._own, strict=True)):
            for candidate in own:
                evaluation = next(seen).evaluation
                assert evaluation is not None
                candidate.evaluate(evaluation)
            visitor, self.visitors[number] = self.visitors[number], None
            if not own:
                continue
            if visitor:
                own.pop()
            complete = [candidate for candidate in own if candidate.evaluation and candidate.evaluation.complete]
            self.best[number] = max([*filter(None, [self.best[number]]), *complete], key=_fitness, default=None)
            island.stage.attempt(island.strategy.update, own)
            if visitor and visitor.evaluation and visitor.evaluation.complete:
                island.stage.attempt(island.strategy.receive, visitor)  # type: ignore[attr-defined]
        self.generations += 1
        if self._exchange and self.generations % self._exchange == 0:
            self._send()

    def _send(self) -> None:
        """Sends each island's best to the next island, if that takes visitors and has not seen it."""
        count = len(self._islands)
        for number, (island, best) in enumerate(zip(self._islands, self.best, strict=True)):
            goal = (number + 1) % count
            to = self._islands[goal]
            score = best.fitness.values[0] if best else -1.0
            if best and score > self.sent[number] and hasattr(to.strategy, "receive") and not self.finished[goal]:
                self.sent[number] = score
                self.visitors[goal] = Candidate(to.space.encode(island.space.decode(best.genome)))

    def keep(self) -> dict[str, list[Candidate]]:
        """The candidates that the islands keep, by folder."""
        kept = {}
        for number, island in enumerate(self._islands):
            for folder, candidates in island.stage.keep(island.strategy).items():
                kept[f"{island.stage.name}_{folder}"] = [self._joined(number, candidate) for candidate in candidates]
        return kept

    def _joined(self, number: int, candidate: Candidate) -> Candidate:
        assert candidate.evaluation is not None
        joined = Candidate(self._space.join(number, candidate.genome), candidate.notes)
        joined.evaluate(candidate.evaluation)
        return joined

    def state_dict(self) -> dict[str, Any]:
        """The state of all islands, with their generators."""
        return {
            "strategies": [island.stage.attempt(state_dict, island.strategy) for island in self._islands],
            "random": [island.rng.bit_generator.state for island in self._islands],
            **{name: pack(getattr(self, name)) for name in STATE},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a :meth:`state_dict`."""
        for island, own, random in zip(self._islands, state["strategies"], state["random"], strict=True):
            island.stage.attempt(load_state_dict, island.strategy, own)
            island.rng.bit_generator.state = random
        for name in STATE:
            setattr(self, name, unpack(state[name]))


def _fitness(candidate: Candidate) -> Any:
    return candidate.fitness

"""A chain of stages: one strategy in one space after the other, as if they were a single strategy.

Most searches are a chain of one. Here is also where a strategy's side of the contract is checked, so that a plugin
which breaks it is named in one line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kvw.search.archive import Archive, Entry, entry_of
from kvw.search.candidate import Candidate
from kvw.search.stage import SearchStage
from kvw.search.state import load_state_dict, pack, state_dict, unpack
from kvw.search.strategy import Finished, Strategy
from kvw.spaces.base import Space
from kvw.types import Voice


class Chain:
    """Several stages as one strategy.

    The next stage's space is built from the archive's best voice; its seeds are what the previous strategy kept, else
    the previous stage's seeds.

    Args:
        stages: at least one.
        bank: every stock voice.
        top: the best voices known, best first.
        base: the voice to start from.
        rng: the random generator of every strategy.
        archive: the search's.
        began: called as a stage begins or resumes, with the stage and how many of its candidates are to come, None if
            unknown.
        ended: called as a stage ends, with the stage, the reason, and the entries that its strategy kept.
        state: of a chain of the same stages, bank and top, to resume from; rng and archive are not part of it.

    Attributes:
        space: the current stage's.
        strategy: the current stage's.
        uncounted: candidates so far that do not count against the search's ``step_limit``.
        entered: the step at which the current stage began.
    """

    space: Space
    strategy: Strategy

    def __init__(
        self,
        stages: Sequence[SearchStage],
        *,
        bank: Sequence[Voice],
        top: Sequence[Entry],
        base: Voice,
        rng: np.random.Generator,
        archive: Archive,
        began: Callable[[SearchStage, int | None], None],
        ended: Callable[[SearchStage, str, Mapping[str, list[Entry]]], None],
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self._stages, self._bank, self._rng, self._archive = stages, bank, rng, archive
        self._began, self._ended, self._first = began, ended, top
        self.uncounted = 0
        if state:
            self._load(state)
        else:
            self._enter(0, top, base, archive.steps)

    def _enter(self, number: int, top: Sequence[Entry], base: Voice, entered: int) -> None:
        self._number, self._top, self._base, self.entered = number, top, base, entered
        self.space, _, self.strategy = self.stage.make(self._bank, top, base, self._rng)
        self._best: Candidate | None = None
        done = self._archive.steps - entered
        self._began(self.stage, None if self.total is None else self.total - done)

    @property
    def stage(self) -> SearchStage:
        """The current stage."""
        return self._stages[self._number]

    @property
    def total(self) -> int | None:
        """How many candidates the current strategy will propose outside ``step_limit``; None if it has no ``total``."""
        return getattr(self.strategy, "total", None)

    def references(self, population: Sequence[Candidate]) -> list[Candidate | None]:
        """The reference of each candidate: the strategy's choice, else this stage's best complete candidate."""
        if each := getattr(self.strategy, "references", None):
            found: list[Candidate | None] = self.stage.attempt(each, population)
            return found
        own = getattr(self.strategy, "reference", None)
        return [self.stage.attempt(own) if own else self._best] * len(population)

    def generate(self) -> list[Candidate]:
        """The next generation, from the next stage if the current one is over.

        Raises:
            Finished: the last stage is over.
            KvwError: a strategy breaks its contract.
        """
        while True:
            limit = self.stage.step_limit
            try:
                if limit is not None and self._archive.steps - self.entered >= limit:
                    raise Finished(f"step_limit {limit} of stage {self.stage.name} reached")
                return self.stage.generate(self.strategy, self.space.dim)
            except Finished as finished:
                if self._number + 1 == len(self._stages):
                    raise
                kept = self.end(str(finished))
                best = self._archive.best
                base = best.voice if best else self._base
                self._archive.settled = False  # the next strategy may find one that scores higher
                self._enter(self._number + 1, kept or self._top, base, self._archive.steps)

    def update(self, population: list[Candidate]) -> None:
        """Lets the strategy learn from an evaluated generation.

        Raises:
            KvwError: the strategy raised an error.
        """
        if self.total is not None:
            self.uncounted += len(population)
        complete = [candidate for candidate in population if candidate.evaluation and candidate.evaluation.complete]
        for candidate in complete:
            if self._best is None or candidate.fitness > self._best.fitness:
                self._best = candidate
        self.stage.attempt(self.strategy.update, population)
        if (choose := getattr(self.strategy, "chosen", None)) and (found := self.stage.attempt(choose)):
            place, candidate = found
            self._archive.choose(self.entered + place, candidate, self.space.decode(candidate.genome))

    def end(self, reason: str) -> list[Entry]:
        """Ends the current stage and reports the voices that its strategy keeps.

        Returns:
            The kept voices, best first.

        Raises:
            KvwError: the strategy's ``keep`` breaks the contract.
        """
        kept = {
            folder: [
                Entry("", self.space.decode(candidate.genome), candidate.evaluation, notes=dict(candidate.notes))
                for candidate in candidates
                if candidate.evaluation
            ]
            for folder, candidates in self.stage.keep(self.strategy).items()
        }
        self._ended(self.stage, reason, kept)
        entries = [entry for folder in kept.values() for entry in folder]
        return sorted(entries, key=lambda entry: -entry.evaluation.score)

    def state_dict(self) -> dict[str, Any]:
        """The current stage, counts, base voice, seeds unless they are the first ones, and the strategy's state."""
        return {
            "stage": self._number,
            "entered": self.entered,
            "uncounted": self.uncounted,
            "base": self._base.copy(),
            "top": None if self._top is self._first else [entry.state_dict() for entry in self._top],
            "best": pack(self._best),
            "strategy": state_dict(self.strategy),
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        top = self._first if state["top"] is None else [entry_of(entry) for entry in state["top"]]
        self._enter(state["stage"], top, state["base"], state["entered"])
        self.uncounted = state["uncounted"]
        self._best = unpack(state["best"])
        self.stage.attempt(load_state_dict, self.strategy, state["strategy"])

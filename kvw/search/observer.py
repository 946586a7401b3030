"""What a search talks to: observers that watch it, and the record that it resumes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from kvw.search.archive import Archive, Entry
from kvw.search.candidate import Candidate
from kvw.search.stage import SearchStage
from kvw.types import Voice


class Observer:
    """Watches a search, as store, saved improvements and progress do; a method that is not overridden does nothing."""

    def ranking(self, done: int, total: int) -> None:
        """``done`` of ``total`` evaluations of the ranking are there."""

    def ranked(self, ranking: Sequence[Entry], top: Sequence[Entry]) -> None:
        """The bank has been ranked: every stock voice by target similarity, and the complete top ones by score."""

    def resumed(self, archive: Archive, uncounted: int) -> None:
        """The search goes on behind ``archive.steps`` candidates, ``uncounted`` of which count against no limit."""

    def began(self, stage: SearchStage, total: int | None) -> None:
        """A stage begins or goes on; ``total`` candidates, if that is given, are to come that no limit counts."""

    def __call__(self, generation: int, population: Sequence[Candidate], archive: Archive) -> None:
        """A generation has been evaluated and learnt from."""

    def ended(self, stage: SearchStage, reason: str, kept: Mapping[str, Sequence[Entry]]) -> None:
        """A stage has ended; ``kept`` are the voices that its strategy wants to be saved, by folder."""


class Record(Protocol):
    """What a search goes on from after it was stopped, however that was."""

    def known_ranking(self, bank: Mapping[str, Voice]) -> tuple[list[Entry], list[Entry]] | None:
        """The ranking of ``bank`` and its top as the search began with them; None if they are not known to be that."""

    def latest(self) -> Mapping[str, Any] | None:
        """The state that was committed last, None if there is none."""

    def commit(self, generation: int, population: Sequence[Candidate], archive: Archive, state: dict[str, Any]) -> None:
        """Takes in an evaluated generation and the state behind it (numpy arrays and JSON values): both, or neither."""

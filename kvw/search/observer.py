"""Observers, which watch a search, and the record, from which a search resumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from kvw.search.archive import Archive, Entry
from kvw.search.candidate import Candidate
from kvw.search.stage import SearchStage
from kvw.types import Voice


class Observer:
    """Watches a search, to show its progress for example; a method that is not overridden does nothing."""

    def ranking(self, done: int, total: int) -> None:
        """``done`` of ``total`` evaluations of the ranking are done."""

    def ranked(self, ranking: Sequence[Entry], top: Sequence[Entry]) -> None:
        """The bank has been ranked: every stock voice by target similarity, and the complete top ones by score."""

    def resumed(self, archive: Archive, uncounted: int) -> None:
        """The search resumes after ``archive.steps`` candidates, ``uncounted`` of them outside ``step_limit``."""

    def began(self, stage: SearchStage, total: int | None) -> None:
        """A stage begins or resumes; ``total``, if given, counts its candidates to come, outside ``step_limit``."""

    def __call__(self, generation: int, population: Sequence[Candidate], archive: Archive) -> None:
        """A generation is evaluated, and the strategy updated."""

    def ended(self, stage: SearchStage, reason: str, kept: Mapping[str, Sequence[Entry]]) -> None:
        """A stage has ended; ``kept`` are the voices that its strategy wants to be saved, by folder."""


class Record(Protocol):
    """Stores a search, so that it can resume after any interruption."""

    def known_ranking(self, bank: Mapping[str, Voice]) -> tuple[list[Entry], list[Entry]] | None:
        """The ranking of ``bank`` and its top with which the search began; None if the record lacks them."""

    def latest(self) -> Mapping[str, Any] | None:
        """The state that was committed last; None if there is none."""

    def commit(self, generation: int, population: Sequence[Candidate], archive: Archive, state: dict[str, Any]) -> None:
        """Stores an evaluated generation and the state after it (numpy arrays and JSON values): both, or neither."""

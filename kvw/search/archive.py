"""What a search remembers: voices with their evaluations, whatever space they came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kvw.evaluation import Evaluation
from kvw.search.candidate import Candidate
from kvw.search.state import pack, unpack
from kvw.types import Voice


@dataclass(frozen=True)
class Entry:
    """A voice that was evaluated, whatever space it came from.

    Attributes:
        name: of a stock voice; empty for a candidate.
        voice: the tensor.
        evaluation: of exactly this tensor.
        step: the candidate's number, from 0, counted over the search; -1 for a stock voice.
        notes: the strategy's figures for it.
    """

    name: str
    voice: Voice
    evaluation: Evaluation
    step: int = -1
    notes: Mapping[str, float] = field(default_factory=dict)

    def state_dict(self) -> dict[str, Any]:
        """All of it, as numpy arrays and JSON values."""
        return {**vars(self), "evaluation": pack(vars(self.evaluation)), "notes": dict(self.notes)}


def entry_of(state: Mapping[str, Any]) -> Entry:
    """The entry that gave ``state``."""
    return Entry(**{**state, "evaluation": Evaluation(**unpack(state["evaluation"]))})


COUNTS = ("improvements", "steps", "complete", "stopped", "synthesised", "failures")
"""What an archive counts for good."""


class Archive:
    """The candidates of a search that matter, as voices: in DEAP's words its hall of fame.

    It never holds a stock voice, and it holds voices rather than genomes, so that it outlives a space.

    Attributes:
        best: the highest score of a complete candidate, the earliest on a tie.
        improvements: how often ``best`` changed.
        steps: candidates seen.
        complete: candidates that passed every gate.
        stopped: candidates that a gate stopped.
        synthesised: seconds of audio synthesised for all of them.
        failures: how many candidates failed, by status.
        failing: candidates that failed since one did not, or since the search went on.
    """

    def __init__(self, bank: Iterable[Voice] = ()) -> None:
        self._stock = {voice.tobytes() for voice in bank}
        self.best: Entry | None = None
        self.improvements = 0
        self.steps = 0
        self.complete = 0
        self.stopped = 0
        self.synthesised = 0.0
        self.failures: dict[str, int] = {}
        self.failing = 0

    def update(self, population: Iterable[Candidate]) -> None:
        """Takes in an evaluated generation; DEAP calls it before the strategy learns."""
        for step, candidate in enumerate(population, start=self.steps):
            evaluation = candidate.evaluation
            assert evaluation is not None
            self.steps += 1
            self.complete += evaluation.complete
            self.stopped += evaluation.status == "stopped"
            self.synthesised += evaluation.synthesised
            self.failing = self.failing + 1 if evaluation.failed else 0
            if evaluation.failed:
                self.failures[evaluation.status] = self.failures.get(evaluation.status, 0) + 1
            if evaluation.complete and (not self.best or evaluation.score > self.best.evaluation.score):
                assert candidate.voice is not None
                if candidate.voice.tobytes() not in self._stock:
                    self.best = Entry("", candidate.voice, evaluation, step, dict(candidate.notes))
                    self.improvements += 1

    @property
    def failed(self) -> int:
        """Candidates that could not be scored."""
        return sum(self.failures.values())

    def state_dict(self) -> dict[str, Any]:
        """What it remembers, as numpy arrays and JSON values; the bank is not part of it."""
        return {
            "best": self.best and self.best.state_dict(),
            **{name: pack(getattr(self, name)) for name in COUNTS},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up the memory of another one of the same bank."""
        self.best = state["best"] and entry_of(state["best"])
        for name in COUNTS:
            setattr(self, name, unpack(state[name]))

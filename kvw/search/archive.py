"""The archive of a search: its best candidate as a voice, some that were the best before it, and counts."""

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
    """A voice with its evaluation, independent of any space.

    Attributes:
        name: the stock voice's; empty for a candidate.
        voice: the tensor.
        evaluation: that of exactly this tensor.
        step: the candidate's number, from 0, counted over the search; -1 for a stock voice.
        notes: the strategy's figures.
    """

    name: str
    voice: Voice
    evaluation: Evaluation
    step: int = -1
    notes: Mapping[str, float] = field(default_factory=dict)

    def state_dict(self) -> dict[str, Any]:
        """The entry as numpy arrays and JSON values."""
        return {**vars(self), "evaluation": pack(vars(self.evaluation)), "notes": dict(self.notes)}


def entry_of(state: Mapping[str, Any]) -> Entry:
    """Restores an entry from its state."""
    return Entry(**{**state, "evaluation": Evaluation(**unpack(state["evaluation"]))})


MOST_FORMER = 6
"""Voices in :attr:`Archive.former`: each is half a megabyte of every checkpoint."""

COUNTS = ("settled", "improvements", "steps", "complete", "stopped", "synthesised", "failures")
"""Counts in an archive's state."""


class Archive:
    """The best candidate of a search, and counts over all candidates; DEAP calls it a hall of fame.

    It never holds a stock voice. It holds a voice, not a genome, as each stage has its own space.

    Attributes:
        best: the highest score of a complete candidate, the earliest on a tie.
        former: candidates that were the best before it, at most :data:`MOST_FORMER`, the least similar to the target
            first: where the best turns out to be unclear, one of them may be the voice to keep.
        settled: whether ``best`` is what a strategy has chosen, whatever the scores say.
        improvements: how often ``best`` changed.
        steps: candidates seen.
        complete: candidates that passed every gate.
        stopped: candidates that a gate stopped.
        synthesised: seconds of audio synthesised for all candidates.
        failures: how many candidates failed, by status.
        failing: the latest candidates in a row that failed; a resume resets it.
    """

    def __init__(self, bank: Iterable[Voice] = ()) -> None:
        self._stock = {voice.tobytes() for voice in bank}
        self.best: Entry | None = None
        self.former: list[Entry] = []
        self.settled = False
        self.improvements = 0
        self.steps = 0
        self.complete = 0
        self.stopped = 0
        self.synthesised = 0.0
        self.failures: dict[str, int] = {}
        self.failing = 0

    def update(self, population: Iterable[Candidate]) -> None:
        """Adds an evaluated generation; DEAP calls this before the strategy's update."""
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
            better = not self.best or evaluation.score > self.best.evaluation.score
            if evaluation.complete and better and not self.settled:
                assert candidate.voice is not None
                if candidate.voice.tobytes() not in self._stock:
                    if self.best:
                        self._add_former(self.best)
                    self.best = Entry("", candidate.voice, evaluation, step, dict(candidate.notes))
                    self.improvements += 1

    def choose(self, step: int, candidate: Candidate, voice: Voice) -> None:
        """Makes a candidate the best one, whatever the scores say.

        Args:
            step: of the candidate.
            candidate: evaluated.
            voice: its own.
        """
        assert candidate.evaluation is not None
        self.settled = True
        if not self.best or self.best.step != step:
            self.best = Entry("", voice, candidate.evaluation, step, dict(candidate.notes))
            self.improvements += 1

    def _add_former(self, entry: Entry) -> None:
        """Adds a former best; of too many, leaves out whose similarity the others cover best, and never the ends."""
        former = sorted([*self.former, entry], key=lambda one: one.evaluation.target_similarity)
        if len(former) > MOST_FORMER:
            similarities = [one.evaluation.target_similarity for one in former]
            gaps = [after - before for before, after in zip(similarities, similarities[2:], strict=False)]
            del former[1 + gaps.index(min(gaps))]
        self.former = former

    @property
    def gradients(self) -> int:
        """Candidates of which a gradient was measured, and nothing else."""
        return self.steps - self.complete - self.stopped - self.failed

    @property
    def failed(self) -> int:
        """Candidates that could not be scored."""
        return sum(self.failures.values())

    def state_dict(self) -> dict[str, Any]:
        """The entries and the counts, as numpy arrays and JSON values; without the bank."""
        return {
            "best": self.best and self.best.state_dict(),
            "former": [entry.state_dict() for entry in self.former],
            **{name: pack(getattr(self, name)) for name in COUNTS},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores the state of an archive of the same bank."""
        self.best = state["best"] and entry_of(state["best"])
        self.former = [entry_of(entry) for entry in state["former"]]
        for name in COUNTS:
            setattr(self, name, unpack(state[name]))

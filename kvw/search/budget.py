"""When a search stops."""

from __future__ import annotations

from dataclasses import dataclass

from kvw.search.archive import Archive
from kvw.search.chain import Chain


@dataclass
class Budget:
    """When to stop; None is no limit.

    Attributes:
        step_limit: candidates to evaluate after the bank has been ranked.
        minutes: the search's duration, ranking included.
        stop_score: score at which to stop, in (0, 100].
        patience: candidates in a row without a better score.
    """

    step_limit: int = 10_000
    minutes: float | None = None
    stop_score: float | None = None
    patience: int | None = None

    def spent(self, archive: Archive, chain: Chain, seconds: float) -> str:
        """The reason to stop now; empty to continue."""
        if archive.steps - chain.uncounted >= self.step_limit and chain.total is None:
            return f"step_limit {self.step_limit} reached"
        if self.minutes is not None and seconds >= 60 * self.minutes:
            return f"{self.minutes:g} minutes are over"
        if archive.best and self.stop_score is not None and archive.best.evaluation.score >= self.stop_score:
            return f"stop_score {self.stop_score:g} reached"
        latest = max(archive.best.step, chain.entered) if archive.best else 0
        waited = archive.steps - latest if chain.total is None else 0
        if archive.best and self.patience is not None and waited > self.patience:
            return f"no better voice in {self.patience} candidates"
        return ""

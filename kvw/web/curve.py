"""The curve of a search that is at work: read in pieces, and drawn seldom."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from kvw.evaluation import Evaluation
from kvw.reports import figures
from kvw.runs.reader import Run

DRAWN_SECONDS = 10.0
"""Seconds between two drawings of a curve that has not risen: a drawing takes as long as half a candidate."""


@dataclass
class Curve:
    """The best score of a search over its candidates, of those that were read so far.

    Attributes:
        points: of each improvement: the number of candidates by then, and its score.
        best: the evaluation of the best of them; None before one is complete.
        last: step of the last candidate; -1 before there is one.
        seconds: of synthesised audio.
        stopped: candidates that a gate stopped.
        drawn: the last drawing, a PNG; empty before there is one.
        drawn_points: number of ``points`` in that drawing.
        drawn_last: ``last`` at the time of that drawing.
        drawn_at: the time of that drawing, in seconds of the monotonic clock.
    """

    points: list[tuple[int, float]] = field(default_factory=list)
    best: Evaluation | None = None
    last: int = -1
    seconds: float = 0.0
    stopped: int = 0
    drawn: bytes = b""
    drawn_points: int = 0
    drawn_last: int = -1
    drawn_at: float = 0.0

    def read(self, run: Run) -> None:
        """Adds the candidates that were recorded since the last call."""
        for sample in run.candidates(self.last):
            evaluation = sample.evaluation
            self.last = sample.step
            self.seconds += evaluation.synthesised
            self.stopped += evaluation.status == "stopped"
            best = self.points[-1][1] if self.points else 0.0
            if evaluation.complete and evaluation.score > best:
                self.points.append((sample.step + 1, evaluation.score))
                self.best = evaluation

    def draw(self, stock: float | None) -> bytes:
        """The curve as a PNG, drawn anew at an improvement or after :data:`DRAWN_SECONDS`; empty where it has no point.

        Args:
            stock: the best stock voice's score; None before there is one.
        """
        now = time.monotonic()
        late = self.last > self.drawn_last and now - self.drawn_at > DRAWN_SECONDS
        if len(self.points) > self.drawn_points or late:
            self.drawn_points, self.drawn_last, self.drawn_at = len(self.points), self.last, now
            self.drawn = figures.growth(self.points, self.last + 1, stock)
        return self.drawn

"""The curve of a search that goes on, read and drawn a piece at a time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from kvw.reports import figures
from kvw.runs.reader import Run

DRAWN_SECONDS = 10.0
"""Between two drawings of a curve that has not risen: each takes as long as half a candidate."""


@dataclass
class Curve:
    """How the best score of a search grew, as far as it was read.

    Attributes:
        points: of each improvement: candidates by then, and its score.
        last: the last candidate's step; -1 where there is none.
        seconds: of audio that was synthesised.
        stopped: candidates that a gate stopped.
        drawn: a PNG of it as it was with ``drawn_points`` and ``drawn_last``, at ``drawn_at`` by the monotonic clock.
    """

    points: list[tuple[int, float]] = field(default_factory=list)
    last: int = -1
    seconds: float = 0.0
    stopped: int = 0
    drawn: bytes = b""
    drawn_points: int = 0
    drawn_last: int = -1
    drawn_at: float = 0.0

    def read(self, run: Run) -> None:
        """Reads the candidates that came since."""
        for one in run.candidates(self.last):
            seen = one.evaluation
            self.last = one.step
            self.seconds += seen.synthesised
            self.stopped += seen.status == "stopped"
            best = self.points[-1][1] if self.points else 0.0
            if seen.complete and seen.score > best:
                self.points.append((one.step + 1, seen.score))

    def draw(self, stock: float | None) -> bytes:
        """The curve as a PNG, drawn anew at an improvement or after :data:`DRAWN_SECONDS`; empty where there is none.

        Args:
            stock: the best stock voice's score.
        """
        now = time.monotonic()
        late = self.last > self.drawn_last and now - self.drawn_at > DRAWN_SECONDS
        if len(self.points) > self.drawn_points or late:
            self.drawn_points, self.drawn_last, self.drawn_at = len(self.points), self.last, now
            self.drawn = figures.growth(self.points, self.last + 1, stock)
        return self.drawn

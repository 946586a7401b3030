"""What happened in a run, counted and as arrays for figures; and where its voices lie among the stock voices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kvw.runs.reader import Run
from kvw.runs.samples import Sample, Stock
from kvw.spaces.pca import principal


@dataclass
class Tally:
    """The candidates of a run in numbers.

    Attributes:
        steps: candidates.
        generations: of them.
        seconds: of audio.
        complete: candidates that passed every gate.
        stopped: those that a gate stopped, by stage.
        failed: those that could not be scored, by status.
        better: the improvements.
    """

    steps: int = 0
    generations: int = 0
    seconds: float = 0.0
    complete: int = 0
    stopped: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    better: list[Sample] = field(default_factory=list)

    def count(self, samples: Iterator[Sample]) -> Iterator[Sample]:
        """Counts samples that pass through."""
        for one in samples:
            seen = one.evaluation
            self.steps, self.generations = one.step + 1, one.generation + 1
            self.seconds += seen.synthesised
            self.complete += seen.complete
            if seen.failed:
                self.failed[seen.status] += 1
            elif not seen.complete:
                self.stopped[seen.stage or "?"] += 1
            yield one

    def __str__(self) -> str:
        parts = [f"{self.complete} complete"]
        for name, whys in (("stopped", self.stopped), ("failed", self.failed)):
            which = ", ".join(f"{why} {count}" for why, count in whys.most_common())
            parts.append(f"{whys.total()} {name}{f' ({which})' if which else ''}")
        return f"{', '.join(parts)}; {self.seconds:.0f} s of audio"


Array = NDArray[np.float64]

NEAREST = 5
"""Stock voices that are named."""


@dataclass(frozen=True)
class History:
    """The candidates of a run, in their order.

    Attributes:
        steps: their numbers, int64 ``(n,)``.
        seconds: of audio that had been synthesised behind each, ``(n,)``.
        scores: ``(n,)``, in [0, 100]; NaN unless complete.
        best: the best score so far, ``(n,)``; NaN before there is one.
        better: the places of the improvements in these arrays, int64 ``(k,)``.
        parts: what each stage measured of the improvements, ``(k,)``, by its name; NaN where it was not asked.
        first: the first candidate; None where there is none.
        tally: the candidates in numbers, with the improvements.
    """

    steps: NDArray[np.int64]
    seconds: Array
    scores: Array
    best: Array
    better: NDArray[np.int64]
    parts: dict[str, Array]
    first: Sample | None
    tally: Tally


def history(run: Run) -> History:
    """Reads the candidates of a run.

    Raises:
        KvwError: as :class:`kvw.runs.reader.Run`.
    """
    tally = Tally()
    firsts: list[Sample] = []
    seen: list[tuple[int, float, float]] = []

    def noted() -> Iterator[Sample]:
        for one in tally.count(run.candidates()):
            if not seen:
                firsts.append(one)
            seen.append((one.step, tally.seconds, one.evaluation.score if one.evaluation.complete else np.nan))
            yield one

    tally.better = list(run.improvements(noted()))
    steps, seconds, scores = np.array(seen, dtype=np.float64).reshape(-1, 3).T
    better = np.searchsorted(steps, [one.step for one in tally.better])
    best = np.full(len(steps), np.nan)
    best[better] = scores[better]
    best = np.fmax.accumulate(best) if len(best) else best
    names = list(dict.fromkeys(name for one in tally.better for name in one.evaluation.parts))
    parts = {name: np.array([one.evaluation.parts.get(name, np.nan) for one in tally.better]) for name in names}
    return History(steps.astype(np.int64), seconds, scores, best, better, parts, firsts[0] if firsts else None, tally)


@dataclass(frozen=True)
class Map:
    """Voices in the plane of the first two principal components of the stock voices' rows.

    Of a voice it is the mean of the rows that the scored texts are heard through, which is what a search hears of it.

    Attributes:
        names: of the stock voices, the nearest to the target first.
        stock: their places, ``(n, 2)``.
        explained: the share of the stock voices' variance on each axis, in [0, 1].
        start: place of the first candidate, ``(2,)``; None where there is none.
        way: places of the improvements, ``(k, 2)``; the last one is the result.
        nearest: the stock voices nearest to the result, at most :data:`NEAREST`, with their distance: the root mean
            square of the differences, in the stock voices' standard deviations.
    """

    names: list[str]
    stock: Array
    explained: tuple[float, float]
    start: Array | None
    way: Array
    nearest: dict[str, float]


def map_of(stock: Sequence[Stock], past: History) -> Map | None:
    """The map of a run; None of fewer than three stock voices, which have no plane."""
    ranked = [one for one in stock if one.ranking != "full"]
    rows = np.array([mean_row(one) for one in ranked])
    if len(rows) < 3:
        return None
    centre, deviations, basis = principal(rows, len(rows))
    if len(deviations) < 2:
        return None
    plane = basis[:2].T
    way = np.array([mean_row(one) for one in past.tally.better]).reshape(-1, rows.shape[1])
    shares = np.square(deviations) / np.square(deviations).sum()
    nearest: dict[str, float] = {}
    if len(way):
        spread = np.maximum(rows.std(axis=0, ddof=1), 1e-6)
        far = np.sqrt(np.square((rows - way[-1]) / spread).mean(axis=1))
        nearest = {ranked[place].name: float(far[place]) for place in np.argsort(far)[:NEAREST]}
    return Map(
        [one.name for one in ranked],
        (rows - centre) @ plane,
        (float(shares[0]), float(shares[1])),
        (mean_row(past.first) - centre) @ plane if past.first else None,
        (way - centre) @ plane,
        nearest,
    )


def mean_row(one: Stock | Sample) -> Array:
    """The mean of the rows that are heard, float64 ``(256,)``."""
    mean: Array = one.rows.astype(np.float64).mean(axis=0)
    return mean

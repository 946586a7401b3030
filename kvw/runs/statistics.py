"""Statistics of a run: counts, the history of its scores as arrays, and a map of its voices and the stock voices."""

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
    """Counts of a run's candidates.

    Attributes:
        steps: number of candidates.
        generations: number of generations.
        seconds: of synthesised audio.
        complete: number of candidates that passed every gate.
        stopped: number of candidates that a gate stopped, by stage.
        failed: number of candidates that could not be scored, by status.
        gradients: number of candidates of which a gradient was measured.
        better: the improvements.
    """

    steps: int = 0
    generations: int = 0
    seconds: float = 0.0
    complete: int = 0
    stopped: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    gradients: int = 0
    better: list[Sample] = field(default_factory=list)

    def count(self, samples: Iterator[Sample]) -> Iterator[Sample]:
        """Yields ``samples`` unchanged, and counts them."""
        for sample in samples:
            evaluation = sample.evaluation
            self.steps, self.generations = sample.step + 1, sample.generation + 1
            self.seconds += evaluation.synthesised
            self.complete += evaluation.complete
            self.gradients += evaluation.status == "gradient"
            if evaluation.failed:
                self.failed[evaluation.status] += 1
            elif evaluation.status == "stopped":
                self.stopped[evaluation.stage or "?"] += 1
            yield sample

    def __str__(self) -> str:
        parts = [f"{self.complete} complete"]
        for name, counts in (("stopped", self.stopped), ("failed", self.failed)):
            reasons = ", ".join(f"{reason} {count}" for reason, count in counts.most_common())
            parts.append(f"{counts.total()} {name}{f' ({reasons})' if reasons else ''}")
        parts += [f"{self.gradients} gradients"] if self.gradients else []
        return f"{', '.join(parts)}; {self.seconds:.0f} s of audio"


Array = NDArray[np.float64]

NEAREST = 5
"""Number of stock voices in :attr:`Map.nearest`."""


@dataclass(frozen=True)
class History:
    """The candidates of a run, in their order.

    Attributes:
        steps: numbers of the candidates, int64 ``(n,)``.
        seconds: of audio synthesised up to and including each candidate, ``(n,)``.
        scores: ``(n,)``, in [0, 100]; NaN unless complete.
        best: the best score so far, ``(n,)``; NaN before the first complete candidate.
        better: indices of the improvements in these arrays, int64 ``(k,)``.
        parts: similarity of the improvements, ``(k,)``, by stage; NaN where the stage was not run.
        first: the first candidate; None in a run without candidates.
        tally: counts of the candidates, with the improvements.
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
    points: list[tuple[int, float, float]] = []

    def collected() -> Iterator[Sample]:
        for sample in tally.count(run.candidates()):
            if not points:
                firsts.append(sample)
            score = sample.evaluation.score if sample.evaluation.complete else np.nan
            points.append((sample.step, tally.seconds, score))
            yield sample

    tally.better = list(run.improvements(collected()))
    steps, seconds, scores = np.array(points, dtype=np.float64).reshape(-1, 3).T
    better = np.searchsorted(steps, [sample.step for sample in tally.better])
    best = np.full(len(steps), np.nan)
    best[better] = scores[better]
    best = np.fmax.accumulate(best) if len(best) else best
    evaluations = [sample.evaluation for sample in tally.better]
    names = list(dict.fromkeys(name for evaluation in evaluations for name in evaluation.parts))
    parts = {name: np.array([evaluation.parts.get(name, np.nan) for evaluation in evaluations]) for name in names}
    return History(steps.astype(np.int64), seconds, scores, best, better, parts, firsts[0] if firsts else None, tally)


@dataclass(frozen=True)
class Map:
    """Voices in the plane of the first two principal components of the stock voices' rows.

    A voice's point is the mean of the rows that the scored texts are heard through: all that a search hears of a voice.

    Attributes:
        names: of the stock voices, the nearest to the target first.
        stock: points of the stock voices, ``(n, 2)``.
        explained: the share of the stock voices' variance on each axis, in [0, 1].
        start: point of the first candidate, ``(2,)``; None in a run without candidates.
        way: points of the improvements, ``(k, 2)``; the last one is the result's.
        nearest: distances of the stock voices nearest to the result, at most :data:`NEAREST`, by name: the root mean
            square of the differences between the mean rows, in the stock voices' standard deviations.
    """

    names: list[str]
    stock: Array
    explained: tuple[float, float]
    start: Array | None
    way: Array
    nearest: dict[str, float]


def map_of(stock: Sequence[Stock], past: History) -> Map | None:
    """The map of a run; None for fewer than three stock voices, which span no plane."""
    ranked = [voice for voice in stock if voice.ranking != "full"]
    rows = np.array([mean_row(voice) for voice in ranked])
    if len(rows) < 3:
        return None
    centre, deviations, basis = principal(rows, len(rows))
    if len(deviations) < 2:
        return None
    plane = basis[:2].T
    way = np.array([mean_row(sample) for sample in past.tally.better]).reshape(-1, rows.shape[1])
    shares = np.square(deviations) / np.square(deviations).sum()
    nearest: dict[str, float] = {}
    if len(way):
        spread = np.maximum(rows.std(axis=0, ddof=1), 1e-6)
        distances = np.sqrt(np.square((rows - way[-1]) / spread).mean(axis=1))
        nearest = {ranked[index].name: float(distances[index]) for index in np.argsort(distances)[:NEAREST]}
    return Map(
        [voice.name for voice in ranked],
        (rows - centre) @ plane,
        (float(shares[0]), float(shares[1])),
        (mean_row(past.first) - centre) @ plane if past.first else None,
        (way - centre) @ plane,
        nearest,
    )


def mean_row(voice: Stock | Sample) -> Array:
    """The mean of the rows that the scored texts are heard through, float64 ``(256,)``."""
    mean: Array = voice.rows.astype(np.float64).mean(axis=0)
    return mean

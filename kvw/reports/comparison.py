"""The figures of several contenders on the same recordings: levels, paired differences, and the CSV of all cells.

Read :class:`Cell` first; :func:`tables` makes of cells what a terminal and the page show.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from kvw.reports.view import Table, figure

NORMALISED = "_normalised"
"""The end of a measure's name that is a similarity on the scale of :mod:`kvw.reports.scale`."""

HELDOUT = "heldout"
"""The measure of the search's own encoder: cosine on held-out texts to held-out recordings."""

STOCK, OWN = "best stock voice", "own recording"
"""The columns beside the contenders'."""

RESAMPLES = 10_000
"""Of a bootstrap."""

LENGTHS = (20, 50, 110, 200, 320)
"""Phonemes of the texts by which drift is shown; a text counts for the nearest."""


@dataclass(frozen=True)
class Measure:
    """What is measured of a voice or a search.

    Attributes:
        name: its key in :attr:`Cell.figures`, and its column in the CSV.
        heading: in tables, with an arrow in the direction that is better.
        decimals: in tables.
        paired: whether differences of it are shown.
    """

    name: str
    heading: str
    decimals: int
    paired: bool = True


@dataclass(frozen=True)
class Cell:
    """One search of a comparison, and what became of it.

    Attributes:
        contender: its name.
        speaker: whose voice is searched for.
        seed: of the search.
        figures: of the result, by the names of measures; one that nobody measured is missing.
        stock: name of the best stock voice by the search's own ranking.
        by_length: similarities on held-out texts, each with the number of phonemes.
        verdict: of the search; empty where it failed.
        error: why there is no result; empty where there is one.
    """

    contender: str
    speaker: str
    seed: int
    figures: Mapping[str, float] = field(default_factory=dict)
    stock: str = ""
    by_length: Sequence[tuple[int, float]] = ()
    verdict: str = ""
    error: str = ""


@dataclass(frozen=True)
class Comparison:
    """Contenders on the same recordings.

    Attributes:
        measures: in the order of tables.
        cells: all of them, failed ones too.
        stock: the best stock voice of each speaker, as a cell of the search that found it.
        own: figures of a second recording of each speaker who has one.
        remarks: what a reader has to know, a line each.
    """

    measures: Sequence[Measure]
    cells: Sequence[Cell]
    stock: Mapping[str, Cell]
    own: Mapping[str, Mapping[str, float]]
    remarks: Sequence[str] = ()

    @property
    def contenders(self) -> list[str]:
        """The names of the contenders that have a result, in their order."""
        return list(dict.fromkeys(cell.contender for cell in self.cells if not cell.error))

    @property
    def speakers(self) -> list[str]:
        """The names of the speakers."""
        return list(dict.fromkeys(cell.speaker for cell in self.cells))

    def of(self, contender: str) -> list[Cell]:
        """The contender's cells that have a result."""
        return [cell for cell in self.cells if cell.contender == contender and not cell.error]

    def values(self, contender: str, measure: str) -> dict[tuple[str, int], float]:
        """A figure of the contender's cells, by speaker and seed; those of nobody's measuring are left out."""
        return {
            (cell.speaker, cell.seed): cell.figures[measure] for cell in self.of(contender) if measure in cell.figures
        }

    def gains(self, contender: str, measure: str) -> list[float]:
        """For each speaker the mean difference, over seeds, to the speaker's best stock voice."""
        base = {name: cell.figures[measure] for name, cell in self.stock.items() if measure in cell.figures}
        own = self.values(contender, measure)
        return by_speaker({key: value - base[key[0]] for key, value in own.items() if key[0] in base})

    def between(self, first: str, second: str, measure: str) -> list[float]:
        """For each speaker the mean difference of ``first`` to ``second``, over the seeds that both have."""
        ours, theirs = self.values(first, measure), self.values(second, measure)
        return by_speaker({key: ours[key] - theirs[key] for key in ours if key in theirs})


def by_speaker(values: Mapping[tuple[str, int], float]) -> list[float]:
    """The mean over seeds for each speaker."""
    speakers = dict.fromkeys(speaker for speaker, _ in values)
    return [float(np.mean([one for (name, _), one in values.items() if name == speaker])) for speaker in speakers]


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the mean of speakers' values, by a seeded bootstrap over speakers; NaN for fewer than two.

    The percentile bootstrap: Efron and Tibshirani (1993), "An introduction to the bootstrap". Speakers are drawn, not
    searches: seeds of one speaker are no independent evidence.
    """
    if len(values) < 2:
        return np.nan, np.nan
    draws = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(np.asarray(values)[draws].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def tables(found: Comparison) -> dict[str, Table]:
    """The tables of a comparison, by their titles."""
    made = {"Medians, and below them quartiles": levels(found)}
    if found.contenders and found.stock:
        made["Mean difference to the best stock voice, with its 95 % interval over speakers"] = gains(found)
    if len(found.contenders) > 1:
        made["Mean difference between contenders, the same"] = duels(found)
    if any(cell.by_length for cell in found.cells):
        made["Held-out similarity by the length of the text, medians"] = drift(found)
    return made


def levels(found: Comparison) -> Table:
    """Median and quartiles of every measure: of the speakers' own recordings, the stock voices and the contenders."""
    columns = {OWN: list(found.own.values()), STOCK: [cell.figures for cell in found.stock.values()]}
    columns |= {name: [cell.figures for cell in found.of(name)] for name in found.contenders}
    columns = {name: figures for name, figures in columns.items() if figures}
    rows: list[list[str]] = []
    for measure in found.measures:
        middle, spread = [measure.heading], [""]
        for figures in columns.values():
            values = [own[measure.name] for own in figures if measure.name in own]
            low, median, high = np.quantile(values, [0.25, 0.5, 0.75]) if values else [np.nan] * 3
            middle.append(figure(median, measure.decimals))
            spread.append(f"{low:.{measure.decimals}f} {high:.{measure.decimals}f}" if len(values) > 1 else "")
        rows += [middle, spread]
    searches = [str(len(figures)) for figures in columns.values()]
    return Table(("", *columns), [["voices", *searches], *rows])


def gains(found: Comparison) -> Table:
    """The mean gain of each contender over the best stock voice."""
    rows = [
        [measure.heading, *(differing(found.gains(name, measure.name), measure) for name in found.contenders)]
        for measure in found.measures
        if measure.paired
    ]
    return Table(("", *found.contenders), rows)


def duels(found: Comparison) -> Table:
    """The mean difference of every two contenders; a normalised measure says nothing more here than its cosine."""
    measures = [one for one in found.measures if one.paired and not one.name.endswith(NORMALISED)]
    rows = [
        [f"{later} − {earlier}", *(differing(found.between(later, earlier, one.name), one) for one in measures)]
        for earlier, later in combinations(found.contenders, 2)
    ]
    return Table(("", *(measure.heading for measure in measures)), rows)


def drift(found: Comparison) -> Table:
    """The median similarity on texts of about so many phonemes, of the stock voices and the contenders."""
    columns = {STOCK: list(found.stock.values())} | {name: found.of(name) for name in found.contenders}
    rows = []
    for length in LENGTHS:
        cells = [
            [
                similarity
                for cell in column
                for phonemes, similarity in cell.by_length
                if min(LENGTHS, key=lambda near: abs(near - phonemes)) == length
            ]
            for column in columns.values()
        ]
        if any(cells):
            middles = [figure(np.median(values) if values else np.nan, 3) for values in cells]
            rows.append([f"about {length} phonemes", *middles])
    return Table(("", *columns), rows)


def differing(values: Sequence[float], measure: Measure) -> str:
    """The mean of differences with its interval; the mean alone of one speaker, a dash of none."""
    if not values:
        return "–"
    (low, high), decimals = interval(values), measure.decimals
    mean = f"{np.mean(values):+.{decimals}f}"
    return f"{mean} ({low:+.{decimals}f} {high:+.{decimals}f})" if np.isfinite(low) else mean


def as_csv(found: Comparison) -> str:
    """CSV with a line a cell: its figures, and those of the speaker's best stock voice and second recording."""
    names = [measure.name for measure in found.measures]
    judged = [measure.name for measure in found.measures if measure.paired]
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    head = ("contender", "target", "seed", "error", "verdict", "ranked_stock", *names, "stock")
    lines.writerow([*head, *(f"stock_{name}" for name in judged), *(f"own_{name}" for name in judged)])
    for cell in found.cells:
        stock, own = found.stock.get(cell.speaker), found.own.get(cell.speaker, {})
        figures = [cell.figures.get(name, "") for name in names]
        base = [stock.figures.get(name, "") if stock else "" for name in judged]
        told = (cell.contender, cell.speaker, cell.seed, cell.error, cell.verdict, cell.stock)
        lines.writerow([*told, *figures, stock.stock if stock else "", *base, *(own.get(name, "") for name in judged)])
    return text.getvalue()

"""The page of a comparison: tables, how near and how clear every voice is, and each speaker to hear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kvw.reports import figures
from kvw.reports.comparison import HELDOUT, NORMALISED, OWN, STOCK, Cell, Comparison, differing, tables
from kvw.reports.page import TEMPLATES, template
from kvw.reports.players import PAGE_SECONDS, PLAYER_SECONDS, Player, player, recordings, spoken
from kvw.reports.view import Picture, heldout_texts, picture
from kvw.runs.reader import Run

TARGET = "target, held out"
"""The label of a speaker's own recording."""


@dataclass(frozen=True)
class Clips:
    """What is heard of a speaker.

    Attributes:
        text: what the voices say.
        players: of the target, of the best stock voice and of the contenders' best voices, by their labels.
    """

    text: str
    players: Mapping[str, Player]


def clips_of(found: Comparison, runs: Mapping[tuple[str, str, int], Path]) -> dict[str, Clips]:
    """What is heard of each speaker: the target, and the voices on a held-out text of middle length.

    Args:
        found: the comparison.
        runs: the folders of its runs, by contender, speaker and seed.
    """
    most = min(PLAYER_SECONDS, PAGE_SECONDS / max(1, len(found.stock) * (2 + len(found.contenders))))
    heard = {}
    for speaker, stock in found.stock.items():
        best = {STOCK: stock, **{name: own for name in found.contenders if (own := best_of(found.of(name), speaker))}}
        folders = {label: runs[cell.contender, cell.speaker, cell.seed] for label, cell in best.items()}
        texts = heldout_texts(Run(folders[STOCK]))
        place = sorted(range(len(texts)), key=lambda number: len(texts[number]))[len(texts) // 2]
        players = {TARGET: player(f"{TARGET}: {speaker}", recordings(folders[STOCK], "heldout")[:1], most)}
        for label, cell in best.items():
            role, name = (
                ("stock", f"{STOCK}, {cell.stock}") if label == STOCK else ("best", f"{label}, seed {cell.seed}")
            )
            note = f"held-out {cell.figures[HELDOUT]:.3f}"
            players[label] = player(name, spoken(folders[label], role, place + 1), most, note)
        heard[speaker] = Clips(texts[place], players)
    return heard


def best_of(cells: Sequence[Cell], speaker: str) -> Cell | None:
    """The cell of a speaker with the most held-out similarity; None where there is none."""
    own = [cell for cell in cells if cell.speaker == speaker]
    return max(own, key=lambda cell: cell.figures[HELDOUT], default=None)


def page(found: Comparison, clips: Mapping[str, Clips]) -> str:
    """The page."""
    drawn = near_and_clear(found)
    contenders, speakers = len(found.contenders), len(found.speakers)
    return template(TEMPLATES / "compare.html.j2").render(
        title=f"{contenders} contender{'s' * (contenders != 1)} on {speakers} speaker{'s' * (speakers != 1)}",
        headline=headline(found),
        tables=tables(found),
        pictures=[drawn] if drawn else [],
        clips=clips,
        remarks=found.remarks,
    )


def headline(found: Comparison) -> list[str]:
    """What each contender gains over the best stock voice, by the first measure and by its independent peer."""
    measures = [one for one in found.measures if one.name.endswith(NORMALISED)] or list(found.measures[:1])
    lines = []
    for name in found.contenders:
        told = [
            f"{measure.heading.removesuffix(' ↑')} {differing(gains, measure)}"
            for measure in measures
            if (gains := found.gains(name, measure.name))
        ]
        lines.append(f"{name} over the best stock voice: {'; '.join(told) or 'no figure'}.")
    return lines or ["No search has a result."]


def near_and_clear(found: Comparison) -> Picture | None:
    """How clear every voice is against how near it is; None where nobody judged how clear."""
    known = {name for cell in found.cells for name in cell.figures}
    normalised = [one for one in found.measures if one.name.endswith(NORMALISED) and one.name in known]
    # the last one is of an encoder that no search heard, where there is one
    near = normalised[-1] if normalised else found.measures[0]
    cosines = {one.name.removesuffix(NORMALISED) for one in found.measures if one.name.endswith(NORMALISED)}
    judged = [one for one in found.measures if one.paired and one.name in known and one.name != "pitch_error"]
    clear = [one for one in judged if one.name not in cosines and not one.name.endswith(NORMALISED)]
    if not clear:
        return None
    groups = {name: [cell.figures for cell in found.of(name)] for name in found.contenders}
    groups |= {STOCK: [cell.figures for cell in found.stock.values()], OWN: list(found.own.values())}
    names = [near.name, *(one.name for one in clear)]
    voices = {label: [tuple(one.get(name, np.nan) for name in names) for one in own] for label, own in groups.items()}
    content = figures.near_and_clear(voices, near.heading, [one.heading for one in clear])
    words = "Every voice: how near it is, from left to right, against how clear; arrows point to the better side"
    return picture("Near and clear", content, words)

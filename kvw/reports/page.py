"""What is on the page of a run, and on one that compares several: read from the runs' folders, without a model.

Read :func:`of_one` and :func:`of_several` first; ``page.html.j2`` is their form, made of
the pieces in ``parts.html.j2``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from kvw.audio.decode import decode_file
from kvw.audio.write import data_uri, mp3
from kvw.errors import KvwError
from kvw.reports import figures
from kvw.reports.judges import Jury
from kvw.runs.artifacts import spoken_path
from kvw.runs.comparison import differing_settings
from kvw.runs.reader import Run
from kvw.runs.result import LABELS
from kvw.runs.schema import guard_types as intact
from kvw.runs.statistics import History, history, map_of
from kvw.types import SAMPLE_RATE, Wave

PLAYER_SECONDS = 30.0
"""Of a recording that a player has at most."""

PAGE_SECONDS = 420.0
"""Of all players together, 4.5 MB."""

TEXTS = 3
"""Held-out texts that are played."""

FORM = Path(__file__).with_name("page.html.j2")
"""Of both pages."""


@dataclass(frozen=True)
class Player:
    """Audio on the page.

    Attributes:
        label: what it is.
        source: data URI; empty where there is no such audio.
        note: what should be known of it.
    """

    label: str
    source: str
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure on the page.

    Attributes:
        title: above it.
        source: data URI.
        words: what it shows, for whoever can't see it and for its caption.
    """

    title: str
    source: str
    words: str


@dataclass(frozen=True)
class Table:
    """A table: the head, and rows of equally many cells, whose first is their name."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Seen:
    """A voice that the page compares.

    Attributes:
        label: of it.
        score: in [0, 100]; NaN where it could not be scored.
        parts: what the stages measured.
        heldout: similarity on each held-out text; empty where that is not known.
    """

    label: str
    score: float
    parts: Mapping[str, float]
    heldout: Sequence[float]


def of_one(run: Run, jury: Jury | None) -> str:
    """The page of a run.

    Raises:
        KvwError: its record can't be read.
    """
    past, found = history(run), run.stock
    voices = compared(run, past)
    place = map_of(found, past)
    texts, target_text = heldout_texts(run), scored_texts(run)[:1]
    recordings, heldout = clips(run.folder, "target"), clips(run.folder, "heldout")
    chosen = of_lengths(
        texts, [number for number in range(len(texts)) if (spoken_path(run.folder, "best", number + 1)).exists()]
    )
    count = 2 + len(voices) + len(chosen) * len(voices)
    most = min(PLAYER_SECONDS, PAGE_SECONDS / count)
    listen = [
        player("target", recordings[:1], most),
        player("target, held out", heldout[:1], most),
        *(player(seen.label, spoken(run.folder, role, 0), most) for role, seen in voices.items()),
    ]
    spoken_texts = [
        {
            "text": texts[number],
            "players": [
                player(seen.label, spoken(run.folder, role, number + 1), most, similarity(seen, number))
                for role, seen in voices.items()
            ],
        }
        for number in chosen
    ]
    pictures = []
    stock = voices.get("stock")
    if len(past.better):
        words = "Every complete candidate, the improvements, and the best stock voice as a dashed line"
        pictures.append(picture("The search", figures.curve(past, stock.score if stock else None), words))
        words = "What the improvements measured, stage by stage"
        pictures.append(picture("The parts of the score", figures.parts(past, stock.parts if stock else {}), words))
    best = spoken(run.folder, "best", 0)
    if recordings and best:
        words = (
            f"Spectrograms of the first {figures.SHOWN_SECONDS:.0f} s of the target and of the result, and the pitch "
            "of both; they may say different words"
        )
        pictures.append(picture("Spectrograms and pitch", figures.speech(recordings[0], best[0], "result"), words))
    if place:
        words = (
            "Where the voices lie: the mean of the rows that the scored texts are heard through, projected on the "
            "plane in which the stock voices differ most"
        )
        pictures.append(picture("Among the stock voices", figures.chart_of(place), words))
    return template().render(
        kind="run",
        title=f"{word(run, 'target')}, {word(run, 'strategy')}, seed {word(run, 'seed')}",
        headline=headline(run, voices),
        listen=listen,
        texts=spoken_texts,
        target_text="".join(target_text),
        silent="" if chosen else "This run kept no audio of held-out texts: it is an older one, or has not ended.",
        table=scored(voices),
        verdicts=verdicts(run, jury, voices, texts, recordings, heldout),
        outcomes=outcomes(past),
        pictures=pictures,
        nearest=[(name, f"{far:.2f}") for name, far in place.nearest.items()] if place else [],
        facts=facts(run, past),
        versions=versions(run),
        config=json.dumps(run.config, indent=2, ensure_ascii=False),
    )


def of_several(runs: Sequence[Run], labels: Sequence[str], jury: Jury | None) -> str:
    """The page that compares runs.

    Args:
        runs: at least two.
        labels: where they are.
        jury: of the results; None for no judges.

    Raises:
        KvwError: a record can't be read.
    """
    names = [f"{place}: {word(run, 'strategy')}, seed {word(run, 'seed')}" for place, run in enumerate(runs, start=1)]
    pasts = {name: history(run) for name, run in zip(names, runs, strict=True)}
    rows, judged, listen = [], [], []
    targets = {str(run.about.get("target_sha256", run.folder)): run for run in reversed(runs)}
    most = min(PLAYER_SECONDS, PAGE_SECONDS / (len(targets) + 2 * len(runs)))
    for run in reversed(targets.values()):
        listen.append(player(f"target, {word(run, 'target')}", clips(run.folder, "target")[:1], most))
    for name, run, label in zip(names, runs, labels, strict=True):
        voices, texts = compared(run, pasts[name]), heldout_texts(run)
        best, stock = voices.get("best"), voices.get("stock")
        row = [name, word(run, "target"), str(run.steps), f"{pasts[name].tally.seconds:.0f}"]
        row += [number(seen.score if seen else None, 2) for seen in (best, stock)]
        rows.append([*row, *(number(mean(seen), 3) for seen in (best, stock)), label])
        listen.append(player(f"{name}, result", spoken(run.folder, "best", 0), most))
        longest = max(range(len(texts)), key=lambda place: len(texts[place]), default=-1)
        if best and (heard := spoken(run.folder, "best", longest + 1) if longest >= 0 else []):
            listen.append(player(f"{name}, held-out text", heard, most, similarity(best, longest)))
        only = {"best": best} if best else {}
        recordings, heldout = clips(run.folder, "target"), clips(run.folder, "heldout")
        judged.append((name, verdicts(run, jury, only, texts, recordings, heldout)))
    drawn = {name: past for name, past in pasts.items() if len(past.better)}
    words = "The best score so far of each run; scores compare where target, texts and fitness are the same"
    differing = [(key, *texts) for key, texts in differing_settings(runs).items()]
    head = ("run", "target", "candidates", "audio, s", "score", "stock", "held-out", "stock held-out", "folder")
    return template().render(
        kind="comparison",
        title=f"{len(runs)} runs compared",
        headline=[],
        listen=listen,
        table=Table(head, rows),
        verdicts=joined(judged),
        differing=Table(("setting", *(name.partition(":")[0] for name in names)), differing),
        pictures=[picture("The searches", figures.curves(drawn), words)] if drawn else [],
    )


@cache
def template(path: Path = FORM) -> Template:
    """The form of a page, which can import ``parts.html.j2``; what a stranger's record says arrives in it as text."""
    folders = FileSystemLoader([path.parent, FORM.parent])
    made = Environment(loader=folders, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return made.get_template(path.name)


def compared(run: Run, past: History) -> dict[str, Seen]:
    """What a summary compares, by the roles of :data:`kvw.runs.artifacts.ROLES`, as far as the run has got."""
    heldout = run.heldout
    found = {}
    full = [one for one in run.stock if one.ranking == "full"]
    if full:
        best = max(full, key=lambda one: one.evaluation.score)
        label = f"best stock voice, {best.name}"
        found["stock"] = Seen(label, best.evaluation.score, best.evaluation.parts, heldout.get("stock", ()))
    if past.first and (not heldout or "start" in heldout):
        seen = past.first.evaluation
        score = seen.score if seen.complete else np.nan
        found["start"] = Seen("start", score, seen.parts, heldout.get("start", ()))
    if past.tally.better:
        last = past.tally.better[-1]
        label = f"result, step {last.step}"
        found["best"] = Seen(label, last.evaluation.score, last.evaluation.parts, heldout.get("best", ()))
    return found


def headline(run: Run, voices: Mapping[str, Seen]) -> list[str]:
    """What came of a run, in sentences."""
    stock, best = voices.get("stock"), voices.get("best")
    lines = [] if run.result else ["This run has not ended, or was stopped: these are its figures so far."]
    if not best or not stock:
        return [*lines, "No candidate has been scored yet."]
    name, gain = stock.label.rpartition(", ")[2], best.score - stock.score
    if gain <= 0:
        lines.append(
            f"No improvement: no candidate scored above the best stock voice, {name}, which is the better one; best "
            f"candidate {best.score:.2f}, {name} {stock.score:.2f}."
        )
    else:
        lines.append(f"Score {best.score:.2f}: {gain:+.2f} over the best stock voice, {name}.")
    ours, theirs = mean(best), mean(stock)
    if ours is not None and theirs is not None:
        lines.append(f"Held-out similarity {ours:.3f}, {name} {theirs:.3f}: {ours - theirs:+.3f}.")
        if gain > 0 and ours < theirs:
            lines.append("It fits the texts that it was scored on, and not others: believe the held-out figure.")
    return lines


def scored(voices: Mapping[str, Seen]) -> Table:
    """Scored against held-out."""
    names = list(dict.fromkeys(name for seen in voices.values() for name in seen.parts))
    rows = [
        (
            seen.label,
            number(seen.score, 2),
            *(number(seen.parts.get(name), 3) for name in names),
            number(mean(seen), 3),
        )
        for seen in voices.values()
    ]
    return Table(("", "Score", *(LABELS.get(name, name) for name in names), "Held-out"), rows)


@dataclass(frozen=True)
class Verdicts:
    """What judges found: a table, and why cells of it are empty."""

    table: Table
    reasons: Sequence[str]


def verdicts(
    run: Run,
    jury: Jury | None,
    voices: Mapping[str, Seen],
    texts: Sequence[str],
    recordings: Sequence[Wave],
    heldout: Sequence[Wave],
) -> Verdicts | None:
    """What each judge says of the target's held-out recordings and of each voice on held-out texts; None without any.

    Args:
        run: whose audio it is.
        jury: the judges.
        voices: to be judged.
        texts: held-out ones, in their order.
        recordings: of the target, that the search heard.
        heldout: those that it did not.
    """
    if not jury or not jury.judges:
        return None
    found = {"target, held out": jury(run.folder, heldout, None, recordings)}
    for role, seen in voices.items():
        waves = [(spoken(run.folder, role, number + 1), text) for number, text in enumerate(texts)]
        kept = [(wave[0], text) for wave, text in waves if wave]
        found[seen.label] = jury(run.folder, [wave for wave, _ in kept], [text for _, text in kept], recordings)
    rows: list[Sequence[str]] = []
    lacking: dict[tuple[str, str], list[str]] = {}
    for label, said_of in found.items():
        cells = []
        for name, judge in jury.judges.items():
            figure = said_of[name]
            cells.append("–" if isinstance(figure, str) else f"{figure:.{judge.decimals}f}")
            if isinstance(figure, str):
                lacking.setdefault((judge.heading, figure), []).append(label)
        rows.append((label, *cells))
    alike: dict[tuple[str, str], list[str]] = {}
    for (heading, why), labels in lacking.items():
        where = "" if len(labels) == len(rows) else f" of {'; '.join(labels)}"
        alike.setdefault((where, why), []).append(heading.partition(",")[0].rstrip(" ↑↓"))
    whys = [f"{' and '.join(headings)}{where}: {why}." for (where, why), headings in alike.items()]
    return Verdicts(Table(("", *(judge.heading for judge in jury.judges.values())), rows), whys)


def joined(judged: Sequence[tuple[str, Verdicts | None]]) -> Verdicts | None:
    """The verdicts on several runs as one table."""
    some = [(name, one) for name, one in judged if one]
    if not some:
        return None
    rows = [(f"{name}: {label}", *cells) for name, one in some for label, *cells in one.table.rows]
    return Verdicts(
        Table(some[0][1].table.head, rows), list(dict.fromkeys(why for _, one in some for why in one.reasons))
    )


def outcomes(past: History) -> list[tuple[str, str]]:
    """How many candidates passed, which gate stopped the others, and which failed."""
    tally = past.tally

    def share(count: int) -> str:
        return f"{count} ({count / tally.steps:.0%})" if tally.steps else "0"

    return [
        ("candidates", str(tally.steps)),
        ("complete", share(tally.complete)),
        *((f"stopped by the gate of {LABELS.get(name, name)}", share(n)) for name, n in tally.stopped.most_common()),
        *((f"failed: {name}", share(n)) for name, n in tally.failed.most_common()),
        ("improvements", str(len(tally.better))),
        ("synthesised audio", f"{tally.seconds:.0f} s"),
    ]


def facts(run: Run, past: History) -> list[tuple[str, str]]:
    """What the run was."""
    with intact(run.path, "inputs"):
        target = run.facts.get("inputs", {}).get("target", {})
        summary, note = str(target.get("summary", "-")), str(target.get("heldout_note", "-"))
    names = ("strategy", "seed", "language", "synthesiser", "synthesiser_identity", "target_sha256", "base_voices")
    values = [(name.replace("_", " "), word(run, name)) for name in names]
    given = [("target", summary), ("held out", note), *values, ("generations", str(past.tally.generations))]
    return [(name, text) for name, text in given if text]


def versions(run: Run) -> list[tuple[str, str]]:
    """Versions that the run began with."""
    with intact(run.path, "versions"):
        return [(str(name), str(version)) for name, version in run.about.get("versions", {}).items()]


def heldout_texts(run: Run) -> list[str]:
    """The texts that a run is judged by, in their order."""
    with intact(run.path, "inputs"):
        return [str(text) for text in run.facts.get("inputs", {}).get("heldout_texts", [])]


def scored_texts(run: Run) -> list[str]:
    """The texts that a run scores, first the target text."""
    with intact(run.path, "texts"):
        return [str(text) for text in run.facts.get("texts", [])]


def of_lengths(texts: Sequence[str], places: Iterable[int]) -> list[int]:
    """The shortest, the longest and those between, at most :data:`TEXTS` of the places, shortest first."""
    ordered = sorted(places, key=lambda place: len(texts[place]))
    wanted = np.linspace(0, len(ordered) - 1, min(TEXTS, len(ordered))).round().astype(int)
    return [ordered[place] for place in wanted]


def clips(folder: Path, stem: str) -> list[Wave]:
    """The recordings ``STEM.wav`` or ``STEM_1.wav``, ... of a run, as far as they can be read."""
    paths = [
        folder / f"{stem}.wav",
        *(folder / f"{stem}_{number}.wav" for number in range(1, 1 + len(list(folder.glob(f"{stem}_*.wav"))))),
    ]
    return [wave for path in paths for wave in read(path)]


def spoken(folder: Path, role: str, place: int) -> list[Wave]:
    """What a voice says, alone in a list; nothing where the run did not keep it. ``place``: see ``spoken_path``."""
    return read(folder / "best.wav" if role == "best" and place == 0 else spoken_path(folder, role, place))


def read(path: Path) -> list[Wave]:
    """A recording, alone in a list; nothing where it is not there or is none."""
    try:
        return [decode_file(path)] if path.is_file() else []
    except KvwError:
        return []


def player(label: str, waves: Sequence[Wave], most: float, note: str = "") -> Player:
    """A player of the first ``most`` seconds of a recording, which is alone in a list or not there."""
    if not waves:
        return Player(label, "", "no audio was kept")
    seconds = len(waves[0]) / SAMPLE_RATE
    cut = f"the first {most:.0f} s of {seconds:.0f}" if seconds > most else ""
    return Player(label, data_uri(mp3(waves[0], most), "audio/mpeg"), ", ".join(filter(None, (note, cut))))


def picture(title: str, content: bytes, words: str) -> Picture:
    """A figure within the page."""
    return Picture(title, data_uri(content, "image/png"), words)


def similarity(seen: Seen, place: int) -> str:
    """The held-out similarity on the text at ``place``, for a player."""
    return f"similarity {seen.heldout[place]:.3f}" if place < len(seen.heldout) else ""


def mean(seen: Seen | None) -> float | None:
    """Held-out similarity, the mean over texts."""
    return float(np.mean(seen.heldout)) if seen and len(seen.heldout) else None


def number(value: float | None, decimals: int) -> str:
    """A figure in a table."""
    return "–" if value is None or not np.isfinite(value) else f"{value:.{decimals}f}"


def word(run: Run, name: str) -> str:
    """What the run says of itself, for people."""
    value: Any = run.about.get(name, "-")
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)

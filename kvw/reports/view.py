"""What the pages of reports show beside players: figures, tables and sentences made from a run's record.

Read :func:`compared_voices` first: most of the page says something of these voices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kvw.audio.write import data_uri
from kvw.reports.judges import Jury
from kvw.reports.players import spoken
from kvw.runs.artifacts import CLEAR
from kvw.runs.reader import Run
from kvw.runs.result import HELDOUT_LABELS, LABELS, UNCLEAR, HeldOutFigures
from kvw.runs.schema import guard_types
from kvw.runs.statistics import History
from kvw.types import Wave

TEXTS = 3
"""Held-out texts that are played."""


@dataclass(frozen=True)
class Picture:
    """A figure on the page.

    Attributes:
        title: above the figure.
        source: the figure as a data URI.
        words: what the figure shows: its caption, and its text for people who can't see it.
    """

    title: str
    source: str
    words: str


@dataclass(frozen=True)
class Table:
    """A table: the head, and rows of as many cells; the first cell of a row is the row's name."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Verdicts:
    """What the judges found: a table, and the reasons why cells of it are empty."""

    table: Table
    reasons: Sequence[str]


@dataclass(frozen=True)
class ComparedVoice:
    """A voice that the page compares with others.

    Attributes:
        label: of the voice.
        score: in [0, 100]; NaN where the voice could not be scored.
        parts: similarities that the fitness stages measured, by the stage's name.
        heldout: figures on the held-out texts; None where the run was not judged yet.
    """

    label: str
    score: float
    parts: Mapping[str, float]
    heldout: HeldOutFigures | None

    @property
    def heldout_mean(self) -> float | None:
        """Held-out similarity, the mean over texts; None where it is not known."""
        return self.heldout.similarity if self.heldout else None

    def similarity(self, place: int) -> str:
        """The note of a player: the similarity on the held-out text at ``place``; empty where it is not known."""
        similarities = self.heldout.similarities if self.heldout else ()
        return f"similarity {similarities[place]:.3f}" if place < len(similarities) else ""


def compared_voices(run: Run, past: History) -> dict[str, ComparedVoice]:
    """The voices of a run that are compared, by their roles (:data:`kvw.runs.artifacts.ROLES`).

    A role is missing where the run has not got that far.
    """
    heldout = run.heldout
    voices = {}
    complete = [stock for stock in run.stock if stock.ranking == "full"]
    if complete:
        best = max(complete, key=lambda stock: stock.evaluation.score)
        label = f"best stock voice, {best.name}"
        voices["stock"] = ComparedVoice(label, best.evaluation.score, best.evaluation.parts, heldout.get("stock"))
    if past.first and (not heldout or "start" in heldout):
        evaluation = past.first.evaluation
        score = evaluation.score if evaluation.complete else np.nan
        voices["start"] = ComparedVoice("start", score, evaluation.parts, heldout.get("start"))
    if past.tally.better:
        last = past.tally.better[-1]
        label = f"result, step {last.step}"
        voices["best"] = ComparedVoice(label, last.evaluation.score, last.evaluation.parts, heldout.get("best"))
    return voices


def headline(run: Run, voices: Mapping[str, ComparedVoice]) -> list[str]:
    """The outcome of a run, in sentences."""
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
    ours, theirs = best.heldout_mean, stock.heldout_mean
    if ours is not None and theirs is not None:
        lines.append(f"Held-out similarity {ours:.3f}, {name} {theirs:.3f}: {ours - theirs:+.3f}.")
        if gain > 0 and ours < theirs:
            lines.append("It fits the texts that it was scored on, and not others: believe the held-out figure.")
    if run.verdict == UNCLEAR:
        clear = (run.folder / f"{CLEAR}.pt").exists()
        advice = f"{CLEAR}.pt is the most similar voice that is as clear" if clear else f"take {name}"
        lines.append(f"Nearer, less clear: the result is harder to hear than {name}; {advice}.")
    return lines


def score_table(voices: Mapping[str, ComparedVoice]) -> Table:
    """The table of scores beside held-out similarities."""
    names = list(dict.fromkeys(name for voice in voices.values() for name in voice.parts))
    rows = [
        (
            voice.label,
            figure(voice.score, 2),
            *(figure(voice.parts.get(name), 3) for name in names),
            *(voice.heldout.cells() if voice.heldout else ["–"] * len(HELDOUT_LABELS)),
        )
        for voice in voices.values()
    ]
    return Table(("", "Score", *(LABELS.get(name, name) for name in names), *HELDOUT_LABELS), rows)


def verdicts(
    run: Run,
    jury: Jury | None,
    voices: Mapping[str, ComparedVoice],
    texts: Sequence[str],
    recordings: Sequence[Wave],
    heldout: Sequence[Wave],
) -> Verdicts | None:
    """What each judge says of the target's held-out recordings and of each voice on held-out texts.

    Args:
        run: whose audio is judged.
        jury: the judges.
        voices: to be judged, by role.
        texts: the held-out texts, in their order.
        recordings: recordings of the target that the search heard.
        heldout: recordings of the target that the search did not hear.

    Returns:
        The verdicts; None where there are no judges.
    """
    if not jury or not jury.judges:
        return None
    language = fact(run, "language")
    figures = {"target, held out": jury(run.folder, heldout, None, recordings, language)}
    for role, voice in voices.items():
        kept = [(wave, text) for place, text in enumerate(texts, 1) for wave in spoken(run.folder, role, place)]
        waves, said = [wave for wave, _ in kept], [text for _, text in kept]
        figures[voice.label] = jury(run.folder, waves, said, recordings, language)
    rows: list[Sequence[str]] = []
    lacking: dict[tuple[str, str], list[str]] = {}  # labels of the rows without a figure, by judge and reason
    for label, by_judge in figures.items():
        cells = []
        for name, judge in jury.judges.items():
            verdict = by_judge[name]
            if isinstance(verdict, str):
                lacking.setdefault((judge.heading, verdict), []).append(label)
            cells.append("–" if isinstance(verdict, str) else f"{verdict:.{judge.decimals}f}")
        rows.append((label, *cells))
    headings: dict[tuple[str, str], list[str]] = {}  # judges that lack the same rows for the same reason
    for (heading, reason), labels in lacking.items():
        where = "" if len(labels) == len(rows) else f" of {'; '.join(labels)}"
        headings.setdefault((where, reason), []).append(heading.partition(",")[0].rstrip(" ↑↓"))
    reasons = [f"{' and '.join(names)}{where}: {reason}." for (where, reason), names in headings.items()]
    return Verdicts(Table(("", *(judge.heading for judge in jury.judges.values())), rows), reasons)


def joined(of_runs: Sequence[tuple[str, Verdicts | None]]) -> Verdicts | None:
    """The verdicts on several runs, each with the run's name, as one table."""
    known = [(name, verdicts) for name, verdicts in of_runs if verdicts]
    if not known:
        return None
    rows = [(f"{name}: {label}", *cells) for name, verdicts in known for label, *cells in verdicts.table.rows]
    reasons = list(dict.fromkeys(reason for _, verdicts in known for reason in verdicts.reasons))
    return Verdicts(Table(known[0][1].table.head, rows), reasons)


def outcomes(past: History) -> list[tuple[str, str]]:
    """How many candidates were complete, were stopped by each gate, and failed in each way."""
    tally = past.tally

    def share(count: int) -> str:
        return f"{count} ({count / tally.steps:.0%})" if tally.steps else "0"

    return [
        ("candidates", str(tally.steps)),
        ("complete", share(tally.complete)),
        *((("gradients alone", share(tally.gradients)),) if tally.gradients else ()),
        *((f"stopped by the gate of {LABELS.get(name, name)}", share(n)) for name, n in tally.stopped.most_common()),
        *((f"failed: {name}", share(n)) for name, n in tally.failed.most_common()),
        ("improvements", str(len(tally.better))),
        ("synthesised audio", f"{tally.seconds:.0f} s"),
    ]


def run_facts(run: Run, past: History) -> list[tuple[str, str]]:
    """The target, the strategy and further facts of a run, each with its name."""
    with guard_types(run.path, "inputs"):
        target = run.facts.get("inputs", {}).get("target", {})
        summary, note = str(target.get("summary", "-")), str(target.get("heldout_note", "-"))
    search = ("strategy", "seed", "language", "synthesiser", "synthesiser_identity", "encoders")
    names = (*search, "target_sha256", "base_voices")
    values = [(name.replace("_", " "), fact(run, name)) for name in names]
    facts = [("target", summary), ("held out", note), *values, ("generations", str(past.tally.generations))]
    return [(name, text) for name, text in facts if text]


def fact(run: Run, name: str) -> str:
    """A fact of a run as text; a dash where the run does not have it."""
    value: Any = run.about.get(name, "-")
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def versions(run: Run) -> list[tuple[str, str]]:
    """Versions of the packages that the run began with."""
    with guard_types(run.path, "versions"):
        return [(str(name), str(version)) for name, version in run.about.get("versions", {}).items()]


def heldout_texts(run: Run) -> list[str]:
    """The texts that a run is judged by, in their order."""
    with guard_types(run.path, "inputs"):
        return [str(text) for text in run.facts.get("inputs", {}).get("heldout_texts", [])]


def scored_texts(run: Run) -> list[str]:
    """The texts that a run scores, the target text first."""
    with guard_types(run.path, "texts"):
        return [str(text) for text in run.facts.get("texts", [])]


def of_lengths(texts: Sequence[str], places: Iterable[int]) -> list[int]:
    """Of the ``places`` in ``texts`` at most :data:`TEXTS`: the shortest and longest text and some between, sorted."""
    ordered = sorted(places, key=lambda place: len(texts[place]))
    wanted = np.linspace(0, len(ordered) - 1, min(TEXTS, len(ordered))).round().astype(int)
    return [ordered[place] for place in wanted]


def picture(title: str, content: bytes, words: str) -> Picture:
    """A PNG within the page."""
    return Picture(title, data_uri(content, "image/png"), words)


def figure(value: float | None, decimals: int) -> str:
    """A figure of a table; a dash where there is none."""
    return "–" if value is None or not np.isfinite(value) else f"{value:.{decimals}f}"

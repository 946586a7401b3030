"""``task=runs``: lists, shows and compares runs, and exports their candidates as CSV."""

from __future__ import annotations

import csv as tables
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from kvw.config.invocation import Invocation
from kvw.config.schema import several
from kvw.errors import KvwError, some_failed
from kvw.runs import folders
from kvw.runs.comparison import differing_settings, run_label
from kvw.runs.reader import Run, open_runs
from kvw.runs.result import figures_line
from kvw.runs.statistics import Tally
from kvw.runtime.files import partial_of, retry
from kvw.runtime.locks import holder
from kvw.text import aligned, shell, shortened

log = logging.getLogger(__name__)

NEAREST, LATEST = 5, 20
"""Stock voices and improvements that are shown of a run."""

HELDOUT = ("held-out", "cam++", "misheard", "quality")
"""The columns of the result's figures on held-out texts."""

HEAD = ("run", "status", "target", "strategy", "seed", "steps", "score", "stock", *HELDOUT, "verdict", "synthesiser")

COMPARED = {"best stock voice": "stock", "start": "start", "result": "best"}
"""The voices whose figures on held-out texts are shown, with their roles."""

LEFT = 4
"""The columns of the table of runs, and how many of them are flush left."""

FIXED = ("run", "step", "generation", "status", "stage", "score", "target_similarity")
"""The first columns of the CSV; then the stages, ``synthesised``, the strategies' notes, and ``detail``."""


def runs(invocation: Invocation, *, csv: str | None) -> float:
    """Prints the runs that the key ``run`` names: all as a table, one in detail, several with their differences.

    Args:
        invocation: of which ``run`` of the config counts.
        csv: a file to write every candidate of these runs to; null writes none.

    Returns:
        how many runs.

    Raises:
        KvwError: a named run is missing or can't be read; or ``csv`` lacks runs that could not be read.
    """
    cfg, outputs = invocation.cfg, invocation.outputs
    if csv is not None and (not csv.strip() or Path(csv).is_dir()):
        raise KvwError(f"task.csv: expected the path of a file; got {csv!r}; give task.csv=FILE, or null")
    unreadable: list[tuple[Path, str]] = []
    if names := [] if cfg.run is None else several(cfg.run):
        chosen = [Run(folders.named(str(name), outputs)) for name in names]
        say(described(chosen[0]) if len(chosen) == 1 else compared(chosen, outputs))
    else:
        chosen, unreadable = open_runs(outputs)
        lines, failed = listed(chosen, outputs)
        say(lines if chosen else [f"There are no runs below {outputs}"])
        for why in (*(why for _, why in unreadable), *failed):
            log.warning("%s", why)
    if csv is not None:
        failed = [*(str(folder) for folder, _ in unreadable), *export(chosen, outputs, Path(csv))]
        if failed:
            raise some_failed(failed, len(chosen) + len(unreadable), "runs", f"; {csv} lacks what can't be read")
    return float(len(chosen))


def say(lines: Sequence[str]) -> None:
    """Logs lines; a line break within a line, which a stranger's record may have, becomes a space."""
    log.info("%s", "\n".join(" ".join(line.splitlines()) for line in lines))


def listed(chosen: Sequence[Run], outputs: Path) -> tuple[list[str], list[str]]:
    """A table with a line for each run, and the errors of the runs that can't be read."""
    rows: list[tuple[str, ...]] = [HEAD]
    failed = []
    for run in chosen:
        try:
            rows.append(overview(run, outputs))
        except KvwError as error:
            failed.append(str(error))
    return aligned(rows, LEFT), failed


def overview(run: Run, outputs: Path) -> tuple[str, ...]:
    """A run's cells of the table.

    Only a page or two of the run's record is read, however long it is: a lab has a thousand runs.
    """
    best, about = run.best, run.about
    return (
        run_label(run, outputs),
        run.status,
        *(word(about.get(name, "-")) for name in ("target", "strategy", "seed")),
        str(run.steps),
        number(best and best[1].score, 2),
        number(run.stock_score, 2),
        *(best_heldout.cells() if (best_heldout := run.heldout.get("best")) else "-" * len(HELDOUT)),
        run.verdict or "-",
        word(about.get("synthesiser", "-")),
    )


def described(run: Run) -> list[str]:
    """A run in detail, as lines."""
    about = {name: word(value) for name, value in run.about.items()}
    status, stock, limit = run.status, run.stock, run.config.get("step_limit")
    tally = Tally()
    tally.better = list(run.improvements(tally.count(run.candidates())))
    full = {one.name: one for one in stock if one.ranking == "full"}
    nearest = [full.get(one.name, one) for one in stock if one.ranking != "full"][:NEAREST]
    latest = tally.better[-LATEST:]
    lines = [
        f"{run.folder}: {status}",
        f"Target: {about.get('target', '-')}, sha256 {about.get('target_sha256', '-')[:12]}, "
        f"language {about.get('language', '-')}",
        f"Strategy: {about.get('strategy', '-')}, seed {about.get('seed', '-')}",
        f"Synthesiser: {about.get('synthesiser', '-')}, {about.get('synthesiser_identity', '-')}",
        f"Nearest of {len([one for one in stock if one.ranking != 'full'])} stock voices:",
        *indented([(one.name, figures_line(one.evaluation)) for one in nearest]),
        f"Candidates: {tally.steps}{f' of {word(limit)}' if limit else ''} in {tally.generations} generations",
        f"Outcomes: {tally}",
        f"Improvements: {len(tally.better)}{f', the last {LATEST}' if len(latest) < len(tally.better) else ''}",
        *indented([(f"step {one.step}", figures_line(one.evaluation, one.notes)) for one in latest]),
    ]
    if tally.better and full:
        score = tally.better[-1].evaluation.score
        gain = score - max(one.evaluation.score for one in full.values())
        lines.append(f"Score: {score:.2f}, {gain:+.2f} over the best stock voice")
    if heldout := run.heldout:
        rows = [("", *HELDOUT), *((name, *heldout[role].cells()) for name, role in COMPARED.items() if role in heldout)]
        lines += ["On held-out texts:", *indented(rows), f"Verdict: {run.verdict or '-'}"]
    if status == "running":
        lines.append(f"At work: process {holder(run.folder)}")
    if status == "stopped":
        lines.append(f"Go on: python -m kvw resume={shell(str(run.folder))}")
    return lines


def compared(chosen: Sequence[Run], outputs: Path) -> list[str]:
    """The config keys in which the runs differ, and below them the table of the runs.

    The recording's digest, the synthesiser and the versions, which are not in the config, are compared as well.
    """
    differ = differing_settings(chosen)
    lines = ["The runs have the same config"]
    if differ:
        head = ("differs", *(run_label(run, outputs) for run in chosen))
        rows = [(word(key), *map(word, texts)) for key, texts in differ.items()]
        lines = aligned([head, *rows], len(head))
    return [*lines, "", *aligned([HEAD, *(overview(run, outputs) for run in chosen)], LEFT)]


def export(chosen: Sequence[Run], outputs: Path, path: Path) -> list[str]:
    """Writes every candidate of the runs as CSV: numbers to their last digit, an empty cell for a missing one.

    Returns:
        the runs that can't be read to their end: the reason is logged, and the file has the candidates before it.

    Raises:
        StorageError: the storage is full, broken or gone; a file that was there is as it was.
        OSError: ``path`` can't be written; the same.
    """
    failed = []
    ends: list[int] = []
    parts: dict[str, None] = {}
    notes: dict[str, None] = {}
    for run in chosen:  # all names come before the first line, and a lab's candidates don't fit into memory
        ends.append(-1)
        try:
            for one in run.candidates():
                parts.update(dict.fromkeys(one.evaluation.parts))
                notes.update(dict.fromkeys(one.notes))
                ends[-1] = one.step
        except KvwError as error:
            failed.append(run_label(run, outputs))
            log.error("%s", error)
    taken = {*FIXED, *parts, "synthesised", "detail"}
    head = [*FIXED, *parts, "synthesised", *(f"{n} (note)" if n in taken else n for n in notes), "detail"]

    def make() -> None:
        partial = partial_of(path)
        try:
            with partial.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
                lines = tables.writer(file, lineterminator="\n")
                lines.writerow(head)
                for run, end in zip(chosen, ends, strict=True):
                    lines.writerows(cells(run, end))
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def cells(run: Run, end: int) -> Iterator[list[object]]:
        name = run_label(run, outputs)
        for one in run.candidates() if end >= 0 else ():
            seen = one.evaluation
            yield [
                *(name, one.step, one.generation, seen.status, seen.stage, seen.score, seen.target_similarity),
                *(seen.parts.get(part, "") for part in parts),
                seen.synthesised,
                *(one.notes.get(note, "") for note in notes),
                seen.detail,
            ]
            if one.step >= end:
                return

    path.parent.mkdir(parents=True, exist_ok=True)
    retry(path, make)
    log.info("Every candidate is in %s", path)
    return failed


def word(value: object) -> str:
    """A value in a table or line."""
    return shortened(str(value))


def number(value: float | None, decimals: int) -> str:
    """A figure in a table."""
    return "-" if value is None else f"{value:.{decimals}f}"


def indented(rows: Sequence[Sequence[str]]) -> list[str]:
    """Pairs as lines below another."""
    return [f"  {line}" for line in aligned(rows, 2)]

"""What a sweep leaves: a table and a figure over its jobs.

Each job writes :data:`RECORD` into its folder: jobs may run in processes of their own, and a file is what all launchers
have in common. :func:`conclude` reads the records, and the ``result.json`` of each job's run, when the sweep has ended.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kvw.disk import write_whole
from kvw.table import aligned

log = logging.getLogger(__name__)

RECORD = "job.json"

FIGURES = (
    "score",
    "target_similarity",
    "heldout",
    "stock_score",
    "stock_heldout",
    "evaluations",
    "synthesised_seconds",
    "seconds",
)
"""What is read from a job's result: columns of ``sweep.csv``."""

AVERAGED = {
    "score": ("score", 2),
    "heldout": ("held-out", 3),
    "evaluations": ("evaluations", 0),
    "synthesised_seconds": ("synthesised s", 0),
}
"""What the table averages over seeds: the name for people, and decimals."""

MAX_DRAWN = 40
"""Settings in one figure."""

MAX_VALUE = 40
"""Letters of a value in a table or figure; ``sweep.csv`` has all."""


@dataclass
class Job:
    """One job of a sweep.

    Attributes:
        number: from 0 on.
        overrides: what it was told, by key.
        error: one line, or None.
        run: its run folder, relative to the sweep's; empty if there is none.
        figures: by the keys of :data:`FIGURES`; empty if it has no result.
    """

    number: int
    overrides: dict[str, str]
    error: str | None = None
    run: str = ""
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """``done`` or ``failed``."""
        return "failed" if self.error else "done"


@dataclass
class Setting:
    """Jobs that differ in their seed alone.

    Attributes:
        values: of the swept keys but the seed, in their order.
        jobs: all of them, failed ones included.
    """

    values: tuple[str, ...]
    jobs: list[Job]

    def figure(self, name: str) -> list[float]:
        """A figure of each job that has a result."""
        return [job.figures[name] for job in self.jobs if job.figures]

    def label(self, keys: Sequence[str]) -> str:
        """The setting in short lines, with the last words of its keys where they are enough."""
        last = [key.rpartition(".")[2] for key in keys]
        names = last if len(set(last)) == len(keys) else keys
        pairs = [f"{name}={shortened(value)}" for name, value in zip(names, self.values, strict=True)]
        lines: list[str] = []
        for pair in pairs:
            if lines and len(lines[-1]) + len(pair) < MAX_VALUE:
                lines[-1] += f", {pair}"
            else:
                lines.append(pair)
        return ",\n".join(lines) or "all jobs"


def record(folder: Path, number: int, overrides: Sequence[str], error: str | None) -> None:
    """Writes a job's record into its folder.

    Raises:
        OSError: it can't be written.
    """
    entry = {"job": number, "overrides": list(overrides), "error": error, "ended": time.time()}
    write_whole(folder / RECORD, (json.dumps(entry, indent=2, ensure_ascii=False) + "\n").encode())


def conclude(folder: Path, since: float) -> bool:
    """Writes ``sweep.csv``, ``sweep.txt`` and ``sweep.png`` over the jobs below ``folder``, and logs the table.

    A sweep without results and failures, such as a dry run, has no table.

    Args:
        folder: of the sweep.
        since: seconds of the epoch; a record from before is an earlier sweep's.

    Returns:
        whether a job failed.

    Raises:
        OSError: the folder can't be written.
    """
    jobs = collect(folder, since)
    if not any(job.error or job.figures for job in jobs):
        return False
    keys = swept(jobs)
    settings = grouped(jobs, keys)
    keys = [key for key in keys if key != "seed"]
    text = table(settings, keys)
    write_whole(folder / "sweep.csv", as_csv(jobs).encode())
    write_whole(folder / "sweep.txt", f"{text}\n".encode())
    log.info("\n%s", text)
    made = ["sweep.csv", "sweep.txt"]
    if any(job.figures for job in jobs):
        write_whole(folder / "sweep.png", figure(settings, keys))
        made.append("sweep.png")
    log.info("Sweep: %s", ", ".join(str(folder / name) for name in made))
    return any(job.error for job in jobs)


def collect(folder: Path, since: float = 0.0) -> list[Job]:
    """The jobs that left a record below ``folder`` since then, by their numbers."""
    jobs = []
    for path in folder.rglob(RECORD):
        entry = json.loads(path.read_text(encoding="utf-8"))
        if entry["ended"] < since:
            continue
        job = Job(entry["job"], dict(map(split, entry["overrides"])), entry["error"])
        results = sorted(path.parent.glob("*/result.json"), key=lambda result: result.stat().st_mtime)
        if results and not job.error:
            job.run = str(results[-1].parent.relative_to(folder))
            job.figures = figures(json.loads(results[-1].read_text(encoding="utf-8")))
        jobs.append(job)
    return sorted(jobs, key=lambda job: job.number)


def split(override: str) -> tuple[str, str]:
    """Key and value of an override in Hydra's words, the value without its quotes."""
    key, _, value = override.partition("=")
    if len(value) > 1 and value[0] == value[-1] == "'":
        value = value[1:-1].replace("\\'", "'")
    return key.lstrip("+"), value


def figures(result: Mapping[str, Any]) -> dict[str, float]:
    """What a sweep compares, from the content of a ``result.json`` (see :func:`kvw.results.report`)."""
    voices = list(result["voices"].values())
    stock, best = voices[0], voices[-1]
    return {
        "score": best["score"],
        "target_similarity": best["target_similarity"],
        "heldout": float(np.mean(best["heldout"])),
        "stock_score": stock["score"],
        "stock_heldout": float(np.mean(stock["heldout"])),
        "evaluations": result["evaluations"],
        "synthesised_seconds": result["synthesised_seconds"],
        "seconds": result["seconds"],
    }


def swept(jobs: Sequence[Job]) -> list[str]:
    """The keys in which jobs differ, in the order in which they were given."""
    keys = dict.fromkeys(key for job in jobs for key in job.overrides)
    return [key for key in keys if len({job.overrides.get(key) for job in jobs}) > 1]


def grouped(jobs: Sequence[Job], keys: Sequence[str]) -> list[Setting]:
    """The jobs by their settings of ``keys``, the seed left out; in the order of their first jobs."""
    settings: dict[tuple[str, ...], Setting] = {}
    for job in jobs:
        values = tuple(job.overrides.get(key, "") for key in keys if key != "seed")
        settings.setdefault(values, Setting(values, [])).jobs.append(job)
    return list(settings.values())


def as_csv(jobs: Sequence[Job]) -> str:
    """One line a job: what was swept, how it ended, and its figures."""
    keys = swept(jobs)
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["job", *keys, "status", "error", *FIGURES, "run"])
    for job in jobs:
        told = [job.overrides.get(key, "") for key in keys]
        measured = [job.figures.get(name, "") for name in FIGURES]
        lines.writerow([job.number, *told, job.status, job.error or "", *measured, job.run])
    return text.getvalue()


def table(settings: Sequence[Setting], keys: Sequence[str]) -> str:
    """The settings as text: mean and sample standard deviation over their jobs; then the jobs that failed.

    Args:
        settings: as from :func:`grouped`.
        keys: of their values.
    """
    rows = [(*keys, "jobs", *(name for name, _ in AVERAGED.values()))]
    for setting in settings:
        cells = [spread(setting.figure(name), decimals) for name, (_, decimals) in AVERAGED.items()]
        rows.append((*map(shortened, setting.values), str(len(setting.figure("score"))), *cells))
    failed = sorted((job for setting in settings for job in setting.jobs if job.error), key=lambda job: job.number)
    return "\n".join([*aligned(rows, len(keys)), *(f"job {job.number} failed: {job.error}" for job in failed)])


def spread(values: Sequence[float], decimals: int) -> str:
    """Mean and sample standard deviation, ``77.20 ± 0.41``; the mean alone of one value, ``-`` of none."""
    if not values:
        return "-"
    mean = f"{np.mean(values):.{decimals}f}"
    return mean if len(values) < 2 else f"{mean} ± {np.std(values, ddof=1):.{decimals}f}"


def shortened(text: str) -> str:
    """``text`` on one line, its middle left out above :data:`MAX_VALUE`: a path ends in what matters."""
    text, half = " ".join(text.split()), MAX_VALUE // 2
    return text if len(text) <= MAX_VALUE else f"{text[: half - 1]}…{text[-half:]}"


def figure(settings: Sequence[Setting], keys: Sequence[str]) -> bytes:
    """Score and held-out similarity of each setting as a PNG: every job, their mean, and its standard deviation.

    Above :data:`MAX_DRAWN` settings it shows those with the best mean scores, and says so.

    Args:
        settings: as from :func:`grouped`, one with a result at least.
        keys: of their values.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import
    from matplotlib.figure import Figure

    drawn = [setting for setting in settings if setting.figure("score")]
    title = f"{sum(len(setting.figure('score')) for setting in drawn)} jobs"
    if len(drawn) > MAX_DRAWN:
        title += f", the best {MAX_DRAWN} of {len(drawn)} settings"
        best = sorted(drawn, key=lambda setting: -np.mean(setting.figure("score")))[:MAX_DRAWN]
        drawn = [setting for setting in drawn if setting in best]
    labels = [setting.label(keys) for setting in drawn]
    height = sum(label.count("\n") + 1.6 for label in labels)  # in lines of text
    width = max(len(line) for label in labels for line in label.splitlines())
    chart = Figure(figsize=(8 + 0.075 * width, 1.6 + 0.2 * max(height, 4)), dpi=120, layout="constrained")
    FigureCanvasAgg(chart)
    places = np.arange(len(drawn))
    left, right = chart.subplots(1, 2, sharey=True)
    for axes, name, stock in ((left, "score", "stock_score"), (right, "heldout", "stock_heldout")):
        for place, setting in zip(places, drawn, strict=True):
            values = setting.figure(name)
            apart = np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else [0.0]
            axes.plot(values, place + np.asarray(apart), "o", color="C0", alpha=0.4, markersize=4, zorder=2)
            deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
            mean = float(np.mean(values))
            axes.errorbar(mean, place, xerr=deviation, fmt="D", color="C0", capsize=3, markersize=5, zorder=3)
            axes.plot(np.mean(setting.figure(stock)), place, "|", color="0.4", markersize=14, zorder=1)
        axes.grid(axis="x", alpha=0.3)
        axes.margins(x=0.08)
        axes.set_ylim(len(drawn) - 0.5, -0.5)
    left.set_yticks(places, labels, fontsize=9, parse_math=False)  # a file name may have a $
    left.set_xlabel("score")
    right.set_xlabel("held-out similarity")
    handles = [
        left.plot([], [], "o", color="C0", alpha=0.4, markersize=4, label="a job")[0],
        left.errorbar([], [], xerr=[], fmt="D", color="C0", capsize=3, label="mean ± standard deviation"),
        left.plot([], [], "|", color="0.4", markersize=12, label="best stock voice")[0],
    ]
    chart.legend(handles=handles, title=title, loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    content = io.BytesIO()
    chart.savefig(content, format="png")
    return content.getvalue()

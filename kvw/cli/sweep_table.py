"""The jobs of a sweep, read from their folders, and the table over them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kvw.runs.result import FIGURES, result_figures
from kvw.text import MAX_VALUE, aligned, shortened

RECORD = "job.json"


AVERAGED = {
    "score": ("score", 2),
    "heldout": ("held-out", 3),
    "evaluations": ("evaluations", 0),
    "synthesised_seconds": ("synthesised s", 0),
}
"""What the table averages over seeds: the name for people, and decimals."""


@dataclass
class Job:
    """One job of a sweep.

    Attributes:
        number: from 0 on.
        overrides: values of the command line's overrides, by key.
        error: one line, or None.
        run: its run folder, relative to the sweep's; empty if there is none.
        figures: by the keys of :data:`kvw.runs.result.FIGURES`; empty if it has no result.
        identity: no other job's, of whatever sweep.
    """

    number: int
    overrides: dict[str, str]
    error: str | None = None
    run: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    identity: str = ""

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


def collect(folder: Path, earlier: Collection[str] = ()) -> list[Job]:
    """The jobs that left a record below ``folder``, but for ``earlier`` ones by identity, by their numbers."""
    jobs = []
    for path in folder.rglob(RECORD):
        entry = json.loads(path.read_text(encoding="utf-8"))
        identity = entry.get("id", "")  # earlier versions gave none
        if identity in earlier:
            continue
        job = Job(entry["job"], dict(map(split, entry["overrides"])), entry["error"], identity=identity)
        results = sorted(path.parent.glob("*/result.json"), key=lambda result: result.stat().st_mtime)
        if results and not job.error:
            job.run = str(results[-1].parent.relative_to(folder))
            job.figures = result_figures(json.loads(results[-1].read_text(encoding="utf-8")))
        jobs.append(job)
    return sorted(jobs, key=lambda job: job.number)


def split(override: str) -> tuple[str, str]:
    """Key and value of an override in Hydra's words, the value without its quotes."""
    key, _, value = override.partition("=")
    if len(value) > 1 and value[0] == value[-1] == "'":
        value = value[1:-1].replace("\\'", "'")
    return key.lstrip("+"), value


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
    """CSV with a line a job: the swept values, how the job ended, and its figures."""
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

"""Everything that may go wrong with a run, at full load: half an hour on two cores, and one table.

``python -m tests.stress`` runs all of :data:`JOBS`, ``python -m tests.stress crashes signals.races`` some. Those of
:data:`LIGHT` fork, and run in processes that have not imported torch.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias
from unittest import mock

from kvw.text import aligned
from tests.stress.folders import folder
from tests.stress.rows import Row

Figures: TypeAlias = dict[str, Any]
"""A :class:`tests.stress.rows.Row` as JSON has it."""

LIGHT = ("crashes", "corruption", "storage", "signals", "endurance")
"""Modules that run themselves: ``python -m tests.stress.crashes 'kills={"count": 5}'``."""

JOBS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("crashes.every_point", {}),
    ("crashes.recovery", {}),
    ("crashes.kills", {"count": 500}),
    ("crashes.stops", {}),
    ("crashes.interrupted", {}),
    ("corruption.records", {}),
    ("corruption.voices", {}),
    ("storage.lasting", {}),
    ("storage.lasting", {"reads": True}),
    ("storage.passing", {}),
    ("storage.full", {}),
    ("signals.moments", {"count": 30}),
    ("signals.everywhere", {"every": 20}),
    ("signals.refused", {}),
    ("signals.races", {}),
    ("signals.names", {}),
    ("faults.bad_evaluations", {"every": True}),
    ("faults.bad_evaluations", {"names": ["genetic", "cma"], "steps": 400, "batch": 3}),
    ("faults.bad_evaluations", {"names": ["genetic"], "steps": 60, "batch": 3, "real": True}),
    ("faults.all_fail", {}),
    ("faults.at_first", {}),
    ("deaths.deaths", {}),
    ("determinism.bit_equal", {}),
    ("audio.check", {}),
    ("hostile.voices", {}),
    ("hostile.configs", {}),
    ("hostile.names", {}),
    ("beside.exports", {}),
    ("beside.sweeps", {}),
    ("beside.unheard", {}),
    ("endurance.search", {}),
    ("endurance.search", {"names": ["random_walk"], "steps": 4000, "real": True}),
)
"""A module's scenario, and its arguments."""

LANES = 2
"""Jobs at a time."""

LONGEST = 1500
"""Seconds after which a job hangs."""

TOLD = "rows"
"""The first argument with which this module runs one job and prints its rows as lines of JSON."""


def audio_check() -> list[Row]:
    """:func:`tests.stress.audio.check`."""
    from tests.stress import audio

    return adapted("hostile recordings", audio.check, lambda one: "" if one.right and one.cheap else f"{one}")


def hostile(name: str) -> list[Row]:
    """A scenario of :mod:`tests.stress.hostile`."""
    from tests.stress import hostile as module

    def wrong(one: Any) -> str:
        return "" if one.verdict == one.expected and not one.executions else f"{one.verdict}, not {one.expected}"

    def act(inside: Path) -> Sequence[Any]:
        if name == "configs":
            return module.configs()
        module.warm_up()
        os.chdir(inside)
        with mock.patch("os.fsync"):  # a thousand files
            return list(getattr(module, name)(inside))

    return adapted(f"hostile {name}", act, wrong)


def adapted(name: str, act: Callable[[Path], Sequence[Any]], wrong: Callable[[Any], str]) -> list[Row]:
    """One row for verdicts of another form."""
    found, started, here = Row(name), time.monotonic(), Path.cwd()
    with folder() as inside:
        for one in act(inside):
            found.add(one.name, wrong(one))
        os.chdir(here)
    found.seconds = round(time.monotonic() - started, 2)
    return [found]


def here(job: str, more: Mapping[str, Any]) -> list[Row]:
    """The rows of a job, run in this process."""
    module, _, scenario = job.partition(".")
    if module == "audio":
        return audio_check()
    if module == "hostile":
        return hostile(scenario)
    rows: list[Row] = getattr(importlib.import_module(f"tests.stress.{module}"), scenario)(**more)
    return rows


def elsewhere(job: str, more: Mapping[str, Any]) -> list[Figures]:
    """The rows of a job, run in a process of its own; one that says so where that fails."""
    module, _, scenario = job.partition(".")
    told = json.dumps(more)
    arguments = (
        [f"tests.stress.{module}", f"{scenario}={told}"] if module in LIGHT else ["tests.stress", TOLD, job, told]
    )
    started = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            env={**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")},
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )
        out, problem = done.stdout, f"exited with {done.returncode}: {done.stderr[-300:]}" if done.returncode else ""
    except subprocess.TimeoutExpired:
        out, problem = "", f"took more than {LONGEST} s"
    rows: list[Figures] = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    if problem or not rows:
        lost = Row(job, 1, 0, seconds=round(time.monotonic() - started, 2), failures=[problem or "no rows"])
        rows.append(dataclasses.asdict(lost))
    sys.stderr.write(f"{job} {told}: {sum(row['passed'] for row in rows)} of {sum(row['cases'] for row in rows)}\n")
    return rows


def table(rows: Sequence[Figures]) -> list[str]:
    """All rows as lines."""
    head = ("test", "load", "passed", "seconds", "what failed")
    cells = [
        (
            row["name"],
            row["note"],
            f"{row['passed']} of {row['cases']}",
            f"{row['seconds']:.1f}",
            " ".join("; ".join(row["failures"]).split())[:200],
        )
        for row in rows
    ]
    return aligned([head, *cells], len(head))


def main() -> int:
    """Runs jobs by the command line; the exit status."""
    given = sys.argv[1:]
    if given[:1] == [TOLD]:
        for row in here(given[1], json.loads(given[2])):
            sys.stdout.write(json.dumps(dataclasses.asdict(row)) + "\n")
        return 0
    jobs = [(job, more) for job, more in JOBS if not given or any(f"{job}.".startswith(f"{one}.") for one in given)]
    started = time.monotonic()
    with ThreadPoolExecutor(LANES) as lanes:
        rows = [row for some in lanes.map(lambda job: elsewhere(*job), jobs) for row in some]
    failed = sum(row["cases"] - row["passed"] for row in rows)
    total = sum(row["cases"] for row in rows)
    seconds = time.monotonic() - started
    lines = [*table(rows), "", f"{total - failed} of {total} cases passed in {seconds:.0f} s"]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if failed or not rows else 0


if __name__ == "__main__":
    sys.exit(main())

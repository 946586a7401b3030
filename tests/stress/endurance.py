"""A long search while others read its record all the time: nobody waits for anybody, and nothing grows."""

from __future__ import annotations

import ctypes
import dataclasses
import signal
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from kvw.runs.folders import RECORD
from kvw.runs.reader import Run
from kvw.search.archive import Archive
from kvw.search.candidate import Candidate
from kvw.search.observer import Observer
from tests.stress.cases import Case, chosen, run
from tests.stress.children import Child
from tests.stress.folders import folder
from tests.stress.rows import Row, main, row
from tests.stress.world import Count

GROWTH = 0.05
"""Share of its memory by which the driver may grow."""

WAL_MIB = 64.0
"""Size that the record's log may reach."""

LONGEST = 1500
"""Seconds after which a process hangs."""

STOP = Count(1)


def resident() -> int:
    """Bytes of memory of this process; 0 where that can't be told.

    What glibc keeps of freed memory, up to 64 MiB, is given back first: it comes and goes, and hides what leaks.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


class Gauge(Observer):
    """Measures the driver's memory behind a tenth of the steps and ahead of the end, and the log all the time.

    Of each stretch, a tenth of the steps, the least counts: what leaks is not given back.
    """

    def __init__(self, inside: Path, steps: int) -> None:
        self.stretch = steps // 10
        self.steps, self.log = steps, inside / f"{RECORD}-wal"
        self.early = self.late = self.wal = 0

    def __call__(self, generation: int, population: Sequence[Candidate], archive: Archive) -> None:
        """Looks."""
        if self.log.exists():
            self.wal = max(self.wal, self.log.stat().st_size)
        if self.stretch <= archive.steps < 2 * self.stretch:
            self.early = min(self.early or resident(), resident())
        if self.steps - self.stretch <= archive.steps:
            self.late = min(self.late or resident(), resident())


def drive(inside: Path, case: Case, steps: int) -> dict[str, float]:
    """The search, in a child."""
    signal.alarm(LONGEST)
    gauge = Gauge(inside, steps)
    started = time.monotonic()
    run(inside, case, -(-steps // case.size), watcher=gauge)
    return {**{name: getattr(gauge, name) for name in ("early", "late", "wal")}, "seconds": time.monotonic() - started}


def read(inside: Path, case: Case, me: int) -> dict[str, Any]:
    """Reads the record until :data:`STOP`; in a child. What it found wrong, and how often it has read what."""
    signal.alarm(LONGEST)
    wrong: list[str] = []
    counts: Counter[str] = Counter()
    while not (inside / RECORD).is_file():
        time.sleep(0.001)
    found = Run(inside)
    steps = 0
    while not STOP.values[0] and len(wrong) < 5:
        kind = ("status", "best", "candidates", "stock", "utterances")[(counts.total() + me) % 5]
        counts[kind] += 1
        if kind == "status":
            before, steps = steps, found.steps
            generations = found.generations
            if found.status not in ("running", "stopped") or steps < before or not steps <= generations * 5 * case.size:
                wrong.append(f"{found.status}, {before} then {steps} steps, {generations} generations")
        if kind == "best":
            best = found.best
            if best and not (best[1].complete and best[0] < found.steps):
                wrong.append(f"best is {best}")
        if kind == "stock" and len(found.stock) not in (0, 6 + 4):
            wrong.append(f"{len(found.stock)} stock voices")
        if kind == "utterances":
            counts["rows"] += sum(1 for _ in zip(found.utterances(), range(1000), strict=False))
        if kind == "candidates":
            least = found.steps
            samples = [(one.step, one.generation) for one in found.candidates()]
            counts["rows"] += len(samples)
            sizes = Counter(generation for _, generation in samples)
            if [step for step, _ in samples] != list(range(len(samples))) or len(samples) < least:
                wrong.append(f"{len(samples)} candidates with gaps, of {least}")
            if any(size != case.size for generation, size in sizes.items() if generation):
                wrong.append(f"generations of {set(sizes.values())} candidates")
    return {"wrong": wrong, "asked": sum(counts.values()) - counts["rows"], "rows": counts["rows"]}


def search(
    names: Sequence[str] = ("random_walk", "nsga2"),
    steps: int = 20_000,
    readers: int = 4,
    growth: float = GROWTH,
    wal: float = WAL_MIB,
    real: bool = False,
) -> list[Row]:
    """A search beside readers: no error on either side, whole generations, bounded memory and log.

    Args:
        names: of cases, whose generations have one size but for the first.
        steps: candidates of each.
        readers: processes.
        growth: share of its memory by which the driver may grow between the second tenth of the search and the last.
        wal: MiB that the log may have.
        real: whether voices have all of their rows, and improvements are written as files.
    """
    rows = []
    for case in (dataclasses.replace(one, real=real) for one in chosen(names)):
        what = f"{steps} candidates, {readers} readers{', whole voices' * real}: {case.name}"
        with row(what) as found, folder() as inside:
            rows.append(found)
            STOP.values[0] = 0
            driver = Child(partial(drive, inside, case, steps))
            others = [Child(partial(read, inside, case, number)) for number in range(readers)]
            outcome = driver.wait()
            STOP.values[0] = 1
            heard = [other.wait() for other in others]
            found.add("search", outcome.error or ("" if outcome.code == 0 else f"ended with {outcome.code}"))
            found.add("search is silent", "; ".join(outcome.warnings))
            for number, one in enumerate(heard):
                problem = one.error or ("" if one.value else f"ended with {one.code}")
                found.add(f"reader {number}", problem or "; ".join((*one.value["wrong"], *one.warnings)))
            if outcome.code:
                continue
            seen = outcome.value
            grown = seen["late"] / seen["early"] - 1 if seen["early"] else 0.0
            found.add("memory", "" if grown <= growth else f"grew by {grown:.1%} from {seen['early'] >> 20} MiB")
            found.add("log", "" if seen["wal"] <= wal * 2**20 else f"{seen['wal'] / 2**20:.1f} MiB")
            whole = Run(inside)
            count = sum(1 for _ in whole.candidates())
            found.add("candidates", "" if count == whole.steps >= steps else f"{count} of {steps}")
            asked, read_rows = (sum(one.value[name] for one in heard if one.value) for name in ("asked", "rows"))
            found.note = (
                f"{seen['early'] / 2**20:.1f} MiB then {grown:+.1%}; log {seen['wal'] / 2**20:.1f} MiB; "
                f"{asked} questions, {read_rows} rows read; {1000 * seen['seconds'] / count:.1f} ms a candidate"
            )
    return rows


if __name__ == "__main__":
    main(search)

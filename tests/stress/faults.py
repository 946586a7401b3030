"""Evaluations that go wrong in every way: each is a named failure, and the search treats it as merely bad."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import kvw.executors.local
import kvw.executors.processes
import kvw.search.loop
from kvw.errors import EXIT_TOO_MANY_FAILURES, KvwError
from kvw.runs.folders import RECORD
from kvw.runs.schema import read_rows
from kvw.search.archive import Archive
from kvw.search.candidate import Candidate
from kvw.search.loop import MOST_FAILING
from kvw.search.observer import Observer
from kvw.types import Voice
from tests.stress.cases import Case, chosen
from tests.stress.fault_kinds import FAULTS, Fault
from tests.stress.faulty import Plan, Watch, run
from tests.stress.folders import folder
from tests.stress.rows import Row, row


def failed(status: object) -> bool:
    """Whether it is that of a failure."""
    return status not in ("complete", "stopped")


def plainly(state: Any) -> Any:
    """A state in which a failure is like any other: how it is named, and what was measured before, is left out."""
    if isinstance(state, list):
        return [plainly(one) for one in state]
    if not isinstance(state, dict):
        return state
    if "status" in state and failed(state["status"]):
        return {name: state[name] for name in ("score", "target_similarity")}
    return {name: plainly(value) for name, value in state.items()}


def tables(path: Path) -> dict[str, Any]:
    """All of a record in which a run with faults and one that is merely bad have to be equal."""
    with closing(sqlite3.connect(path)) as db:
        found: dict[str, Any] = {"stock": list(read_rows(path, db, "stock", "ORDER BY 1, 2"))}
        found["candidates"] = []
        for step, generation, status, score, similarity, *more, notes, rows in read_rows(
            path, db, "candidates", "ORDER BY 1"
        ):
            kept = ("failed",) if failed(status) else (status, *more)
            found["candidates"].append((step, generation, score, similarity, *kept, notes, rows))
        ((generation, text),) = read_rows(path, db, "checkpoints", "ORDER BY 1 DESC LIMIT 1")
    state = json.loads(text)
    archive = state["archive"]
    del state["seconds"], state["ranked"], archive["synthesised"]
    archive["failures"] = sum(archive["failures"].values())
    found["state"] = plainly(state)
    return found


def not_finite(path: Path) -> list[str]:
    """Where in a record there are numbers that are none."""
    wrong = []
    figures = ("score", "target_similarity", "synthesised")
    with closing(sqlite3.connect(path)) as db:
        for table in ("candidates", "stock"):
            for name in figures:
                bad = f"{name} IS NULL OR typeof({name}) != 'real' OR abs({name}) > 1e30"
                (count,) = db.execute(f"SELECT count(*) FROM {table} WHERE {bad}").fetchone()
                wrong += [f"{count} of {table}.{name}"] if count else []
        for table, column in (("candidates", "parts"), ("candidates", "notes"), ("checkpoints", "state")):
            texts = [text for (text,) in db.execute(f"SELECT {column} FROM {table}")]
            wrong += [f"{table}.{column}"] * any(re.search(r"NaN", text) for text in texts)
        for column, dtype in (("embedding", "<f4"), ("statistics", "<f8")):
            blobs = db.execute(f"SELECT {column} FROM utterances WHERE {column} IS NOT NULL").fetchall()
            count = sum(not np.isfinite(np.frombuffer(blob, dtype)).all() for (blob,) in blobs)
            wrong += [f"{count} of utterances.{column}"] if count else []
    return wrong


def hearing(names: Sequence[str]) -> list[Case]:
    """The cases of those names; of all, those that ask for no gradient.

    The speech of :mod:`tests.stress.faulty` has none; what may happen to one is in ``tests/fitness/test_gradient.py``.
    """
    return [case for case in chosen(names) if case.name != "gradient"]


def bad_evaluations(
    names: Sequence[str] = (), steps: int = 2000, batch: int = 1, real: bool = False, every: bool = False
) -> list[Row]:
    """A quarter of the candidates meets a fault; the search is that in which they are merely bad.

    Args:
        names: of cases, all if empty.
        steps: candidates of each.
        batch: voices that are spoken at once.
        real: hears and measures with the real models.
        every: whether every fault must have been met.
    """
    rows = []
    met: Counter[str] = Counter()
    for case in hearing(names):
        what = f"bad evaluations{', real models' * real}{f', batch {batch}' * (batch > 1)}: {case.name}"
        with row(what) as found, folder() as one, folder() as other:
            watch = Watch(Plan())
            try:
                result = run(one, case, steps, watch.plan, batch, real, watch)
            except Exception as error:
                found.add("ends", f"{type(error).__name__}: {error}")
                continue
            finally:
                rows.append(found)
            twin = run(other, case, steps, Plan(bad=True), batch, real)
            seen, same = tables(one / RECORD), tables(other / RECORD)
            for part in seen:
                found.add(part, "" if seen[part] == same[part] else "differs from a run with merely bad ones")
            best, another = (each.archive.best for each in (result, twin))
            alike = best is not None and another is not None and best.evaluation == another.evaluation
            alike = alike and best.voice.tobytes() == another.voice.tobytes() and best.step == another.step
            found.add("best", "" if alike else f"{best and best.step} instead of {another and another.step}")
            found.add("finite", ", ".join(not_finite(one / RECORD)))
            found.add("named", "; ".join(watch.wrong))
            met += watch.met
            found.note = (
                f"{sum(watch.met.values())} of {result.archive.steps} candidates met one of {len(watch.met)} faults"
            )
    if every:
        with row("bad evaluations: every fault was met") as found:
            for fault in FAULTS:
                found.add(fault.name, "" if met[fault.name] else "never")
        rows.append(found)
    return rows


class Sound(Plan):
    """Nobody meets a fault, until everybody does; the stock voices too, if that is wanted."""

    def __init__(self, broken: Fault | None = None) -> None:
        super().__init__()
        self.broken, self._all = broken, broken is not None

    def fault(self, voice: Voice) -> Fault | None:
        """The one that is broken."""
        return self.broken if self._all or voice.tobytes() not in self._stock else None


class Outage(Observer):
    """Breaks everything once there are so many candidates, and mends it when :data:`MOST_FAILING` have failed."""

    def __init__(self, plan: Plan, begin: int, fault: Fault) -> None:
        self.plan, self.begin, self.fault, self.over = plan, begin, fault, False

    def __call__(self, generation: int, population: Sequence[Candidate], archive: Archive) -> None:
        """Looks at the counts."""
        self.over = self.over or archive.failing >= MOST_FAILING
        self.plan.broken = self.fault if archive.steps >= self.begin and not self.over else None


KINDS = ("speech NaN (target)", "speech RuntimeError (target)", "stage NaN (self)", "hearing MemoryError (target)")
"""Names of faults that everybody meets."""


def all_fail(names: Sequence[str] = (), steps: int = 300, begin: int = 40) -> list[Row]:
    """From some step on every candidate fails: the search ends and says so, and goes on once that is mended.

    It has to end as a search that nobody stopped, and that was mended at that moment.

    Args:
        names: of cases, all if empty.
        steps: candidates of each.
        begin: step at which it begins.
    """
    rows = []
    for number, case in enumerate(hearing(names)):
        fault = next(one for one in FAULTS if one.name == KINDS[number % len(KINDS)])
        with row(f"everything fails: {case.name}, {fault.name}") as found, folder() as one, folder() as other:
            rows.append(found)
            plan = Sound()
            with mock.patch.object(kvw.search.loop, "MOST_FAILING", 10**9):
                outage = Outage(plan, begin, fault)
                whole = run(other, case, steps, plan, watch=outage)
            if not outage.over:
                found.note = f"over after {whole.archive.steps} candidates, without so many in a row"
                continue
            plan = Sound()
            code = told = None
            try:
                run(one, case, steps, plan, watch=Outage(plan, begin, fault))
            except KvwError as error:
                code, told = error.code, str(error)
            good = code == EXIT_TOO_MANY_FAILURES and told and "\n" not in told and fault.status in told
            found.add("ends", "" if good else f"{code}, {told}")
            found.add("finite", ", ".join(not_finite(one / RECORD)))
            run(one, case, steps, Sound())
            seen, same = tables(one / RECORD), tables(other / RECORD)
            for part in seen:
                found.add(part, "" if seen[part] == same[part] else "differs from a search that was mended at work")
    return rows


def at_first(names: Sequence[str] = ("genetic",), steps: int = 40) -> list[Row]:
    """On a machine where nothing can be scored the ranking ends, and says so; where that is mended the run goes on.

    Args:
        names: of cases, all if empty.
        steps: candidates of each.
    """
    rows = []
    for case in chosen(names):
        with row(f"nothing can be scored at first: {case.name}") as found, folder() as other:
            run(other, case, steps, Sound())
            for fault in (one for one in FAULTS if one.name in KINDS):
                with folder() as one:
                    code = 0
                    try:
                        run(one, case, steps, Sound(fault))
                    except KvwError as error:
                        code = error.code
                    found.add(f"{fault.name} ends", "" if code == EXIT_TOO_MANY_FAILURES else f"with {code}")
                    try:
                        run(one, case, steps, Sound())
                        wrong = "" if tables(one / RECORD) == tables(other / RECORD) else "differs"
                    except KvwError as error:
                        wrong = f"does not go on: {error}"
                    found.add(f"{fault.name} mended", wrong)
        rows.append(found)
    return rows

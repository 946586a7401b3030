"""Storage that is full, broken or read-only, at any write: a run ends and says so, or waits, and goes on later."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import kvw.runs.schema
import kvw.runs.store
import kvw.runtime.files
from kvw.errors import EXIT_CORRUPT, EXIT_STORAGE
from tests.stress.cases import chosen
from tests.stress.children import Outcome, together
from tests.stress.folders import folder
from tests.stress.hooks import At, points, watch
from tests.stress.rows import Row, main, row
from tests.stress.undisturbed import Whole, whole
from tests.stress.world import work

FAULTS = {
    errno.ENOSPC: "database or disk is full",
    errno.EIO: "disk I/O error",
    errno.EROFS: "attempt to write a readonly database",
}
"""What the system says, and SQLite."""

WRITES = frozenset(
    (
        *("lock", "open", "write", "second half", "flush", "fsync", "replace", "unlink", "mkdir"),
        *("connect", "sql CREATE", "sql BEGIN", "sql INSERT", "sql DELETE", "sql COMMIT"),
        *("sql PRAGMA journal_mode=", "sql PRAGMA user_version="),
    )
)
"""Kinds of calls that write. A ROLLBACK does not, nor does it fail."""

READS = frozenset(("sql SELECT", "sql PRAGMA integrity_check", "sql PRAGMA user_version"))


def lasting(names: Sequence[str] = (), until: int = 3, every: int = 1, reads: bool = False) -> list[Row]:
    """From some call on storage refuses; the run ends with the exit code of that, and goes on when it is mended.

    Args:
        names: of cases, all if empty.
        until: so many generations have been.
        every: only one of so many writes, of another remainder in each case; and the first of each kind
            after one of each kind.
        reads: it is not writes but reads that fail: the record may also be taken for damaged then.
    """
    kinds = READS if reads else WRITES
    return _faults(f"storage fails, {'reading' if reads else 'writing'}", _lasting, names, until, every, kinds)


def passing(names: Sequence[str] = (), until: int = 3, every: int = 1) -> list[Row]:
    """Storage refuses once or twice and then works: no run may end for that. Arguments as for :func:`lasting`."""
    return _faults("storage fails for a moment", _passing, names, until, every, WRITES)


def _faults(
    name: str,
    judge: Callable[..., tuple[str, str]],
    names: Sequence[str],
    until: int,
    every: int,
    kinds: frozenset[str],
) -> list[Row]:
    rows = []
    for number, case in enumerate(chosen(names)):
        with row(f"{name}: {case.name}") as found:
            undisturbed = whole(case)
            with folder() as inside:
                passed = [point for point in points(inside, case, until) if point.kind in kinds]
            before = ["", *(point.kind for point in passed)]
            firsts: dict[tuple[str, str], int] = {}
            for last, point in zip(before, passed, strict=False):
                firsts.setdefault((last, point.kind), point.number)
            judgements = []
            for turn, point in enumerate(passed):
                if turn % every == number % every or point.number in firsts.values():
                    code = list(FAULTS)[turn // every % len(FAULTS)]
                    judge_one = partial(judge, undisturbed, turn + 1, code, kinds)
                    judgements.append((f"at {point.number}, {point.kind}, {os.strerror(code)}", judge_one))
            together(judgements, found, 1)
            found.note = f"{len(passed)} points"
        rows.append(found)
    return rows


def refuse(code: int, kind: str) -> None:
    """Raises what the storage would."""
    if kind == "connect":
        raise sqlite3.OperationalError("unable to open database file")
    if kind.startswith("sql"):
        raise sqlite3.OperationalError(FAULTS[code])
    raise OSError(code, os.strerror(code))


def _lasting(undisturbed: Whole, number: int, code: int, kinds: frozenset[str]) -> tuple[str, str]:
    kvw.runtime.files.PAUSES = (0.0, 0.0)
    broken = True

    def action(kind: str) -> None:
        if broken:
            refuse(code, kind)

    with folder() as inside:
        work(0, 0)
        watch(At(number, action, True, kinds.__contains__))
        ended = undisturbed.go_on(inside)
        broken = False
        if ended.code == 0:  # nothing but the holder's name could not be removed
            return undisturbed.fault(inside, ended, 0), "enough"
        named = kinds == READS and ended.code == EXIT_CORRUPT and ended.clean
        wrong = "" if named else _ended(ended)
        return wrong or undisturbed.fault(inside, undisturbed.go_on(inside), None), f"code {ended.code}"


def _passing(undisturbed: Whole, number: int, code: int, kinds: frozenset[str]) -> tuple[str, str]:
    kvw.runtime.files.PAUSES = (0.0, 0.0, 0.0)
    left = 1 + number % 2

    def action(kind: str) -> None:
        nonlocal left
        if left:
            left -= 1
            refuse(code, kind)

    with folder() as inside:
        work(0, 0)
        watch(At(number, action, True, kinds.__contains__))
        return undisturbed.fault(inside, undisturbed.go_on(inside), 0), ""


def _ended(outcome: Outcome) -> str:
    if outcome.code == EXIT_STORAGE and outcome.clean:
        return ""
    return f"ended with {outcome.code} instead of {EXIT_STORAGE}: {outcome.error}"


def full(names: Sequence[str] = ("cma", "random_walk"), limits: int = 25) -> list[Row]:
    """SQLite's own "database or disk is full", and the system's "File too large", at a range of sizes.

    Args:
        names: of cases.
        limits: sizes of each kind.
    """
    rows = []
    for case in chosen(names):
        undisturbed = whole(case)
        with folder() as inside:
            undisturbed.attempt(inside)
            biggest = max(file.stat().st_size for file in inside.iterdir())
        for name, prepare, largest in (
            ("a database of so many pages", _pages, biggest // 4096),
            ("files of so many bytes", _bytes, int(biggest * 1.2)),
        ):
            with row(f"full, {name}: {case.name}") as found:
                judgements = []
                for number in range(limits):
                    limit = max(1, largest * number // limits)
                    judgements.append((f"{limit}", partial(_full, undisturbed, partial(prepare, limit))))
                together(judgements, found, 1)
            rows.append(found)
    return rows


def _full(undisturbed: Whole, prepare: Callable[[], Callable[[], None]]) -> tuple[str, str]:
    kvw.runtime.files.PAUSES = (0.0, 0.0)
    with folder() as inside:
        work(0, 0)
        mend = prepare()
        ended = undisturbed.go_on(inside)
        mend()
        if ended.code == 0:
            return undisturbed.fault(inside, ended, 0), "enough"
        return _ended(ended) or undisturbed.fault(inside, undisturbed.go_on(inside)), f"code {ended.code}"


def _pages(limit: int) -> Callable[[], None]:
    """Limits a database's pages; how to end that."""
    connect: Any = kvw.runs.store._connect

    def limited(path: Any) -> Any:
        db = connect(path)
        db.execute(f"PRAGMA max_page_count={limit}")
        return db

    kvw.runs.store._connect = limited
    return lambda: setattr(kvw.runs.store, "_connect", connect)


def _bytes(limit: int) -> Callable[[], None]:
    """Limits a file's bytes; how to end that."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


if __name__ == "__main__":
    main(lasting, passing, full)

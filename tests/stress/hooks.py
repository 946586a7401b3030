"""Acts ahead of every call that touches the storage, so that a run can be stopped at each of them."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kvw.cli.main  # registers the schema of the configuration
import kvw.runs.store
import kvw.runtime.files
import kvw.runtime.locks
from kvw.search.archive import Archive
from kvw.search.candidate import Candidate
from kvw.search.observer import Observer
from tests.stress.cases import Case, run
from tests.stress.children import fork
from tests.stress.folders import contents, put
from tests.stress.world import work

Act = Callable[[str], None]
"""What a scenario does ahead of a call of that kind: nothing, die, raise."""


class Watched:
    """A database whose statements are watched."""

    def __init__(self, db: sqlite3.Connection, act: Act) -> None:
        self._db, self._act = db, act

    def execute(self, statement: str, *values: Any) -> Any:
        """As :mod:`sqlite3`."""
        words = statement.replace("=", "= ").replace("(", " ").split()  # PRAGMA name= sets, PRAGMA name reads
        self._act(" ".join(["sql", *words[: 2 if words[0] == "PRAGMA" else 1]]))
        return self._db.execute(statement, *values)

    def close(self) -> None:
        """As :mod:`sqlite3`."""
        self._act("sql close")
        self._db.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


class WatchedFile:
    """A file that is being written, each step of which is watched."""

    def __init__(self, file: Any, act: Act) -> None:
        self._file, self._act = file, act

    def write(self, content: bytes) -> None:
        """In two halves."""
        self._act("write")
        half = len(content) // 2
        self._file.write(content[:half])
        self._file.flush()
        self._act("second half")
        self._file.write(content[half:])

    def flush(self) -> None:
        """As a file."""
        self._act("flush")
        self._file.flush()

    def __enter__(self) -> WatchedFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def watch(act: Act) -> None:
    """Lets ``act`` run ahead of everything that touches the storage, from now on: in a child of :func:`fork` alone."""
    connect, opened, fsync = kvw.runs.store._connect, Path.open, os.fsync

    def ahead(kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            act(kind)
            return function(*args, **more)

        return call

    def open_watched(path: Path, mode: str = "r", *args: Any, **more: Any) -> Any:
        if mode != "wb":
            return opened(path, mode, *args, **more)
        act("open")
        return WatchedFile(opened(path, mode, *args, **more), act)

    kvw.runs.store._connect = lambda path: Watched(ahead("connect", connect)(path), act)  # type: ignore[assignment,return-value]
    Path.open = open_watched  # type: ignore[assignment,method-assign]
    kvw.runtime.files.os = SimpleNamespace(**{**vars(os), "fsync": ahead("fsync", fsync)})  # type: ignore[assignment]
    for name in ("replace", "unlink", "mkdir"):
        setattr(Path, name, ahead(name, getattr(Path, name)))
    lock: Any = kvw.runtime.locks.FileLock
    lock.acquire, lock.release = ahead("lock", lock.acquire), ahead("unlock", lock.release)


class At:
    """Acts ahead of call ``number``, counted from 1, and in ``lasting`` ahead of all that follow; counts the calls."""

    def __init__(
        self, number: int, action: Act, lasting: bool = False, only: Callable[[str], bool] | None = None
    ) -> None:
        self.calls, self._number, self._action, self._lasting, self._only = 0, number, action, lasting, only

    def __call__(self, kind: str) -> None:
        """Ahead of a call."""
        if self._only and not self._only(kind):
            return
        self.calls += 1
        if self.calls == self._number or (self._lasting and self.calls > self._number):
            self._action(kind)


def die(kind: str) -> None:
    """Ends the process as a power cut or the kernel does: nothing is flushed, nobody is asked."""
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Point:
    """A call at which something may happen.

    Attributes:
        number: of the call, from 1; that behind the last one is the end.
        kind: of the call.
        new: whether the files are others than at the point before.
        work: that was done by then.
    """

    number: int
    kind: str
    new: bool
    work: tuple[int, int]


def points(folder: Path, case: Case, until: int, copies: Path | None = None, **more: Any) -> list[Point]:
    """Runs ``case`` in ``folder``, to its end, and lists its points until ``until`` generations have been, or the end.

    Args:
        folder: of the run.
        case: is run.
        until: this many generations have been evaluated and saved, in this attempt.
        copies: a folder for what a crash at each new point leaves, by the point's number.
        more: for :func:`run`.
    """

    def listed() -> list[Point]:
        found: list[Point] = []
        last: dict[str, bytes] = {}
        enough = Enough(until)

        def note(kind: str) -> None:
            nonlocal last
            if enough.reached:
                return
            left = contents(folder) if copies else {}
            new = not found or left != last
            found.append(Point(len(found) + 1, kind, new, work()))
            last = left
            if copies and new:
                put(copies / str(len(found)), left)

        watch(note)
        run(folder, case, watcher=enough, **more)
        note("end")
        return found

    outcome = fork(listed)
    assert outcome.code == 0, outcome
    found: list[Point] = outcome.value
    return found


class Enough(Observer):
    """Says when some generations have been."""

    def __init__(self, generations: int) -> None:
        self._left = generations

    @property
    def reached(self) -> bool:
        """Whether they have been."""
        return self._left <= 0

    def __call__(self, generation: int, population: Sequence[Candidate], archive: Archive) -> None:
        """One more."""
        self._left -= 1

"""Run folders: where they are, and that one process at a time works in one."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from kvw.disk import PARTIAL, insist, write_whole
from kvw.types import EXIT_IN_USE, KvwError

RECORD = "run.db"
"""The file of :mod:`kvw.store`, by which a run folder is known."""

SUMMARY, RESULT = "summary.txt", "result.json"
"""Written at the end, :data:`RESULT` last: a run without it is not done."""

REPORT = "report.html"
"""What :mod:`kvw.report` makes of a run."""

LOCK, HOLDER = ".lock", ".holder.json"

LAST = "last"
"""Names the run that wrote its record last."""


def below(folder: Path) -> list[Path]:
    """The run folders below ``folder``, also in those of sweeps, the one that wrote its record last first."""
    written = {}
    for record in folder.glob(f"**/{RECORD}"):
        files = [record, record.with_name(f"{RECORD}-wal")]
        with suppress(FileNotFoundError):  # it is being removed
            written[record.parent] = max(file.stat().st_mtime_ns for file in files if file.exists())
    return sorted(written, key=lambda run: (-written[run], run))


def named(name: str, outputs: Path) -> Path:
    """The run folder that ``name`` stands for.

    Args:
        name: a path, of the folder or of a file in it, or :data:`LAST`.
        outputs: where runs are.

    Raises:
        KvwError: there is none.
    """
    if name == LAST:
        runs = below(outputs)
        if not runs:
            raise KvwError(f"last: expected a run below {outputs}; there is none; name its folder")
        return runs[0]
    folder = Path(name)
    if folder.is_file():
        folder = folder.parent
    if not (folder / RECORD).is_file():
        raise KvwError(f"{name}: expected the folder of a run, with a {RECORD} in it; there is none; see task=runs")
    return folder


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Works in the folder of a run, alone.

    Raises:
        KvwError: another process does; it is named. Or something in the folder is a link.
        StorageError: the storage is full, broken or gone.
    """
    for path in folder.rglob("*"):
        if path.is_symlink():  # somebody else's folder could have us write anywhere
            raise KvwError(f"{path}: expected a file or folder of the run; got a link; put what it means in its place")
    with alone(folder, "a run"):
        for partial in folder.rglob(PARTIAL):  # of a process that was killed
            insist(partial, partial.unlink)
        yield


@contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """Works in ``folder``, which others of kvw's may only read, alone.

    Args:
        folder: that exists.
        what: is there, for the message.

    Raises:
        KvwError: another process does; it is named.
        StorageError: the storage is full, broken or gone.
    """
    lock = FileLock(folder / LOCK)
    try:
        # is_held() holds it for an instant
        insist(folder / LOCK, lambda: lock.acquire(timeout=0.5, poll_interval=0.05))
    except Timeout:
        raise KvwError(
            f"{folder}: expected {what} that is not at work; got one that process {holder(folder)} is working on; "
            "wait for it, or stop it first",
            EXIT_IN_USE,
        ) from None
    try:
        me = {"pid": os.getpid(), "host": platform.node()}
        write_whole(folder / HOLDER, json.dumps(me).encode())
        yield
    finally:
        with suppress(OSError):
            (folder / HOLDER).unlink()
        lock.release()


def holder(folder: Path) -> str:
    """Who works in ``folder``: ``1234 on HOST``; a question mark where that can't be told."""
    found = _holder(folder)
    return f"{found[0]} on {found[1]}" if found else "?"


def holder_here(folder: Path) -> int | None:
    """The process of this machine that works in ``folder``; None if there is none, or it can't be told."""
    found = _holder(folder) if is_held(folder) else None
    return found[0] if found and found[1] == platform.node()[:80] else None


def _holder(folder: Path) -> tuple[int, str] | None:
    try:
        found = json.loads((folder / HOLDER).read_bytes()[:10_000])
        return int(found["pid"]), str(found["host"])[:80]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def is_held(folder: Path) -> bool:
    """Whether some process works in ``folder``."""
    if not (folder / LOCK).exists():
        return False
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0.2, poll_interval=0.02)  # another reader holds it for an instant
    except Timeout:
        return True
    except OSError:  # another's folder: whoever can't write there can't tell
        return False
    lock.release()
    return False

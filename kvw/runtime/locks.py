"""Locks a folder for one process at a time, and tells other processes which one holds it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from kvw.errors import EXIT_IN_USE, KvwError
from kvw.runtime.files import retry, write_whole

LOCK, HOLDER = ".lock", ".holder.json"


@contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """Locks ``folder`` for this process until the block ends; other processes of kvw only read the folder meanwhile.

    Args:
        folder: a folder that exists.
        what: what the folder holds, for the message: ``a run``.

    Raises:
        KvwError: another process holds the lock; the message names that process.
        StorageError: the storage is full, broken or gone.
    """
    lock = FileLock(folder / LOCK)
    try:
        retry(
            folder / LOCK, lambda: lock.acquire(timeout=0.5, poll_interval=0.05)
        )  # is_held() takes the lock for a moment
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
    """The process that last locked ``folder``: ``1234 on HOST``; ``?`` if it is unknown."""
    record = _read_holder(folder)
    return f"{record[0]} on {record[1]}" if record else "?"


def holder_here(folder: Path) -> int | None:
    """The process of this machine that holds the lock of ``folder``, its id; None if there is none or it is unknown."""
    record = _read_holder(folder) if is_held(folder) else None
    return record[0] if record and record[1] == platform.node()[:80] else None


def _read_holder(folder: Path) -> tuple[int, str] | None:
    """The process id and the host in the file :data:`HOLDER`; None if it is missing or damaged."""
    try:
        record = json.loads((folder / HOLDER).read_bytes()[:10_000])
        return int(record["pid"]), str(record["host"])[:80]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def is_held(folder: Path) -> bool:
    """Whether a process holds the lock of ``folder``."""
    if not (folder / LOCK).exists():
        return False
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0.2, poll_interval=0.02)  # another is_held() may hold the lock for a moment
    except Timeout:
        return True
    except OSError:  # the lock can't be tested in a folder that this user can't write to
        return False
    lock.release()
    return False

"""One process at a time works in a folder, and others can tell which."""

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
        retry(folder / LOCK, lambda: lock.acquire(timeout=0.5, poll_interval=0.05))
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

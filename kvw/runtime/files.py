"""Files that are there whole or not at all, whatever happens while they are written; and storage that goes away."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sqlite3
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from kvw.errors import EXIT_STORAGE, KvwError

log = logging.getLogger(__name__)
Made = TypeVar("Made")

GONE = frozenset(
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EIO", "EROFS", "EFBIG", "ENODEV", "ENXIO", "ESTALE")
    if hasattr(errno, name)
)
"""What the system says where storage is full, broken or gone."""

GONE_WORDS = ("disk is full", "disk I/O error", "readonly database", "unable to open database", "database is locked")
"""What SQLite says there, or where somebody else holds the file; Python 3.10 does not tell its codes."""

PAUSES = (0.2, 1.0, 3.0)
"""Seconds between the attempts to write: a network's folder comes back, and a cleaner may be at work."""

PARTIAL = ".kvw-*.part"
"""What a file is called while it is written, as a pattern."""


class StorageError(KvwError):
    """Storage is full, broken or gone, after several attempts; nothing that was written before is lost."""

    def __init__(self, where: object, why: object) -> None:
        super().__init__(f"storage: {where} can't be used: {why}; free or mend it", EXIT_STORAGE)


def retry(where: object, action: Callable[[], Made]) -> Made:
    """What ``action`` returns, which reads or writes; tried again, after each of :data:`PAUSES`, where storage refuses.

    Args:
        where: it does so, for messages.
        action: leaves everything as it was where it raises.

    Raises:
        StorageError: the storage still refuses.
        Exception: whatever else the action raises.
    """
    for pause in (*PAUSES, None):
        try:
            return action()
        except (OSError, sqlite3.OperationalError) as error:
            if not (getattr(error, "errno", None) in GONE or any(words in str(error) for words in GONE_WORDS)):
                raise
            why = getattr(error, "strerror", None) or error
            if pause is None:
                raise StorageError(where, why) from error
            log.warning("%s can't be used (%s); another attempt in %g s", where, why, pause)
            time.sleep(pause)
    raise AssertionError("the last pause is None")


def check_free(folder: Path, needed: int) -> None:
    """Checks that ``folder``, which exists, has room for ``needed`` bytes.

    Raises:
        KvwError: it has less.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise KvwError(
            f"output folder: expected {needed / 1e6:.0f} MB of free space for this run in {folder}; got "
            f"{free / 1e6:.0f} MB; free some, or choose another with hydra.run.dir=FOLDER"
        )


def partial_of(path: Path) -> Path:
    """A new name for the time in which ``path`` is written, in its folder."""
    return path.with_name(PARTIAL.replace("*", uuid.uuid4().hex))


def write_whole(path: Path, content: bytes) -> None:
    """Writes ``path``: its readers see the old file or all of the new one, also after a crash.

    Raises:
        StorageError: the storage is full, broken or gone; the old file is as it was.
        OSError: the folder is missing or can't be written; the same.
    """
    partial = partial_of(path)  # once: an attempt takes up what the one before it could not even remove
    retry(path, lambda: _write(path, partial, content))


def _write(path: Path, partial: Path, content: bytes) -> None:
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)

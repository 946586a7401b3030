"""Writes files whole or not at all, and retries where storage is full, broken or gone for a moment."""

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
Result = TypeVar("Result")

GONE = frozenset(
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EIO", "EROFS", "EFBIG", "ENODEV", "ENXIO", "ESTALE")
    if hasattr(errno, name)
)
"""Error numbers of storage that is full, broken or gone."""

GONE_WORDS = ("disk is full", "disk I/O error", "readonly database", "unable to open database", "database is locked",
              "locking protocol")  # fmt: skip
"""Parts of SQLite's messages in these cases, and where another process locks the file or the file system, a network's
perhaps, can't lock it; Python 3.10 has no codes."""

PAUSES = (0.2, 1.0, 3.0)
"""Seconds between attempts: a network folder may come back, and somebody may be freeing space."""

LFS_POINTER = b"version https://git-lfs"
"""How a file of Git's begins that stands for a large one, where Git LFS has not fetched that."""


def nearest_existing(folder: Path) -> Path:
    """A folder, or where it would be made: the nearest one above it that is there."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def is_lfs_pointer(path: Path) -> bool:
    """Whether a file, which can be read, stands for another one."""
    with path.open("rb") as content:
        return content.read(len(LFS_POINTER)) == LFS_POINTER


PARTIAL = ".kvw-*.part"
"""Pattern of the names that files have while they are written."""


class StorageError(KvwError):
    """Storage is full, broken or gone, even after several attempts; what was written before is not lost.

    Args:
        where: the file or folder.
        reason: the system's words for what is wrong.
    """

    def __init__(self, where: object, reason: object) -> None:
        super().__init__(f"storage: {where} can't be used: {reason}; free or mend it", EXIT_STORAGE)


def retry(where: object, action: Callable[[], Result]) -> Result:
    """Calls ``action`` and returns its result; while storage refuses, calls it again after each of :data:`PAUSES`.

    Args:
        where: the file or folder that the action reads or writes, for messages.
        action: changes nothing if it raises.

    Raises:
        StorageError: the storage refused every attempt.
        Exception: anything else that the action raises, at once.
    """
    for pause in (*PAUSES, None):
        try:
            return action()
        except (OSError, sqlite3.OperationalError) as error:
            if not (getattr(error, "errno", None) in GONE or any(words in str(error) for words in GONE_WORDS)):
                raise
            reason = getattr(error, "strerror", None) or error
            if pause is None:
                raise StorageError(where, reason) from error
            log.warning("%s can't be used (%s); another attempt in %g s", where, reason, pause)
            time.sleep(pause)
    raise AssertionError("the last pause is None")


def check_free(folder: Path, needed: int) -> None:
    """Checks that the file system of ``folder``, which exists, has ``needed`` bytes free.

    Raises:
        KvwError: fewer bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise KvwError(
            f"output folder: expected {needed / 1e6:.0f} MB of free space for this run in {folder}; got "
            f"{free / 1e6:.0f} MB; free some, or choose another with hydra.run.dir=FOLDER"
        )


def partial_of(path: Path) -> Path:
    """A new name, in the same folder, for ``path`` while it is being written."""
    return path.with_name(PARTIAL.replace("*", uuid.uuid4().hex))


def write_whole(path: Path, content: bytes) -> None:
    """Writes ``path``: its readers see the old file or all of the new file, even after a crash.

    Raises:
        StorageError: the storage is full, broken or gone; the old file is unchanged.
        OSError: the folder is missing or can't be written; the old file is unchanged.
    """
    partial = partial_of(path)  # one name for all attempts: the next overwrites what the last could not remove
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

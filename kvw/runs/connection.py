"""Asks a record one question at a time, without writing beside it or holding up the process that writes it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from kvw.errors import KvwError
from kvw.runs.schema import DamagedError, check_schema

Answer = TypeVar("Answer")

PATIENCE = 30.0
"""Seconds to wait while SQLite repairs what a killed run left."""


def ask(path: Path, question: Callable[[sqlite3.Connection], Answer]) -> Answer:
    """Opens a record read-only, asks a question within one transaction, and closes the record.

    A record without a write-ahead log has no writer, and is opened as immutable: otherwise SQLite would create a log
    and an index beside it, which fails in a folder that can't be written. If a writer starts meanwhile, the question is
    asked again.

    Args:
        path: of the record.
        question: takes the open database.

    Raises:
        KvwError: the record can't be opened, or has another format.
        DamagedError: the record is not as it was written.
    """
    before = _quiet_stamp(path)
    try:
        with closing(_connect(path, immutable=before is not None)) as db:
            check_schema(path, db)
            db.execute("BEGIN")  # all reads see one state of the record; closing ends the transaction
            answer = question(db)
    except (KvwError, sqlite3.DatabaseError) as error:
        if before == _quiet_stamp(path):
            if isinstance(error, KvwError):
                raise
            raise DamagedError(path, f"SQLite says: {error}") from error
    else:
        if before is None or before == _quiet_stamp(path):
            return answer
    return ask(path, question)


def _quiet_stamp(path: Path) -> tuple[int, int] | None:
    """Time and size of a record that nobody writes; None where a write-ahead log shows a writer, or a killed run."""
    try:
        if path.with_name(f"{path.name}-wal").exists():
            return None
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _connect(path: Path, *, immutable: bool) -> sqlite3.Connection:
    """Opens ``path`` for reading; its name may have any characters."""
    absolute = path.absolute().as_posix()
    root = "" if absolute.startswith("/") else "/"  # Windows: file:///C:/...
    uri = f"file://{root}{quote(os.fsencode(absolute))}?mode=ro{'&immutable=1' if immutable else ''}"
    db = None
    try:
        db = sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None)
        db.text_factory = lambda text: text.decode("utf-8", "replace")  # damage is for the digest to find
        db.execute("PRAGMA schema_version")
    except sqlite3.OperationalError as error:
        if db:
            db.close()
        raise KvwError(
            f"{path}: expected a record that can be opened; SQLite says: {error}; check its permissions; of a "
            "killed run in a folder that can't be written, read a copy"
        ) from error
    except sqlite3.DatabaseError:
        pass  # check_schema says what the file is
    assert db is not None
    return db

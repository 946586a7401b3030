"""Writes rows into a record, in transactions that no signal and no reader breaks."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from kvw.runs.schema import DamagedError, row_digest
from kvw.runtime import signals
from kvw.runtime.files import retry
from kvw.search.state import Stored

LONG_LOG = 16 << 20
"""Size, in bytes, of SQLite's write-ahead log above which a checkpoint is forced: readers that never pause prevent
SQLite's own."""

PATIENCE, MOST_PATIENCE, STEP = 0.2, 10.0, 4
"""Seconds that a forced checkpoint waits for readers to end: at first, and at most. They grow so many times
with each that is in vain, and shrink again with each that succeeds: a question takes seconds where many processes share
a core."""


class Writer:
    """Executes statements on a record; as a context manager, one transaction: all of its statements, or none.

    Args:
        path: of the record.
        db: the record, open for writing; in autocommit mode.
    """

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self._path, self._db = path, db
        self._long = LONG_LOG
        self._patience = PATIENCE

    def __enter__(self) -> None:
        self("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if error is None:
                return self("COMMIT")
        finally:
            if self._db.in_transaction:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")

    def __call__(self, statement: str, *values: object) -> None:
        """Executes a statement."""
        self._db.execute(statement, values)

    def insert(self, table: str, row: Sequence[object]) -> None:
        """Inserts a row and its digest, or replaces the row of the same key."""
        marks = ", ".join("?" * (len(row) + 1))
        self(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", *row, row_digest(table, row))

    def arrays(self, generation: int, arrays: Mapping[str, Stored]) -> None:
        """Inserts the arrays that the record lacks, and notes that ``generation`` needs all of them."""
        for digest, array in arrays.items():
            if not self._db.execute("SELECT 1 FROM arrays WHERE digest = ?", (digest,)).fetchone():
                self.insert("arrays", (digest, array.dtype, array.shape, array.order, array.data))
            self.insert("uses", (generation, digest))

    def transaction(self, statements: Callable[[], None]) -> None:
        """Executes statements in one transaction, repeating it where storage fails for a moment.

        Raises:
            StorageError: the storage is full, broken or gone, or another process holds the record; the record is as it
                was before.
            DamagedError: the record is not as it was written.
        """

        def attempt() -> None:
            with self:
                statements()

        with signals.deferred():
            try:
                retry(self._path, attempt)
            except sqlite3.DatabaseError as error:
                raise DamagedError(self._path, f"SQLite says: {error}") from error
            self._shorten_log()

    def _shorten_log(self) -> None:
        """Empties a write-ahead log that has grown long; where readers prevent it, the next attempt waits longer."""
        log = self._path.with_name(f"{self._path.name}-wal")
        with suppress(OSError, sqlite3.Error):
            if log.stat().st_size < self._long:
                return
            (patience,) = self._db.execute("PRAGMA busy_timeout").fetchone()
            self._db.execute(f"PRAGMA busy_timeout={self._patience * 1000:.0f}")
            try:
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                self._db.execute(f"PRAGMA busy_timeout={patience}")
                left = log.stat().st_size
                self._long = left + LONG_LOG
                wait = self._patience * STEP if left else self._patience / STEP
                self._patience = min(max(wait, PATIENCE), MOST_PATIENCE)

"""Writes the record of a run: ``run.db``, SQLite in WAL mode, written by the driver alone; readers never block it.

Read :mod:`kvw.runs.schema` first. What is recorded is not evaluated again: utterances are committed as they come, and a
generation's candidates in one transaction with the state that the search resumes from (:mod:`kvw.search.state`), so
that neither a reader nor a run that was killed ever sees half of one.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kvw.errors import KvwError
from kvw.evaluation import Utterance
from kvw.runs.schema import (
    FOREVER,
    SCHEMA,
    DamagedError,
    check_schema,
    columns_of,
    evaluation_columns,
    evaluation_of,
    guard_types,
    read_array,
    read_rows,
    real,
    row_digest,
    schema,
    utterance_of,
)
from kvw.runtime import signals
from kvw.runtime.files import partial_of, retry
from kvw.search.archive import Archive, Entry
from kvw.search.candidate import Candidate
from kvw.search.observer import Observer
from kvw.search.state import Stored, freeze, thaw
from kvw.types import Voice

log = logging.getLogger(__name__)

BUSY = 1000
"""Milliseconds in which somebody else who holds the file may let go of it; readers never hold it."""

LONG_LOG = 16 << 20
"""Bytes of SQLite's log from which it is taken back into the file: readers that never pause keep it from that."""

KEPT = 3
"""Checkpoints that are kept: where the newest is damaged, the one before it serves."""


class Store(Observer):
    """Writes the record of a run, and reads what the run resumes from.

    It is a :class:`kvw.search.observer.Record` and a :class:`kvw.evaluation.UtteranceCache`.

    Args:
        path: of a record that :meth:`create` made; the caller alone writes it (see :mod:`kvw.runs.folders`).

    Attributes:
        path: it.
        facts: what the run is, by key.

    Raises:
        DamagedError: it isn't as it was written.
        KvwError: it is no record, or another version's.
    """

    @staticmethod
    def create(path: Path, facts: Mapping[str, Any]) -> Store:
        """Makes the record of a new run; ``path`` is there with all of ``facts``, or not at all.

        Args:
            path: of the new file.
            facts: what the run is: numpy arrays and JSON values by key.

        Raises:
            StorageError: the storage is full, broken or gone.
        """

        unfinished = partial_of(path)

        def make() -> None:
            unfinished.unlink(missing_ok=True)  # of the attempt before
            try:
                with closing(_connect(unfinished)) as db:
                    db.execute("PRAGMA synchronous=FULL")
                    db.execute("PRAGMA journal_mode=MEMORY")  # a crash leaves nothing that SQLite would take up
                    writer = _Writer(db)
                    with writer:
                        for statement in schema():
                            writer(statement)
                        writer(f"PRAGMA user_version={SCHEMA}")
                        for key, value in facts.items():
                            text, arrays = freeze(value)
                            writer.insert("run", (key, text))
                            writer.arrays(FOREVER, arrays)
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)

        with signals.held():
            retry(path, make)
        return Store(path)

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise KvwError(f"{path}: expected the record of a run; there is none; start the run anew")
        self._rows: list[int] = []
        self._long = LONG_LOG
        self._db = retry(path, lambda: _connect(path))
        self._writer = _Writer(self._db)
        try:
            self._check()
            with guard_types(path, "what the run is"):
                self.facts = {key: self._thaw(value) for key, value in self._read("run")}
        except BaseException:
            self.close()
            raise

    def _check(self) -> None:
        """Raises DamagedError, or KvwError, where the file is no sound record."""
        try:
            check_schema(self.path, self._db)
            (verdict,) = self._db.execute("PRAGMA integrity_check(1)").fetchone()
            self._db.execute("PRAGMA synchronous=FULL")
            retry(self.path, lambda: self._db.execute("PRAGMA journal_mode=WAL"))
        except sqlite3.DatabaseError as error:
            verdict = error
        if verdict != "ok":
            raise DamagedError(self.path, f"SQLite says: {' '.join(str(verdict).split())}")

    def heard_through(self, rows: Sequence[int]) -> None:
        """Says through which rows of a voice, indices in [0, 509], the scored texts are heard."""
        self._rows = list(rows)

    def get(self, key: str) -> Utterance | None:
        """As :class:`kvw.evaluation.UtteranceCache`; a damaged utterance is not known."""
        try:
            with guard_types(self.path, f"the utterance {key:.12}"):
                found = [utterance_of(row)[1] for row in self._read("utterances", "WHERE key = ?", key)]
        except DamagedError as error:
            log.warning("%s: it is measured again", error)
            self._write(lambda: self._writer("DELETE FROM utterances WHERE key = ?", key))
            return None
        return found[0] if found else None

    def put(self, utterances: Mapping[str, Utterance]) -> None:
        """As :class:`kvw.evaluation.UtteranceCache`."""
        rows = [
            (
                key,
                real(one.seconds),
                one.status,
                one.detail,
                None if one.embedding is None else np.asarray(one.embedding, "<f4").tobytes(),
                None if one.statistics is None else np.asarray(one.statistics, "<f8").tobytes(),
            )
            for key, one in utterances.items()
        ]

        def write() -> None:
            for row in rows:
                self._writer.insert("utterances", row)

        self._write(write)

    def forget_failures(self) -> None:
        """Forgets the utterances that failed, so that they are measured again: where all fail it is the machine."""
        self._write(lambda: self._writer("DELETE FROM utterances WHERE status != ''"))

    def ranked(self, ranking: Sequence[Entry], top: Sequence[Entry]) -> None:
        """Records the ranking of the bank."""
        stages = [(entry, "ranked") for entry in ranking] + [(entry, "full") for entry in top]
        rows = [(one.name, stage, *evaluation_columns(one.evaluation), self._heard(one.voice)) for one, stage in stages]

        def write() -> None:
            self._writer("DELETE FROM stock")  # what a damaged or another ranking left
            for row in rows:
                self._writer.insert("stock", row)

        self._write(write)

    def known_ranking(self, bank: Mapping[str, Voice]) -> tuple[list[Entry], list[Entry]] | None:
        """As :class:`kvw.search.observer.Record`."""
        try:
            with guard_types(self.path, "the ranking"):
                rows = list(self._read("stock", "ORDER BY rowid"))
                ranked, full = (
                    [Entry(name, bank[name], evaluation_of(seen)) for name, kind, *seen, _ in rows if kind == which]
                    for which in ("ranked", "full")
                )
        except DamagedError as error:
            log.warning("%s: the bank is ranked again", error)
            return None
        return (ranked, full) if len(ranked) == len(bank) and full else None

    def commit(self, generation: int, population: Sequence[Candidate], archive: Archive, state: dict[str, Any]) -> None:
        """As :class:`kvw.search.observer.Record`."""
        text, arrays = freeze(state)
        rows = []
        for step, candidate in enumerate(population, start=archive.steps - len(population)):
            assert candidate.evaluation is not None and candidate.voice is not None
            heard = self._heard(candidate.voice)
            notes = json.dumps({name: float(value) for name, value in candidate.notes.items()})
            rows.append((step, generation, *evaluation_columns(candidate.evaluation), notes, heard))

        def write() -> None:
            for row in rows:
                self._writer.insert("candidates", row)
            self._writer.insert("checkpoints", (generation, text))
            self._writer.arrays(generation, arrays)
            self._writer("DELETE FROM checkpoints WHERE generation <= ?", generation - KEPT)
            self._writer("DELETE FROM uses WHERE generation BETWEEN 0 AND ?", generation - KEPT)
            self._writer("DELETE FROM arrays WHERE digest NOT IN (SELECT digest FROM uses)")

        self._write(write)

    def latest(self) -> Mapping[str, Any] | None:
        """As :class:`kvw.search.observer.Record`: the state of the newest whole checkpoint; later rows are deleted.

        Raises:
            DamagedError: there are checkpoints, and none is whole.
        """
        generations = [number for (number,) in self._select("SELECT generation FROM checkpoints ORDER BY 1 DESC")]
        for generation in generations:
            try:
                with guard_types(self.path, f"checkpoint {generation}"):
                    ((_, text),) = self._read("checkpoints", "WHERE generation = ?", generation)
                    state: Mapping[str, Any] = self._thaw(text)
                    steps = int(state["archive"]["steps"])
            except DamagedError as error:
                log.warning("Checkpoint %d is damaged, the one before it serves: %s", generation, error)
                continue
            self._forget(generation, steps)
            return state
        if generations:
            raise DamagedError(self.path, "no checkpoint is whole")
        self._forget(-1, 0)
        return None

    def close(self) -> None:
        """Closes the database; what was recorded is on the disk already."""
        with suppress(sqlite3.Error):
            self._db.close()

    def _read(self, table: str, where: str = "", *given: object) -> Iterator[tuple[Any, ...]]:
        return read_rows(self.path, self._db, table, where, *given)

    def _thaw(self, text: str) -> Any:
        return thaw(text, partial(read_array, self.path, self._db))

    def _select(self, statement: str) -> list[tuple[Any, ...]]:
        return retry(self.path, lambda: self._db.execute(statement).fetchall())

    def _forget(self, generation: int, steps: int) -> None:
        """Removes what was recorded after a generation, and what is damaged.

        Args:
            generation: the last one that counts.
            steps: its candidates and those before.
        """
        names = ", ".join(columns_of("candidates"))
        records = self._select(f"SELECT {names}, sha256 FROM candidates")
        damaged = [values[0] for *values, said in records if row_digest("candidates", values) != said]
        arrays = [name for (name,) in self._select("SELECT digest FROM arrays")]
        broken = [name for name in arrays if not self._is_whole(name)]

        def write() -> None:
            for table in ("candidates", "checkpoints", "uses"):
                self._writer(f"DELETE FROM {table} WHERE generation > ?", generation)
            for step in damaged:
                self._writer("DELETE FROM candidates WHERE step = ?", step)
            for name in broken:  # they are there again when a checkpoint needs them
                self._writer("DELETE FROM arrays WHERE digest = ?", name)

        self._write(write)
        ((whole,),) = self._select("SELECT count(*) FROM candidates")
        if whole < steps:
            missing = steps - whole
            log.warning("%s: the records of %d of %d candidates are damaged and left out", self.path, missing, steps)

    def _is_whole(self, name: str) -> bool:
        try:
            read_array(self.path, self._db, name)
        except (DamagedError, ValueError, RecursionError):
            return False
        return True

    def _heard(self, voice: NDArray[np.float32]) -> bytes:
        return np.ascontiguousarray(voice[self._rows, 0], "<f4").tobytes()

    def _write(self, statements: Callable[[], None]) -> None:
        """Runs statements in one transaction, which no signal takes apart.

        Raises:
            StorageError: the storage is full, broken or gone, or somebody else holds it; the transaction has left
                nothing.
            DamagedError: the file isn't as it was written.
        """

        def transaction() -> None:
            with self._writer:
                statements()

        with signals.held():
            try:
                retry(self.path, transaction)
            except sqlite3.DatabaseError as error:
                raise DamagedError(self.path, f"SQLite says: {error}") from error
            self._shorten()

    def _shorten(self) -> None:
        """Empties a log that has grown long; where a reader takes its time, it may grow some more."""
        log_file = self.path.with_name(f"{self.path.name}-wal")
        with suppress(OSError, sqlite3.Error):
            if log_file.stat().st_size < self._long:
                return
            self._db.execute("PRAGMA busy_timeout=200")
            try:
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                self._db.execute(f"PRAGMA busy_timeout={BUSY}")
                self._long = log_file.stat().st_size + LONG_LOG


class _Writer:
    """Statements of one transaction, which its ``with`` block is: all of them or none."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

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
        self._db.execute(statement, values)

    def insert(self, table: str, row: Sequence[object]) -> None:
        """Inserts or replaces a row."""
        marks = ", ".join("?" * (len(row) + 1))
        self(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", *row, row_digest(table, row))

    def arrays(self, generation: int, arrays: Mapping[str, Stored]) -> None:
        """Inserts arrays that are not there, and who needs them."""
        for name, one in arrays.items():
            if not self._db.execute("SELECT 1 FROM arrays WHERE digest = ?", (name,)).fetchone():
                self.insert("arrays", (name, one.dtype, one.shape, one.order, one.data))
            self.insert("uses", (generation, name))


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=BUSY / 1000, isolation_level=None)
    db.text_factory = lambda text: text.decode("utf-8", "replace")  # damage is for the digest to find
    return db

"""The record of a running search: ``run.db``, an SQLite database in WAL mode that the driver alone writes.

Read :mod:`kvw.runs.schema` first. Utterances are committed as soon as they are measured, and are never measured again.
The candidates of a generation are committed in one transaction with the state that the search resumes from
(:mod:`kvw.search.state`): no reader and no resumed run sees half a generation. Readers never block the driver.

Above 300 lines, because one class holds the connection, and all that writes through it.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
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
    damaged_arrays,
    damaged_steps,
    evaluation_columns,
    evaluation_of,
    guard_types,
    read_array,
    read_rows,
    real,
    schema,
    utterance_of,
)
from kvw.runs.writer import Writer
from kvw.runtime import signals
from kvw.runtime.files import partial_of, retry
from kvw.search.archive import Archive, Entry
from kvw.search.candidate import Candidate
from kvw.search.observer import Observer
from kvw.search.state import freeze, thaw
from kvw.types import Voice

log = logging.getLogger(__name__)

BUSY = 1000
"""Milliseconds to wait for another process that holds the record; readers never hold it."""

KEPT = 3
"""Checkpoints that are kept: where the newest is damaged, the run resumes from the checkpoint before it."""


class Store(Observer):
    """Writes the record of a run, and reads what the run resumes from.

    A Store is a :class:`kvw.search.observer.Record` and a :class:`kvw.evaluation.UtteranceCache`.

    Args:
        path: of a record that :meth:`create` made, which no other process writes (:func:`kvw.runs.folders.held`).

    Attributes:
        path: of the record.
        facts: what the record says about the run as a whole, by key: numpy arrays and JSON values.

    Raises:
        DamagedError: the record is not as it was written.
        KvwError: there is no record, or it has another format.
    """

    @staticmethod
    def create(path: Path, facts: Mapping[str, Any]) -> Store:
        """Makes the record of a new run; ``path`` exists afterwards with all of ``facts``, or not at all.

        Args:
            path: of the new file.
            facts: about the run as a whole, by key: numpy arrays and JSON values.

        Raises:
            StorageError: the storage is full, broken or gone.
        """
        unfinished = partial_of(path)

        def make() -> None:
            unfinished.unlink(missing_ok=True)  # left by a failed attempt
            try:
                with closing(_connect(unfinished)) as db:
                    db.execute("PRAGMA synchronous=FULL")
                    db.execute("PRAGMA journal_mode=MEMORY")  # a crash leaves no journal behind
                    writer = Writer(unfinished, db)
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

        with signals.deferred():
            retry(path, make)
        return Store(path)

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise KvwError(f"{path}: expected the record of a run; there is none; start a new run")
        self._rows: list[int] = []
        self._db = retry(path, lambda: _connect(path))
        self._writer = Writer(path, self._db)
        self._write = self._writer.transaction
        try:
            self._check()
            with guard_types(path, "the table run"):
                self.facts = {key: self._thaw(value) for key, value in self._read("run")}
        except BaseException:
            self.close()
            raise

    def _check(self) -> None:
        """Raises DamagedError or KvwError unless the file is an undamaged record."""
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
        """Sets through which rows of a voice, indices in [0, 509], the scored texts are heard; they are recorded."""
        self._rows = list(rows)

    def get(self, key: str) -> Utterance | None:
        """As :class:`kvw.evaluation.UtteranceCache`; a damaged utterance is deleted, and so measured again."""
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
                one.transcript,
                None if one.gradient is None else np.asarray(one.gradient, "<f4").tobytes(),
            )
            for key, one in utterances.items()
        ]

        def write() -> None:
            for row in rows:
                self._writer.insert("utterances", row)

        self._write(write)

    def forget_failures(self) -> None:
        """Deletes the utterances that failed, so that they are measured again: if all fail, the machine is to blame."""
        self._write(lambda: self._writer("DELETE FROM utterances WHERE status != ''"))

    def ranked(self, ranking: Sequence[Entry], top: Sequence[Entry]) -> None:
        """Records the ranking of the bank."""
        rows = [
            (entry.name, kind, *evaluation_columns(entry.evaluation), self._heard(entry.voice))
            for kind, entries in (("ranked", ranking), ("full", top))
            for entry in entries
        ]

        def write() -> None:
            self._writer("DELETE FROM stock")  # of a damaged ranking
            for row in rows:
                self._writer.insert("stock", row)

        self._write(write)

    def known_ranking(self, bank: Mapping[str, Voice]) -> tuple[list[Entry], list[Entry]] | None:
        """As :class:`kvw.search.observer.Record`."""
        try:
            with guard_types(self.path, "the ranking"):
                rows = list(self._read("stock", "ORDER BY rowid"))
                ranked, full = (
                    [
                        Entry(name, bank[name], evaluation_of(columns))
                        for name, kind, *columns, _ in rows
                        if kind == wanted
                    ]
                    for wanted in ("ranked", "full")
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
        """As :class:`kvw.search.observer.Record`: the newest undamaged checkpoint's state; later rows are deleted.

        Raises:
            DamagedError: all checkpoints are damaged.
        """
        generations = [
            generation for (generation,) in self._select("SELECT generation FROM checkpoints ORDER BY 1 DESC")
        ]
        for generation in generations:
            try:
                with guard_types(self.path, f"checkpoint {generation}"):
                    ((_, text),) = self._read("checkpoints", "WHERE generation = ?", generation)
                    state: Mapping[str, Any] = self._thaw(text)
                    steps = int(state["archive"]["steps"])
            except DamagedError as error:
                log.warning("Checkpoint %d is damaged, the run resumes from the one before it: %s", generation, error)
                continue
            self._forget(generation, steps)
            return state
        if generations:
            raise DamagedError(self.path, "every checkpoint is damaged")
        self._forget(-1, 0)
        return None

    def close(self) -> None:
        """Closes the database; all that was recorded is on the disk already."""
        with suppress(sqlite3.Error):
            self._db.close()

    def _read(self, table: str, where: str = "", *values: object) -> Iterator[tuple[Any, ...]]:
        return read_rows(self.path, self._db, table, where, *values)

    def _thaw(self, text: str) -> Any:
        return thaw(text, partial(read_array, self.path, self._db))

    def _select(self, statement: str) -> list[tuple[Any, ...]]:
        return retry(self.path, lambda: self._db.execute(statement).fetchall())

    def _forget(self, generation: int, steps: int) -> None:
        """Deletes what was recorded after a generation, and what is damaged.

        Args:
            generation: the last one to keep.
            steps: candidates up to and including that generation.
        """
        steps_to_delete, arrays_to_delete = damaged_steps(self.path, self._db), damaged_arrays(self.path, self._db)

        def write() -> None:
            for table in ("candidates", "checkpoints", "uses"):
                self._writer(f"DELETE FROM {table} WHERE generation > ?", generation)
            for step in steps_to_delete:
                self._writer("DELETE FROM candidates WHERE step = ?", step)
            for digest in arrays_to_delete:  # the next checkpoint that needs such an array inserts it again
                self._writer("DELETE FROM arrays WHERE digest = ?", digest)

        self._write(write)
        ((left,),) = self._select("SELECT count(*) FROM candidates")
        if missing := max(0, steps - left):
            log.warning("%s: the records of %d of %d candidates are damaged and left out", self.path, missing, steps)

    def _heard(self, voice: NDArray[np.float32]) -> bytes:
        return np.ascontiguousarray(voice[self._rows, 0], "<f4").tobytes()


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=BUSY / 1000, isolation_level=None)
    db.text_factory = lambda text: text.decode("utf-8", "replace")  # damage is for the digest to find
    return db

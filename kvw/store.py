"""The record of a run: ``run.db``, SQLite in WAL mode, written by the driver alone.

A generation is one transaction, so that a reader, or a run that goes on after a crash, never sees half of one.
Readers never block the writer. Tables (each value that is not a number or a name is JSON or raw bytes):

``run``         key, value: what the run is (versions, target hash, seed, synthesiser)
``stock``       name, stage, evaluation of each stock voice: ``stage`` is ``ranked`` or ``full``
``candidates``  step, generation, evaluation, notes, and ``rows``: the style rows that the scored texts are heard
                through, float32 ``(rows, 256)``, which is what a predictor of similarity can be trained on
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kvw.archive import Archive, Entry
from kvw.candidate import Candidate, Evaluation
from kvw.search import Observer

SCHEMA = 1
"""``PRAGMA user_version`` of the layout below."""

TABLES = """
CREATE TABLE run (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE stock (
    name TEXT, stage TEXT, status TEXT NOT NULL, score REAL NOT NULL, target_similarity REAL NOT NULL,
    parts TEXT NOT NULL, synthesised REAL NOT NULL, detail TEXT NOT NULL, PRIMARY KEY (name, stage));
CREATE TABLE candidates (
    step INTEGER PRIMARY KEY, generation INTEGER NOT NULL, status TEXT NOT NULL, score REAL NOT NULL,
    target_similarity REAL NOT NULL, parts TEXT NOT NULL, synthesised REAL NOT NULL, detail TEXT NOT NULL,
    notes TEXT NOT NULL, rows BLOB NOT NULL);
"""


def _columns(evaluation: Evaluation) -> tuple[object, ...]:
    return (
        evaluation.status,
        evaluation.score,
        evaluation.target_similarity,
        json.dumps(evaluation.parts),
        evaluation.synthesised,
        evaluation.detail,
    )


class Store(Observer):
    """Writes the record of one run.

    Args:
        path: of the new database.
        facts: what the run is, JSON values.
        rows: indices in [0, 509] of the rows that the scored texts are heard through.
    """

    def __init__(self, path: Path, facts: Mapping[str, object], rows: Sequence[int]) -> None:
        self._rows = list(rows)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(f"BEGIN; {TABLES} PRAGMA user_version={SCHEMA}; COMMIT;")
        with self._transaction():
            self._db.executemany("INSERT INTO run VALUES (?, ?)", [(k, json.dumps(v)) for k, v in facts.items()])

    def _transaction(self) -> sqlite3.Connection:
        self._db.execute("BEGIN IMMEDIATE")
        return self._db  # as a context manager it commits, or rolls back

    def ranked(self, ranking: Sequence[Entry], top: Sequence[Entry]) -> None:
        """Records the ranking of the bank."""
        stages = [(entry, "ranked") for entry in ranking] + [(entry, "full") for entry in top]
        with self._transaction():
            self._db.executemany(
                "INSERT INTO stock VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(entry.name, stage, *_columns(entry.evaluation)) for entry, stage in stages],
            )

    def __call__(self, generation: int, population: Sequence[Candidate], archive: Archive) -> None:
        """Records a generation."""
        first = archive.steps - len(population)
        records = []
        for step, candidate in enumerate(population, start=first):
            assert candidate.evaluation is not None
            heard = np.ascontiguousarray(archive.decode(candidate.genome)[self._rows, 0]).tobytes()
            notes = json.dumps(candidate.notes)
            records.append((step, generation, *_columns(candidate.evaluation), notes, heard))
        with self._transaction():
            self._db.executemany("INSERT INTO candidates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", records)

    def close(self) -> None:
        """Closes the database; what was recorded is already on the disk."""
        self._db.close()

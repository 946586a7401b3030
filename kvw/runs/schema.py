"""The layout of a run's record, ``run.db``: its tables, and how a row is checked and read.

Read :data:`TABLES` first. Every row carries a sha256 of its own: damage that SQLite does not see is found where the row
is read. A file from a stranger is data: its tables must be these, to the letter, and nothing in it is run.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kvw.errors import EXIT_CORRUPT, KvwError
from kvw.evaluation import Evaluation, Utterance
from kvw.runtime.files import retry
from kvw.search.state import Stored

SCHEMA = 2
"""``PRAGMA user_version`` of the layout below."""

EVALUATION = "status TEXT, score REAL, target_similarity REAL, parts TEXT, synthesised REAL, stage TEXT, detail TEXT"

TABLES = {
    # what the run is, as JSON: config, inputs, versions, seed, synthesiser, ...
    "run": "key TEXT PRIMARY KEY, value TEXT",
    # a voice speaking a text, by kvw.fitness.utterances.utterance_key: seconds of audio, what failed, float32 (256,),
    # float64 (n,)
    "utterances": "key TEXT PRIMARY KEY, seconds REAL, status TEXT, detail TEXT, embedding BLOB, statistics BLOB",
    # a stock voice in the ranking (stage_of "ranked": the first stage alone) and of those that seed the search ("full")
    "stock": f"name TEXT, ranking TEXT, {EVALUATION}, rows BLOB, PRIMARY KEY (name, ranking)",
    # every candidate; rows: the style rows that the scored texts are heard through, float32 (n, 256)
    "candidates": f"step INTEGER PRIMARY KEY, generation INTEGER, {EVALUATION}, notes TEXT, rows BLOB",
    # the state behind a generation, as JSON that names arrays
    "checkpoints": "generation INTEGER PRIMARY KEY, state TEXT",
    # arrays, once each, and who needs them: a checkpoint's generation, or -1 for the run
    "arrays": "digest TEXT PRIMARY KEY, dtype TEXT, shape TEXT, numbers_order TEXT, data BLOB",
    "uses": "generation INTEGER, digest TEXT, PRIMARY KEY (generation, digest)",
}
"""The columns of each table; behind them ``sha256``, of the row."""

KEYS = {"stock": 2, "uses": 2}
"""Columns of a primary key, the first ones, where it is more than one."""

FOREVER = -1
"""Who needs an array that belongs to the run."""


class DamagedError(KvwError):
    """A row, or the file, is not as it was written."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(
            f"{path}: expected it as it was written; {what}; the voices in its folder are files of their own: "
            f"start a new run from the best with starting_voice={path.parent / 'best.pt'}",
            EXIT_CORRUPT,
        )


def columns_of(table: str) -> list[str]:
    """The names of a table's columns but the digest."""
    parts = TABLES[table].partition(", PRIMARY")[0].split(", ")
    return [part.split()[0] for part in parts]


def row_digest(table: str, values: Sequence[object]) -> bytes:
    """sha256 over the row ``values`` of ``table``."""
    found = hashlib.sha256(table.encode())
    for value in values:
        content = value if isinstance(value, bytes) else repr(value).encode()
        found.update(f"\n{type(value).__name__} {len(content)} ".encode())
        found.update(content)
    return found.digest()


def read_rows(
    path: Path, db: sqlite3.Connection, table: str, where: str = "", *given: object
) -> Iterator[tuple[Any, ...]]:
    """The rows of a table, each as it was written, without its digest.

    Args:
        path: of the file, for messages.
        db: open.
        table: of :data:`TABLES`.
        where: SQL behind the table's name, which ``given`` fills.
        given: its values.

    Raises:
        DamagedError: one of them isn't; those before it have been given.
    """
    names = ", ".join(columns_of(table))
    try:
        select = partial(db.execute, f"SELECT {names}, sha256 FROM {table} {where}", given)
        for *values, said in retry(path, lambda: select().fetchall()):
            if row_digest(table, values) != said:
                raise DamagedError(path, f"the row {values[0]!r:.40} of {table} is damaged")
            yield tuple(values)
    except (sqlite3.DatabaseError, OverflowError, UnicodeDecodeError) as error:
        raise DamagedError(path, f"{table} can't be read ({error})") from error


def read_array(path: Path, db: sqlite3.Connection, name: str) -> NDArray[Any]:
    """The array of a digest.

    Raises:
        DamagedError: it is not there, or not as it was written.
    """
    for _, dtype, shape, order, data in read_rows(path, db, "arrays", "WHERE digest = ?", name):
        stored = Stored(dtype, shape, order, data)
        if stored.digest == name:
            return stored.array()
    raise DamagedError(path, f"the array {name!r:.12} is damaged or missing")


@contextmanager
def guard_types(path: Path, what: str) -> Iterator[None]:
    """Takes up a part of a record within, which a stranger may have written: its digests may well be right.

    Raises:
        DamagedError: it is not of the types that kvw writes.
    """
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        raise DamagedError(path, f"{what} can't be read ({type(error).__name__}: {error!s:.80})") from error


def evaluation_of(values: Sequence[Any]) -> Evaluation:
    """The evaluation in the columns :data:`EVALUATION`; to be called within :func:`guard_types`."""
    status, score, similarity, parts, synthesised, stage, detail = values
    return checked(Evaluation(status, score, similarity, json.loads(parts), synthesised, stage, detail))


def checked(seen: Evaluation) -> Evaluation:
    """An evaluation whose values have their types; to be called within :func:`guard_types`."""
    return Evaluation(
        str(seen.status),
        float(seen.score),
        float(seen.target_similarity),
        {str(name): float(value) for name, value in seen.parts.items()},
        float(seen.synthesised),
        str(seen.stage),
        str(seen.detail),
    )


def utterance_of(row: Sequence[Any]) -> tuple[str, Utterance]:
    """The key and the utterance in a row; to be called within :func:`guard_types`."""
    key, seconds, status, detail, embedding, statistics = row
    return str(key), Utterance(
        float(seconds),
        str(status),
        str(detail),
        None if embedding is None else np.frombuffer(embedding, "<f4"),
        None if statistics is None else np.frombuffer(statistics, "<f8"),
    )


def evaluation_columns(evaluation: Evaluation) -> tuple[object, ...]:
    """The columns :data:`EVALUATION` of an evaluation; the reverse of :func:`evaluation_of`."""
    return (
        evaluation.status,
        real(evaluation.score),
        real(evaluation.target_similarity),
        json.dumps(evaluation.parts),
        real(evaluation.synthesised),
        evaluation.stage,
        evaluation.detail.encode("utf-8", "backslashreplace").decode(),  # a plugin's words may hold lone surrogates
    )


def real(number: float) -> float:
    """As SQLite gives it back: it has no negative zero."""
    return float(number) + 0.0


def schema() -> list[str]:
    """The SQL that makes the tables."""
    made = []
    for table, columns in TABLES.items():
        names, comma, key = columns.partition(", PRIMARY")
        made.append(f"CREATE TABLE {table} ({names}, sha256 BLOB{comma}{key})")
    return made


def check_schema(path: Path, db: sqlite3.Connection) -> None:
    """Checks that a file has the tables of a run and nothing else: a view or a trigger would be somebody's program.

    Raises:
        DamagedError: it is no database, or one that was damaged.
        KvwError: it is another version's, or somebody else's.
    """
    try:
        db.execute("PRAGMA trusted_schema=OFF")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        found = [sql for (sql,) in db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")]
    except sqlite3.DatabaseError as error:
        raise DamagedError(path, f"SQLite says: {error}") from error
    if not found:
        raise DamagedError(path, "it is empty")
    if version != SCHEMA or sorted(found) != sorted(schema()):
        raise KvwError(
            f"{path}: expected a record of kvw in format {SCHEMA}; got format {version}, or something else; use the "
            "version of kvw that wrote it, or start a new run"
        )

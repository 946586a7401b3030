"""The layout of a run's record, ``run.db``: its tables, and how their rows are checked, read and written.

Read :data:`TABLES` first. Every row carries its sha256: damage that SQLite does not see is found when the row is read.
A record from a stranger is only data: its tables must be exactly these, so that it can hold no view and no trigger,
which SQLite would execute.
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

from kvw.errors import EXIT_CORRUPT, KvwError, error_line
from kvw.evaluation import Evaluation, Utterance
from kvw.runtime.files import retry
from kvw.search.state import Stored

SCHEMA = 5
"""The format: ``PRAGMA user_version`` of a record with the layout below."""

EVALUATION = "status TEXT, score REAL, target_similarity REAL, parts TEXT, synthesised REAL, stage TEXT, detail TEXT"

TABLES = {
    # the run as a whole, as JSON: config, inputs, provenance (synthesiser, target, seed, versions, ...), ...
    "run": "key TEXT PRIMARY KEY, value TEXT",
    # a voice speaking a text, by kvw.fitness.utterances.utterance_key: seconds of audio, the failure, the speaker
    # embedding, float32 (256,), acoustic statistics, float64 (n,), the words that Whisper hears, and of a gradient (by
    # gradient_key) that, float32 (256,)
    "utterances": "key TEXT PRIMARY KEY, seconds REAL, status TEXT, detail TEXT, embedding BLOB, statistics BLOB, "
    "transcript TEXT, gradient BLOB",
    # a stock voice in the ranking ("ranked": by the first stage alone), and again if it seeds the search ("full")
    "stock": f"name TEXT, ranking TEXT, {EVALUATION}, rows BLOB, PRIMARY KEY (name, ranking)",
    # a candidate; rows: the style rows that the scored texts are heard through, float32 (n, 256)
    "candidates": f"step INTEGER PRIMARY KEY, generation INTEGER, {EVALUATION}, notes TEXT, rows BLOB",
    # the state after a generation, as JSON that names arrays by their digests
    "checkpoints": "generation INTEGER PRIMARY KEY, state TEXT",
    # arrays, once each, and what needs them: the checkpoint of a generation, or -1 for the run
    "arrays": "digest TEXT PRIMARY KEY, dtype TEXT, shape TEXT, numbers_order TEXT, data BLOB",
    "uses": "generation INTEGER, digest TEXT, PRIMARY KEY (generation, digest)",
}
"""The columns of each table; the last one, ``sha256``, is added by :func:`schema`."""

FOREVER = -1
"""In place of a generation, of an array that the run as a whole needs."""


class DamagedError(KvwError):
    """A record, or a row of it, is not as it was written.

    Args:
        path: of the record.
        damage: what is damaged.
    """

    def __init__(self, path: Path, damage: str) -> None:
        super().__init__(
            f"{path}: expected the record as it was written; {damage}; the voices beside it are files of their own: "
            f"start a new run from the best with starting_voice={path.parent / 'best.pt'}",
            EXIT_CORRUPT,
        )


def columns_of(table: str) -> list[str]:
    """The names of a table's columns, without ``sha256``."""
    parts = TABLES[table].partition(", PRIMARY")[0].split(", ")
    return [part.split()[0] for part in parts]


def row_digest(table: str, values: Sequence[object]) -> bytes:
    """sha256 over the row ``values`` of ``table``."""
    digest = hashlib.sha256(table.encode())
    for value in values:
        content = value if isinstance(value, bytes) else repr(value).encode()
        digest.update(f"\n{type(value).__name__} {len(content)} ".encode())
        digest.update(content)
    return digest.digest()


def read_rows(
    path: Path, db: sqlite3.Connection, table: str, where: str = "", *parameters: object
) -> Iterator[tuple[Any, ...]]:
    """The rows of a table, without their digests, which are checked.

    Args:
        path: of the record, for messages.
        db: the record, open.
        table: a key of :data:`TABLES`.
        where: SQL after the table's name, with ``?`` for each parameter.
        parameters: of ``where``.

    Raises:
        DamagedError: a row is not as it was written; the rows before it have been yielded.
    """
    names = ", ".join(columns_of(table))
    try:
        select = partial(db.execute, f"SELECT {names}, sha256 FROM {table} {where}", parameters)
        for *values, digest in retry(path, lambda: select().fetchall()):
            if row_digest(table, values) != digest:
                raise DamagedError(path, f"the row {values[0]!r:.40} of {table} is damaged")
            yield tuple(values)
    except (sqlite3.DatabaseError, OverflowError, UnicodeDecodeError) as error:
        raise DamagedError(path, f"{table} can't be read ({error})") from error


def read_array(path: Path, db: sqlite3.Connection, digest: str) -> NDArray[Any]:
    """The array with a digest.

    Raises:
        DamagedError: the record lacks the array, or the array is not as it was written.
    """
    for _, dtype, shape, order, data in read_rows(path, db, "arrays", "WHERE digest = ?", digest):
        stored = Stored(dtype, shape, order, data)
        if stored.digest == digest:
            return stored.array()
    raise DamagedError(path, f"the array {digest!r:.12} is damaged or missing")


def damaged_steps(path: Path, db: sqlite3.Connection) -> list[Any]:
    """The steps of the candidates that are not as they were written."""
    select = f"SELECT {', '.join(columns_of('candidates'))}, sha256 FROM candidates"
    candidates = retry(path, lambda: db.execute(select).fetchall())
    return [values[0] for *values, digest in candidates if row_digest("candidates", values) != digest]


def damaged_arrays(path: Path, db: sqlite3.Connection) -> list[Any]:
    """The digests of the arrays that are not as they were written."""

    def is_damaged(digest: str) -> bool:
        try:
            read_array(path, db, digest)
        except (DamagedError, ValueError, RecursionError):
            return True
        return False

    digests = retry(path, lambda: db.execute("SELECT digest FROM arrays").fetchall())
    return [digest for (digest,) in digests if is_damaged(digest)]


@contextmanager
def guard_types(path: Path, what: str) -> Iterator[None]:
    """Converts any error while interpreting a part of a record, which may be a stranger's, into a DamagedError.

    Digests do not help there: a stranger can make them right.

    Args:
        path: of the record.
        what: names the part.

    Raises:
        DamagedError: the part does not have the types that kvw writes.
    """
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        raise DamagedError(path, f"{what} can't be read ({error_line(error):.100})") from error


def evaluation_of(values: Sequence[Any]) -> Evaluation:
    """The evaluation in the columns :data:`EVALUATION`; call within :func:`guard_types`."""
    status, score, similarity, parts, synthesised, stage, detail = values
    return checked(Evaluation(status, score, similarity, json.loads(parts), synthesised, stage, detail))


def checked(evaluation: Evaluation) -> Evaluation:
    """An untrusted evaluation, its values converted to their types; call within :func:`guard_types`."""
    return Evaluation(
        str(evaluation.status),
        float(evaluation.score),
        float(evaluation.target_similarity),
        {str(name): float(value) for name, value in evaluation.parts.items()},
        float(evaluation.synthesised),
        str(evaluation.stage),
        str(evaluation.detail),
    )


def utterance_of(row: Sequence[Any]) -> tuple[str, Utterance]:
    """The key and the utterance in a row of ``utterances``; call within :func:`guard_types`."""
    key, seconds, status, detail, embedding, statistics, transcript, gradient = row
    return str(key), Utterance(
        float(seconds),
        str(status),
        str(detail),
        None if embedding is None else np.frombuffer(embedding, "<f4"),
        None if statistics is None else np.frombuffer(statistics, "<f8"),
        None if transcript is None else str(transcript),
        None if gradient is None else np.frombuffer(gradient, "<f4"),
    )


def evaluation_columns(evaluation: Evaluation) -> tuple[object, ...]:
    """The values of the columns :data:`EVALUATION`; the inverse of :func:`evaluation_of`."""
    return (
        evaluation.status,
        real(evaluation.score),
        real(evaluation.target_similarity),
        json.dumps(evaluation.parts),
        real(evaluation.synthesised),
        evaluation.stage,
        evaluation.detail.encode("utf-8", "backslashreplace").decode(),  # lone surrogates: a plugin's
    )


def real(number: float) -> float:
    """A float as SQLite will return it, for the digest of its row: SQLite has no negative zero."""
    return float(number) + 0.0


def schema() -> list[str]:
    """The SQL that creates the tables."""
    statements = []
    for table, columns in TABLES.items():
        names, comma, key = columns.partition(", PRIMARY")
        statements.append(f"CREATE TABLE {table} ({names}, sha256 BLOB{comma}{key})")
    return statements


def check_schema(path: Path, db: sqlite3.Connection) -> None:
    """Checks that a file has the tables of a record and nothing else: a view or a trigger could be a stranger's code.

    Raises:
        DamagedError: the file is no database, or a damaged one.
        KvwError: the file has another format, or is another program's.
    """
    try:
        db.execute("PRAGMA trusted_schema=OFF")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        statements = [sql for (sql,) in db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")]
    except sqlite3.DatabaseError as error:
        raise DamagedError(path, f"SQLite says: {error}") from error
    if not statements:
        raise DamagedError(path, "the file is empty")
    expected = f"{path}: expected a record of kvw in format {SCHEMA}"
    if 0 < version < SCHEMA:
        raise KvwError(
            f"{expected}; got format {version}; it was written by an earlier version of kvw; start a new run"
        )
    if version != SCHEMA or sorted(statements) != sorted(schema()):
        raise KvwError(
            f"{expected}; got format {version}, or the tables of another program; use the version of kvw that wrote "
            "it, or start a new run"
        )

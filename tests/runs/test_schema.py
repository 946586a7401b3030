"""Files that are no record of this version are refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from kvw.errors import KvwError
from kvw.evaluation import Evaluation
from kvw.runs.reader import Run
from kvw.runs.schema import DamagedError, evaluation_columns, evaluation_of, real
from kvw.runs.store import Store


def asked(path, question):
    with closing(sqlite3.connect(path)) as db:
        return db.execute(question).fetchall()


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER harm AFTER INSERT ON candidates BEGIN DELETE FROM stock; END",
        "CREATE VIEW harm AS SELECT * FROM run",
        "DROP TABLE stock",
        "ALTER TABLE stock ADD COLUMN harm",
        "PRAGMA user_version=99",
    ],
)
def test_a_file_with_other_tables_is_no_record(statement, tmp_path):
    Store.create(tmp_path / "run.db", {}).close()
    asked(tmp_path / "run.db", statement)
    with pytest.raises(KvwError, match="expected a record of kvw") as refused:
        Store(tmp_path / "run.db")
    assert refused.value.code == 2


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0", b"no database" * 1000])
def test_a_file_that_is_no_database_is_damaged(content, tmp_path):
    (tmp_path / "run.db").write_bytes(content)
    with pytest.raises(DamagedError) as refused:
        Store(tmp_path / "run.db")
    assert refused.value.code == 5 and "\n" not in str(refused.value)


@pytest.mark.parametrize("version", [1, 2, 3, 4])
@pytest.mark.parametrize("opened", [Store, lambda path: Run(path.parent)])
def test_a_record_of_an_earlier_format_is_refused_in_one_line_that_says_what_to_do(opened, version, tmp_path):
    path = tmp_path / "run.db"
    Store.create(path, {}).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"PRAGMA user_version={version}")
        db.execute("DROP TABLE uses")
    with pytest.raises(KvwError) as refused:
        opened(path)
    assert str(refused.value) == (
        f"{path}: expected a record of kvw in format 5; got format {version}; it was written by an earlier version "
        "of kvw; start a new run"
    )
    assert not isinstance(refused.value, DamagedError)


def test_negative_zero_is_recorded_as_sqlite_returns_it():
    assert str(real(-0.0)) == "0.0"
    evaluation = Evaluation("complete", -0.0, 0.5, {"target": 0.5}, 1.0, "", "a lone \ud800 surrogate")
    columns = evaluation_columns(evaluation)
    assert str(columns[1]) == "0.0"
    assert evaluation_of(columns).detail == "a lone \\ud800 surrogate"

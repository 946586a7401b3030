"""The write-ahead log of a record stays short, and storage that can't lock is told as such."""

import sqlite3

import pytest

from kvw.runs import writer
from kvw.runs.connection import _connect
from kvw.runs.writer import Writer
from kvw.runtime import files
from kvw.runtime.files import StorageError


@pytest.fixture
def record(tmp_path, monkeypatch):
    """A database, and what writes to it, whose log is long as soon as it has 64 KiB."""
    monkeypatch.setattr(writer, "LONG_LOG", 1 << 16)
    monkeypatch.setattr(writer, "PATIENCE", 0.01)
    monkeypatch.setattr(writer, "MOST_PATIENCE", 0.04)
    path = tmp_path / "run.db"
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("CREATE TABLE bytes(content)")
    yield path, db, Writer(path, db)
    db.close()


def test_a_reader_that_starves_the_checkpoint_is_waited_for_longer_each_time(record):
    path, db, write = record
    log, waits = path.with_name("run.db-wal"), []

    def add():
        write.transaction(lambda: write("INSERT INTO bytes VALUES (zeroblob(100000))"))

    reader = _connect(path, immutable=False)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM bytes").fetchone()
    db.set_trace_callback(lambda said: waits.append(int(said.split("=")[1])) if "busy_timeout=" in said else None)
    for _ in range(4):
        add()
        assert log.stat().st_size > 1 << 16
    reader.close()
    add()
    assert log.stat().st_size == 0
    add()
    assert waits[::2] == [10, 40, 40, 40, 40, 10] and set(waits[1::2]) == {5000}


def test_a_file_system_that_can_not_lock_is_named_and_no_record_is_called_damaged(record, monkeypatch):
    *_, write = record
    monkeypatch.setattr(files, "PAUSES", ())

    def refused():
        raise sqlite3.OperationalError("locking protocol")  # SQLite's words on some network file systems

    with pytest.raises(StorageError, match=r"run\.db can't be used: locking protocol") as caught:
        write.transaction(refused)
    assert caught.value.code == 4

"""Reads and edits the record of a run, and compares two."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

from kvw.runs.store import Store


def asked(path, question):
    with closing(sqlite3.connect(path)) as db:
        return db.execute(question).fetchall()


RECORDED = ("candidates", "stock", "utterances")


def rows(run, table):
    with closing(sqlite3.connect(f"{(run / 'run.db').as_uri()}?mode=ro", uri=True)) as db:
        return sorted(db.execute(f"SELECT * FROM {table}").fetchall(), key=repr)


def equal(one, two):
    """Whether two runs have the same record and the same best voice, bit for bit."""
    files = [(run / "best.pt").read_bytes() for run in (one, two)]
    return files[0] == files[1] and all(rows(one, table) == rows(two, table) for table in RECORDED)


def edit(run, key, change):
    """Writes another value for a fact of a run, as a stranger would who knows the format."""
    store = Store(run / "run.db")
    text = json.dumps(change(json.loads(dict(rows_of(store))[key])))
    store._write(lambda: store._writer.insert("run", (key, text)))
    store.close()


def rows_of(store):
    return list(store._read("run"))

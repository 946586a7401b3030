"""Reads and edits the record of a run, and compares two."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from itertools import zip_longest

from kvw.runs.store import Store


def asked(path, question):
    with closing(sqlite3.connect(path)) as db:
        return db.execute(question).fetchall()


RECORDED = ("candidates", "stock", "utterances")


def rows(run, table):
    with closing(sqlite3.connect(f"{(run / 'run.db').as_uri()}?mode=ro", uri=True)) as db:
        return sorted(db.execute(f"SELECT * FROM {table}").fetchall(), key=repr)


def differences(one, two):
    """In what the best voices and the records of two runs differ, bit for bit; empty for equal runs."""
    found = [] if (one / "best.pt").read_bytes() == (two / "best.pt").read_bytes() else ["best.pt"]
    for table in RECORDED:
        theirs = rows(two, table)
        for mine, other in zip_longest(rows(one, table), theirs):
            if mine != other:
                found.append(f"{table} ({len(theirs)} rows): {mine!r:.400} and {other!r:.400}")
                break
    return found


def edit(run, key, change):
    """Writes another value for a fact of a run, as a stranger would who knows the format."""
    store = Store(run / "run.db")
    text = json.dumps(change(json.loads(dict(rows_of(store))[key])))
    store._write(lambda: store._writer.insert("run", (key, text)))
    store.close()


def rows_of(store):
    return list(store._read("run"))

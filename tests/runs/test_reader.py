"""Runs as programs read them, on records of searches without speech."""

from __future__ import annotations

import pickle
import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from kvw.errors import KvwError
from kvw.runs import folders
from kvw.runs.reader import Run
from kvw.runs.schema import DamagedError
from tests.support.recorded import ROWS, STEPS, TEXTS, changed, done, facts, utterance


def test_a_run_gives_back_what_the_search_found(made):
    place, result = made
    run = Run(place)
    archive = result.archive
    assert (run.steps, run.generations) == (archive.steps, archive.steps) == (STEPS, STEPS)
    assert run.best == (archive.best.step, archive.best.evaluation)
    ranked = [one for one in run.stock if one.ranking == "ranked"]
    full = [one for one in run.stock if one.ranking == "full"]
    assert [(one.name, one.evaluation) for one in ranked] == [(one.name, one.evaluation) for one in result.ranking]
    assert [(one.name, one.evaluation) for one in full] == [(one.name, one.evaluation) for one in result.top]
    assert np.array_equal(full[0].rows, result.top[0].voice[ROWS, 0])
    assert run.stock_score == result.baseline.evaluation.score
    samples = list(run.candidates())
    assert [one.step for one in samples] == list(range(STEPS))
    assert sum(one.evaluation.complete for one in samples) == archive.complete
    assert sum(one.evaluation.failed for one in samples) == archive.failed > 2
    assert sum(one.evaluation.status == "stopped" for one in samples) == archive.stopped > 2
    assert sum(one.evaluation.synthesised for one in samples) == archive.synthesised
    best = samples[archive.best.step]
    assert (best.evaluation, best.notes) == (archive.best.evaluation, archive.best.notes)
    assert best.notes["Diversity"] > 0
    assert np.array_equal(best.rows, archive.best.voice[ROWS, 0])
    assert best.rows.dtype == np.float32
    better = list(run.improvements(iter(samples)))
    assert len(better) == archive.improvements
    assert better[-1].step == archive.best.step


def test_what_a_run_is_is_read_key_by_key(made, monkeypatch):
    run = Run(made[0])
    thawed = []
    monkeypatch.setattr("kvw.search.state.Stored.array", lambda self: thawed.append(self) or np.zeros(1))
    assert list(run.facts) == list(facts())
    assert len(run.facts) == 5
    assert (run.about["target"], run.config["step_limit"], run.facts["texts"]) == ("demo", STEPS, TEXTS)
    assert (run.facts.get("bank"), "bank" in run.facts) == (None, False)
    assert not thawed
    run.facts["inputs"]
    assert len(thawed) == 1
    monkeypatch.undo()
    assert np.array_equal(run.facts["inputs"]["arrays"]["target"], np.arange(50_000, dtype=np.float32))


def test_utterances_come_back_by_their_keys(made):
    found = dict(Run(made[0]).utterances())
    assert list(found) == [f"{number:064x}" for number in range(300)]
    for number, one in enumerate(found.values()):
        expected = utterance(number)
        assert replace(one, embedding=None, statistics=None) == replace(expected, embedding=None, statistics=None)
        for got, wanted in ((one.embedding, expected.embedding), (one.statistics, expected.statistics)):
            assert (got is None) == (wanted is None)
            assert got is None or (np.array_equal(got, wanted) and got.dtype == wanted.dtype)


def test_a_run_can_be_pickled_and_tells_what_it_is(made):
    run = pickle.loads(pickle.dumps(Run(made[0])))
    assert run.best == Run(made[0]).best
    assert repr(run) == f"Run({str(made[0])!r})"


def test_the_status_is_running_done_or_stopped(copy):
    place = copy("day/one")
    run = Run(place)
    assert run.status == "stopped"
    done(place)
    assert run.status == "done"
    with folders.held(place):
        assert run.status == "running"


def test_the_best_comes_from_the_newest_checkpoint_that_is_whole(copy):
    place = copy("one")
    run = Run(place)
    best = run.best
    with changed(place) as db:
        db.execute("UPDATE checkpoints SET state = '{}' WHERE generation = (SELECT max(generation) FROM checkpoints)")
    assert run.best == best
    with changed(place) as db:
        db.execute("UPDATE checkpoints SET state = '{}'")
    with pytest.raises(DamagedError, match="checkpoints"):
        assert run.best


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("candidates", "parts", "[]"),
        ("candidates", "parts", '{"target": "high"}'),
        ("candidates", "score", None),
        ("candidates", "notes", "[" * 5000),
        ("candidates", "rows", b"\0" * 7),
        ("candidates", "rows", "text"),
        ("run", "value", "[1]"),
        ("run", "value", '{"kvw.array": "none"}'),
        ("arrays", "dtype", "|O"),
        ("arrays", "data", None),
        ("arrays", "shape", "9" * 30),
        ("utterances", "seconds", "long"),
        ("utterances", "embedding", b"\0" * 3),
        ("stock", "parts", "null"),
        ("checkpoints", "state", "[]"),
        ("checkpoints", "state", '{"archive": {"best": {"step": "x"}}}'),
    ],
)
def test_a_strangers_record_whose_digests_are_right_is_still_only_data(copy, table, column, value):
    from kvw.runs.schema import columns_of, row_digest

    place = copy("one")
    names = columns_of(table)
    with changed(place) as db:
        rows = db.execute(f"SELECT rowid, {', '.join(names)} FROM {table}").fetchall()
        for rowid, *values in rows:
            values[names.index(column)] = value
            db.execute(
                f"UPDATE {table} SET {column} = ?, sha256 = ? WHERE rowid = ?",
                (value, row_digest(table, values), rowid),
            )
    run = Run(place)
    with pytest.raises(DamagedError) as caught:
        run.config, run.facts["inputs"], run.best, run.stock, list(run.utterances()), run.training()
    assert "\n" not in str(caught.value)


def test_a_damaged_page_is_damage(copy):
    place = copy("one")
    with changed(place):
        pass
    content = bytearray((place / folders.RECORD).read_bytes())
    with closing(sqlite3.connect(place / folders.RECORD)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'checkpoints'").fetchone()
    content[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    (place / folders.RECORD).write_bytes(content)
    with pytest.raises(DamagedError):
        assert Run(place).best


def test_a_folder_without_a_record_is_no_run(tmp_path):
    with pytest.raises(KvwError, match="there is none"):
        Run(tmp_path)

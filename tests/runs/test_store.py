"""The record of a run: what a checkpoint costs, what is kept, and what is damage."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from kvw.evaluation import Evaluation, Utterance
from kvw.runs.schema import DamagedError, row_digest
from kvw.runs.store import KEPT, Store
from kvw.runtime.files import StorageError
from kvw.search.budget import Budget
from kvw.search.loop import search
from kvw.search.stage import SearchStage
from kvw.search.state import Stored
from kvw.spaces.elementwise import Elementwise
from strategies.genetic import Genetic
from strategies.random_walk import RandomWalk
from tests.support.landscape import BANK, Landscape
from tests.support.records import asked

ROWS = [3, 70]


def recorded(path, strategy=RandomWalk, steps=12, executor=None, **more):
    store = Store.create(path, {"rows": ROWS}) if not path.exists() else Store(path)
    store.heard_through(ROWS)
    search(
        bank=BANK,
        executor=executor or Landscape(),
        stages=[SearchStage("one", Elementwise, strategy)],
        rng=np.random.default_rng(0),
        budget=Budget(steps),
        population_limit=3,
        observers=[store],
        record=store,
        **more,
    )
    store.close()


def test_a_step_of_the_walk_that_is_not_taken_adds_less_than_64_kb_to_a_record_of_megabytes(tmp_path):
    class Stays(RandomWalk):
        """Takes no step behind the first."""

        def update(self, population):
            if self.current is None:
                super().update(population)

    def arrays(steps):
        path = tmp_path / f"{steps}.db"
        recorded(path, Stays, steps)
        return {digest: len(data) for digest, data in asked(path, "SELECT digest, data FROM arrays")}

    few, many = arrays(5), arrays(6)
    new = sum(size for digest, size in many.items() if digest not in few)
    (state,) = max(asked(tmp_path / "6.db", "SELECT length(state) FROM checkpoints"))
    changed = 130_560 * (8 + 4)  # the best candidate, as a genome and as a voice
    assert sum(many.values()) > 1_000_000
    assert new + state < 64_000 + changed
    assert state < 10_000


def test_only_the_newest_checkpoints_are_kept_and_no_array_that_none_of_them_needs(tmp_path):
    recorded(tmp_path / "run.db", steps=30)
    generations = [number for (number,) in asked(tmp_path / "run.db", "SELECT generation FROM checkpoints")]
    assert generations == list(range(30 - KEPT, 30))
    needed = set(asked(tmp_path / "run.db", "SELECT DISTINCT digest FROM uses"))
    assert set(asked(tmp_path / "run.db", "SELECT digest FROM arrays")) == needed


@pytest.mark.parametrize("strategy", [RandomWalk, Genetic])
def test_a_search_goes_on_where_its_record_ends(strategy, tmp_path):
    recorded(tmp_path / "whole.db", strategy, 100)
    recorded(tmp_path / "parts.db", strategy, 30)
    recorded(tmp_path / "parts.db", strategy, 100)
    for table in ("candidates", "stock"):
        question = f"SELECT * FROM {table} ORDER BY 1, 2"
        assert asked(tmp_path / "parts.db", question) == asked(tmp_path / "whole.db", question)


def flip(path, table, column):
    """Changes the last letter or byte of a value that nobody may have changed."""
    with closing(sqlite3.connect(path)) as db:
        key, value = db.execute(f"SELECT rowid, {column} FROM {table} ORDER BY rowid DESC LIMIT 1").fetchone()
        other = value[:-1] + (bytes([value[-1] ^ 1]) if isinstance(value, bytes) else "~")
        db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (other, key))
        db.commit()


def test_a_damaged_checkpoint_gives_way_to_the_one_before_it_with_a_word(tmp_path, said):
    recorded(tmp_path / "run.db", steps=12)
    flip(tmp_path / "run.db", "checkpoints", "state")
    store = Store(tmp_path / "run.db")
    assert store.latest()["generation"] == 11
    assert any("Checkpoint 11 is damaged" in line for line in said)
    store.close()
    assert len(asked(tmp_path / "run.db", "SELECT * FROM candidates")) == 11, "what came after it is forgotten"


def test_damaged_candidates_are_left_out_with_a_word(tmp_path, said):
    recorded(tmp_path / "run.db", steps=12)
    flip(tmp_path / "run.db", "candidates", "rows")
    with closing(Store(tmp_path / "run.db")) as store:
        store.latest()
    assert any("the records of 1 of 12 candidates are damaged and left out" in line for line in said)


def test_utterances_come_back_as_they_were_kept_and_a_damaged_one_is_not_known(tmp_path, said):
    embedding, statistics = np.linspace(0, 1, 256, dtype=np.float32), np.array([0.1, -0.0, 1e-300])
    kept = {
        "a" * 64: Utterance(2.5, embedding=embedding, statistics=statistics, transcript="Nobody’s there."),
        "b" * 64: Utterance(-0.0, "silent", "the audio is silent"),
    }
    with closing(Store.create(tmp_path / "run.db", {})) as store:
        store.put(kept)
        found = store.get("a" * 64)
        assert (found.embedding.tobytes(), found.statistics.tobytes()) == (embedding.tobytes(), statistics.tobytes())
        assert (found.seconds, found.transcript) == (2.5, "Nobody’s there.")
        assert store.get("b" * 64) == kept["b" * 64]
        assert store.get("c" * 64) is None
    flip(tmp_path / "run.db", "utterances", "detail")
    with closing(Store(tmp_path / "run.db")) as store:
        assert store.get("b" * 64) is None
        assert any("it is measured again" in line for line in said)


def forge(path, table, row, where=""):
    """Puts a row with the right digest in the place of another: a stranger can."""
    marks = ", ".join("?" * (len(row) + 1))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"DELETE FROM {table} {where}")
        db.execute(f"INSERT INTO {table} VALUES ({marks})", (*row, row_digest(table, row)))


@pytest.mark.parametrize(
    "state", ["{}", "[1]", "null", '{"archive": {"steps": "x"}}', '{"archive": {"steps": []}}', "{"]
)
def test_a_checkpoint_of_another_form_is_damage_though_its_digest_is_right(state, tmp_path, caplog):
    path = tmp_path / "run.db"
    recorded(path, steps=2)
    forge(path, "checkpoints", (1, state))
    with closing(Store(path)) as store, pytest.raises(DamagedError):
        store.latest()


@pytest.mark.parametrize("value", ["", "{", None, '{"kvw.array": "0"}', '{"kvw.array": 1}', "[" * 100_000, b"\xff"])
def test_a_fact_of_another_form_is_damage_though_its_digest_is_right(value, tmp_path):
    path = tmp_path / "run.db"
    Store.create(path, {"rows": ROWS}).close()
    forge(path, "run", ("rows", value))
    with pytest.raises(DamagedError):
        Store(path)


def test_an_array_of_no_type_is_damage_though_its_digest_is_right(tmp_path):
    path = tmp_path / "run.db"
    Store.create(path, {"wave": np.zeros(3)}).close()
    stored = Stored("zz", "[3]", "C", bytes(24))
    forge(path, "arrays", (stored.digest, stored.dtype, stored.shape, stored.order, stored.data))
    forge(path, "run", ("wave", f'{{"kvw.array": "{stored.digest}"}}'))
    with pytest.raises(DamagedError):
        Store(path)


@pytest.mark.parametrize(
    "row",
    [
        ("x", "", "", None, None, None, None),
        (1.0, "", "", b"abc", None, None, None),
        (1.0, "", "", None, 7, None, None),
        (1.0, "", "", None, None, None, "up"),
    ],
)
def test_an_utterance_of_another_form_is_measured_again(row, tmp_path, caplog):
    path = tmp_path / "run.db"
    Store.create(path, {"rows": ROWS}).close()
    forge(path, "utterances", ("key", *row))
    with closing(Store(path)) as store:
        assert store.get("key") is None
        store.put({"key": Utterance(2.0, "silent", "nothing")})
        assert store.get("key") == Utterance(2.0, "silent", "nothing")
    assert "measured again" in caplog.text


def test_a_record_that_somebody_else_holds_is_storage_that_is_gone_and_no_bad_voice(tmp_path, monkeypatch):
    monkeypatch.setattr("kvw.runtime.files.PAUSES", (0.0,))
    monkeypatch.setattr("kvw.runs.store.BUSY", 10)
    path = tmp_path / "run.db"
    with closing(Store.create(path, {"rows": ROWS})) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StorageError, match="database is locked"):
                store.put({"key": Utterance(1.0)})
        store.put({"key": Utterance(1.0)})
        assert store.get("key") == Utterance(1.0)


def test_a_search_goes_on_with_the_ranking_that_it_began_with(tmp_path, caplog):
    class Forgetful(Landscape):
        """Has no memory for a voice the first time."""

        def __call__(self, voices, gate, cache=None):
            seen = super().__call__(voices, gate)
            fails = [np.array_equal(voice, BANK["af_b"]) for voice in voices]
            return [Evaluation("crashed") if fail else one for fail, one in zip(fails, seen, strict=True)]

    whole, parts = tmp_path / "whole.db", tmp_path / "parts.db"
    recorded(whole, Genetic, executor=Forgetful())
    recorded(parts, Genetic, 4, executor=Forgetful())
    recorded(parts, Genetic)
    for table in ("stock", "candidates"):
        assert asked(whole, f"SELECT * FROM {table}") == asked(parts, f"SELECT * FROM {table}")
    assert {status for (status,) in asked(parts, "SELECT status FROM stock WHERE name = 'af_b'")} == {"crashed"}


def test_a_damaged_ranking_is_made_again(tmp_path, caplog):
    path = tmp_path / "run.db"
    recorded(path)
    before = asked(path, "SELECT * FROM stock")
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE stock SET score = 99 WHERE ranking = 'full'")
    with closing(Store(path)) as store:
        assert store.known_ranking(BANK) is None
    recorded(path, steps=13)
    assert asked(path, "SELECT * FROM stock") == before
    assert "ranked again" in caplog.text

"""Runs as a database, on records of searches without speech."""

from __future__ import annotations

import csv
import json
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from omegaconf import OmegaConf

from kvw.cli.main import invoke
from kvw.errors import KvwError
from kvw.evaluation import Evaluation, Utterance
from kvw.runs import folders
from kvw.runs.reader import Run, open_runs, read_rows
from kvw.runs.result import figures_line
from kvw.runs.samples import Sample
from kvw.runs.schema import DamagedError
from kvw.runs.store import Store
from kvw.runtime.files import StorageError
from kvw.runtime.locks import holder
from kvw.search.budget import Budget
from kvw.search.loop import search
from kvw.search.stage import SearchStage
from kvw.spaces.elementwise import Elementwise
from kvw.tasks import runs as runs_task
from kvw.tasks.runs import FIXED, HEAD, described, export, overview, runs
from strategies.random_walk import RandomWalk
from tests.search.test_loop import BANK, Landscape

AWKWARD = "a b %41 #1 ?x=y&mode=rw é \"q\" 's'"
ROWS = [4, 90]
STEPS = 40
TEXTS = ["The ships are at sea tonight.", "A cold wind came over the hill."]


class Scene(Landscape):
    """Three stages, failures with awkward words, and seconds of audio."""

    memory = None

    def evaluate(self, one, gate):
        seen = super().evaluate(one, gate)
        if seen.failed:
            return Evaluation("silent", 0.0, -1.0, {}, 0.25, "target", 'it said "nothing",\nand that twice; é')
        if gate.only or seen.target_similarity < gate.parts.get("target", 0.0):
            return Evaluation("stopped", 0.0, seen.target_similarity, seen.parts, 1 / 3, "target")
        parts = {**seen.parts, "self": 0.1 + seen.target_similarity / 3, "feature": 2 / 3}
        return Evaluation("complete", seen.score, seen.target_similarity, parts, 2 / 3)


def facts(seed=0, **config):
    about = {
        "synthesiser": "embedded",
        "synthesiser_identity": "embedded 1",
        "target": "demo",
        "target_sha256": "ab" * 32,
        "strategy": "random_walk",
        "seed": seed,
        "language": "a",
        "versions": {"kvw": "0.1.0", "torch": "2.13.0"},
    }
    return {
        "facts": about,
        "config": {
            "seed": seed,
            "step_limit": STEPS,
            "strategy": {"_target_": "x.Walk", "diversity": [0.1, 0.2]},
            **config,
        },
        "inputs": {"target_text": TEXTS[0], "arrays": {"target": np.arange(50_000, dtype=np.float32)}},
        "texts": TEXTS,
        "rows": ROWS,
    }


def record(place, seed=0, steps=STEPS, fail=lambda number: number > 20 and number % 7 == 0, **config):
    """Searches with its record in ``place``; gives the open store and what was found."""
    place.mkdir(parents=True)
    store = Store.create(place / folders.RECORD, facts(seed, **config))
    store.heard_through(ROWS)
    store.put({f"{number:064x}": utterance(number) for number in range(300)})
    result = search(
        bank=BANK,
        executor=Scene(fail=fail),
        stages=[SearchStage("only", Elementwise, RandomWalk)],
        rng=np.random.default_rng(seed),
        budget=Budget(step_limit=steps),
        population_limit=3,
        observers=[store],
        record=store,
    )
    return store, result


def utterance(number):
    if number % 5 == 0:
        return Utterance(0.5, "silent", "the audio is silent")
    embedding = np.full(256, number, dtype=np.float32)
    return Utterance(number / 7, embedding=embedding, statistics=np.array([number / 3, 1.0]))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a run that was recorded, and what it found. Not to be changed."""
    place = tmp_path_factory.mktemp("outputs") / "day" / "one"
    store, result = record(place)
    store.close()
    return place, result


@pytest.fixture
def copy(made, tmp_path):
    """Copies of that run, by their names below ``outputs``."""

    def copied(name):
        shutil.copytree(made[0], tmp_path / "outputs" / name)
        return tmp_path / "outputs" / name

    return copied


def done(place, heldout=0.5):
    voices = {
        "best stock voice, af_c": {"score": 60.0, "target_similarity": 0.6, "heldout": [0.25, 0.25]},
        "result, step 3": {"score": 70.0, "target_similarity": 0.7, "heldout": [heldout, heldout]},
    }
    figures = {"evaluations": STEPS, "synthesised_seconds": 9.5, "seconds": 3.25, "voices": voices}
    (place / folders.RESULT).write_text(json.dumps(figures))


@contextmanager
def changed(place):
    """The record's database, to damage it."""
    with closing(sqlite3.connect(place / folders.RECORD)) as db:
        db.execute("PRAGMA journal_mode=DELETE")
        yield db
        db.commit()


def stamps(place):
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_size) for path in place.iterdir()}


@pytest.fixture
def kvw(tmp_path, monkeypatch, capsys):
    """Runs kvw in an empty folder; gives the exit status, what it printed and its errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        capsys.readouterr()
        code = invoke(["task=runs", *arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def task(tmp_path, monkeypatch, said):
    """The same without the command line, which takes a second: gives the figure and the lines."""
    monkeypatch.chdir(tmp_path)
    hydra = OmegaConf.create({"run": {"dir": "outputs"}})
    monkeypatch.setattr(runs_task, "HydraConfig", SimpleNamespace(get=lambda: hydra))

    def call(run=None, csv=None):
        said.clear()
        figure = runs(OmegaConf.create({"run": run}), csv=csv)
        return figure, "\n".join(said).splitlines()

    return call


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
    monkeypatch.setattr("kvw.runs.store.Stored.array", lambda self: thawed.append(self) or np.zeros(1))
    assert list(run.facts) == list(facts())
    assert len(run.facts) == 5
    assert (run.about["target"], run.config["step_limit"], run.facts["texts"]) == ("demo", STEPS, TEXTS)
    assert (run.facts.get("bank"), "bank" in run.facts) == (None, False)
    assert not thawed
    run.facts["inputs"]
    assert len(thawed) == 1
    monkeypatch.undo()
    assert np.array_equal(run.facts["inputs"]["arrays"]["target"], np.arange(50_000, dtype=np.float32))


def test_training_data_are_the_rows_that_were_heard_and_what_was_measured(made):
    run = Run(made[0])
    scored = [one for one in run.candidates() if not one.evaluation.failed]
    data = run.training()
    assert (data.rows.shape, data.rows.dtype) == ((len(scored), 2, 256), np.float32)
    assert (data.parts.shape, data.parts.dtype) == ((len(scored), 3), np.float64)
    assert data.target_similarity.dtype == np.float64
    assert data.names == ("target", "self", "feature")
    assert data.steps.tolist() == [one.step for one in scored]
    for at, one in enumerate(scored):
        assert np.array_equal(data.rows[at], one.rows)
        assert data.target_similarity[at] == one.evaluation.target_similarity
        known = dict(zip(data.names, data.parts[at].tolist(), strict=True))
        assert {name: value for name, value in known.items() if not np.isnan(value)} == one.evaluation.parts
    assert np.isnan(data.parts).any()
    everything = run.training(failed=True)
    assert len(everything.steps) == STEPS
    assert (everything.target_similarity == -1).sum() == STEPS - len(scored)


def test_a_run_without_candidates_has_empty_training_data_of_the_right_shapes(tmp_path):
    store = Store.create(tmp_path / folders.RECORD, facts())
    store.close()
    run = Run(tmp_path)
    data = run.training()
    assert (data.rows.shape, data.parts.shape, data.names) == ((0, 2, 256), (0, 0), ())
    assert (run.steps, run.generations, run.best, run.stock, run.stock_score) == (0, 0, None, [], None)
    assert "Candidates: 0 of 40 in 0 generations" in described(run)
    assert overview(run, tmp_path)[5:9] == ("0", "-", "-", "-")


def test_utterances_come_back_by_their_keys(made):
    found = dict(Run(made[0]).utterances())
    assert list(found) == [f"{number:064x}" for number in range(300)]
    for number, one in enumerate(found.values()):
        expected = utterance(number)
        assert (one.seconds, one.status, one.detail) == (expected.seconds, expected.status, expected.detail)
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


def test_a_folder_may_have_any_name(copy):
    place = copy(AWKWARD)
    assert Run(place).steps == STEPS
    with closing(Store(place / folders.RECORD)):
        assert Run(place).steps == STEPS


def test_reading_leaves_nothing_behind_and_does_not_change_which_run_is_the_last(copy, tmp_path):
    older, newer = copy("older"), copy("newer")
    os.utime(older / folders.RECORD, (1_000_000, 1_000_000))
    before = stamps(older)
    run = Run(older)
    list(run.candidates()), list(run.utterances()), run.best, run.status, described(run)
    assert stamps(older) == before
    assert folders.named("last", tmp_path / "outputs") == newer


def test_readers_read_while_a_writer_writes_and_it_never_waits_for_them(tmp_path):
    store, _ = record(tmp_path / "outputs" / "one", steps=10)
    run = Run(tmp_path / "outputs" / "one")
    assert (tmp_path / "outputs" / "one" / "run.db-wal").exists()
    store._db.execute("PRAGMA busy_timeout=0")
    store._db.execute("BEGIN IMMEDIATE")
    store._db.execute("UPDATE candidates SET score = 99")
    assert [one.step for one in run.candidates()] == list(range(10))
    assert run.best[1].score < 99
    store._db.execute("ROLLBACK")
    reading = run.candidates(), run.utterances()
    for one in reading:
        next(one)
    store.put({"f" * 64: utterance(1)})
    (busy, *_) = store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert busy == 0, "no reader is in the way of the log's end"
    assert len(list(reading[0])) == 9
    assert list(dict(reading[1]))[-1] == "f" * 64
    store.close()


def test_another_process_reads_a_run_that_goes_on(tmp_path):
    store, _ = record(tmp_path / "one", steps=10)
    store._db.execute("BEGIN IMMEDIATE")
    code = "import sys, pathlib; from kvw.runs.reader import Run; print(Run(pathlib.Path(sys.argv[1])).steps)"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "one"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "10"
    store._db.execute("ROLLBACK")
    store.close()


def test_a_killed_run_is_read_with_what_was_committed_last(tmp_path):
    store, _ = record(tmp_path / "one", steps=10)
    shutil.copytree(tmp_path / "one", tmp_path / "killed")
    store.close()
    assert (tmp_path / "killed" / "run.db-wal").stat().st_size > 0
    (tmp_path / "killed" / "run.db-shm").unlink()
    assert Run(tmp_path / "killed").steps == 10


def test_a_writer_that_comes_while_a_quiet_record_is_read_is_noticed(copy):
    place = copy("one")
    run, asked = Run(place), []

    def question(db):
        asked.append(db.execute("SELECT count(*) FROM candidates").fetchone()[0])
        if len(asked) == 1:
            with closing(Store(place / folders.RECORD)) as store:
                store._db.execute("DELETE FROM candidates WHERE step > 5")
        return asked[-1]

    assert run._ask(question) == 6
    assert asked == [STEPS, 6]


@contextmanager
def unprivileged(top):
    """As a user who can read what is below ``top`` and write nothing there."""
    for path in (top, *top.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        if os.access(top, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            pytest.skip("permissions mean nothing here")
        yield
    finally:
        if root:
            os.seteuid(0)
        for path in (top, *(path for path in top.rglob("*") if path.is_dir())):
            path.chmod(0o755)


@pytest.fixture
def public():
    """A folder that other users can see: pytest's own are for its user alone."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


@pytest.mark.skipif(sys.platform == "win32", reason="a folder's permissions are another thing there")
def test_a_folder_that_can_not_be_written_is_read(made, public):
    shutil.copytree(made[0], public / "one")
    shutil.copytree(made[0], public / "killed")
    with closing(Store(public / "killed" / folders.RECORD)) as store:
        store.put({"f" * 64: utterance(1)})
        for name in ("run.db", "run.db-wal", "run.db-shm"):
            (public / name).write_bytes((public / "killed" / name).read_bytes())
    for name in ("run.db", "run.db-wal", "run.db-shm"):
        (public / name).replace(public / "killed" / name)
    shutil.copytree(public / "killed", public / "no index")
    (public / "no index" / "run.db-shm").unlink()
    with unprivileged(public):
        found, unreadable = open_runs(public)
        assert {run.folder.name: run.steps for run in found} == {"one": STEPS, "killed": STEPS}
        assert {run.folder.name: len(list(run.utterances())) for run in found} == {"one": 300, "killed": 301}
        assert {run.status for run in found} == {"stopped"}
        ((place, why),) = unreadable
        assert place.name == "no index"
        assert "read a copy" in why
        assert "\n" not in why


def test_damage_is_one_line_with_its_own_exit_status(copy, kvw):
    place = copy("one")
    with changed(place) as db:
        db.execute("UPDATE candidates SET score = score + 1 WHERE step = 30")
    run = Run(place)
    assert run.steps == STEPS, "what is whole can be read"
    with pytest.raises(DamagedError, match="row 30 of candidates"):
        list(run.candidates())
    code, _, err = kvw(f"run={place}")
    assert code == 5
    (line,) = err.splitlines()
    assert str(place) in line


def test_a_run_whose_facts_are_damaged_is_named_below_the_list(copy, task):
    with changed(copy("one")) as db:
        db.execute("UPDATE run SET value = '{}' WHERE key = 'facts'")
    figure, lines = task()
    assert figure == 1
    assert lines[0].split() == list(HEAD)
    assert "the row 'facts' of run is damaged" in lines[1]


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


@pytest.mark.parametrize("content", [b"", b"no database at all" * 100, None])
def test_a_file_that_is_no_record_is_named_and_the_others_are_listed(copy, tmp_path, content, task):
    copy("good")
    place = tmp_path / "outputs" / "bad"
    place.mkdir()
    if content is None:
        with closing(sqlite3.connect(place / folders.RECORD)) as db:
            db.execute("CREATE TABLE mine (text TEXT)")
            db.commit()
    else:
        (place / folders.RECORD).write_bytes(content)
    figure, lines = task()
    assert (figure, lines[1].split()[0]) == (1, "good")
    found, unreadable = open_runs(Path("outputs"))
    assert [run.folder.name for run in found] == ["good"]
    bad = Path("outputs/bad")
    assert unreadable == [(bad, lines[-1])]
    assert lines[-1].startswith(f"{bad / folders.RECORD}: expected ")
    with pytest.raises(KvwError, match=folders.RECORD.replace(".", r"\.")):
        task("outputs/bad")


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


def cells(line):
    return [cell for cell in line.split("  ") if cell.strip()]


def test_the_list_has_a_line_for_each_run_the_newest_first(copy, kvw, tmp_path, made):
    first, second = copy("day/first"), copy("sweep/0/second")
    for at, place in enumerate((first, second)):
        os.utime(place / folders.RECORD, (1e9 + at, 1e9 + at))
    done(first, heldout=0.625)
    code, out, err = kvw()
    assert (code, err) == (0, "")
    head, *lines = [[cell.strip() for cell in cells(line)] for line in out.splitlines()]
    assert tuple(head) == HEAD
    best, stock = made[1].archive.best.evaluation.score, made[1].baseline.evaluation.score
    figures = ["demo", "random_walk", "0", str(STEPS), f"{best:.2f}", f"{stock:.2f}"]
    assert lines == [
        [str(Path("sweep/0/second")), "stopped", *figures, "-", "embedded"],
        [str(Path("day/first")), "done", *figures, "0.625", "embedded"],
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"outputs"}


def test_the_list_of_nothing_says_so(task, tmp_path):
    assert task() == (0, ["There are no runs below outputs"])
    assert not list(tmp_path.iterdir())


def test_the_list_reads_no_candidates_but_the_last(copy, monkeypatch):
    run = Run(copy("one"))
    tables = []
    real = read_rows

    def counting(path, db, table, *more):
        for row in real(path, db, table, *more):
            tables.append(table)
            yield row

    monkeypatch.setattr("kvw.runs.reader.read_rows", counting)
    overview(run, run.folder)
    assert tables.count("candidates") == 1
    assert "arrays" not in tables
    assert len(tables) < 10


def test_one_run_is_shown_with_how_it_stands_and_how_to_go_on(copy, task, made, monkeypatch):
    place = copy("one")
    result = made[1]
    figure, lines = task("last")
    assert figure == 1
    assert task([])[1] == task()[1] != lines
    assert lines == task("outputs/one")[1] == task("outputs/one/run.db")[1] == task(["last"])[1]
    archive = result.archive
    assert lines[0] == f"{Path('outputs/one')}: stopped"
    for word in ("demo", "sha256 " + "ab" * 6 + ",", "random_walk", "embedded 1", "seed 0"):
        assert word in "\n".join(lines[1:4])
    top = lines.index("Nearest of 6 stock voices:")
    assert [line.split()[0] for line in lines[top + 1 : top + 6]] == [one.name for one in result.ranking[:5]]
    assert f"Score: {result.baseline.evaluation.score:.2f}" in lines[top + 1]
    assert f"Candidates: {STEPS} of {STEPS} in {STEPS} generations" in lines
    (outcomes,) = [line for line in lines if line.startswith("Outcomes")]
    assert f"{archive.complete} complete, {archive.stopped} stopped (target {archive.stopped})" in outcomes
    assert f"{archive.failed} failed (silent {archive.failed}); {archive.synthesised:.0f} s of audio" in outcomes
    gain = archive.best.evaluation.score - result.baseline.evaluation.score
    assert f"Score: {archive.best.evaluation.score:.2f}, {gain:+.2f} over the best stock voice" in lines
    assert lines[-1] == "Go on: python -m kvw resume=" + str(Path("outputs/one"))
    monkeypatch.setattr(runs_task, "LATEST", 3)
    lines = task("last")[1]
    at = lines.index(f"Improvements: {archive.improvements}, the last 3")
    steps = [int(line.split()[1]) for line in lines[at + 1 : at + 4]]
    assert steps == sorted(steps)
    assert steps[-1] == archive.best.step
    assert figures_line(archive.best.evaluation, archive.best.notes) in lines[at + 3]
    done(place, heldout=0.625)
    assert task("last")[1][-1] == "Held-out: 0.625, the best stock voice 0.250"
    with folders.held(place):
        assert task("last")[1][-1] == f"At work: process {holder(place)}"


def test_a_folder_with_a_blank_is_quoted_where_it_is_to_be_typed(copy):
    assert described(Run(copy("my run")))[-1].endswith('my run"')


def test_a_strangers_words_do_not_steer_the_terminal(tmp_path, kvw):
    place = tmp_path / "outputs" / "one"
    place.mkdir(parents=True)
    told = facts()
    told["facts"]["target"] = "\x1b]0;mine\x07 \x1b[2J\nline"
    Store.create(place / folders.RECORD, told).close()
    for named in ("null", "last", "[last,last]"):
        code, out, err = kvw(f"run={named}")
        assert code == 0 and "mine" in out and not err
        assert all(line.isprintable() for line in out.splitlines())


def test_a_comparison_says_what_differs_and_has_a_line_for_each_run(tmp_path, kvw, task):
    for name, more in {
        "a": {"seed": 1, "step_limit": 5},
        "b": {"seed": 2, "step_limit": 5, "patience": 30, "strategy": {"_target_": "x.Walk", "diversity": [0.1, 0.3]}},
    }.items():
        record(tmp_path / "outputs" / name, steps=5, **more)[0].close()
    assert task(["outputs/a", "outputs/a"])[1][0] == "The runs have the same config"
    with pytest.raises(KvwError, match="outputs/none"):
        task(["outputs/a", "outputs/none"])
    code, out, err = kvw("run=[outputs/a,outputs/b]")
    assert (code, err) == (0, "")
    head, *lines = [[cell.strip() for cell in cells(line)] for line in out.splitlines()]
    assert head == ["differs", "a", "b"]
    blank = lines.index([])
    assert {key: values for key, *values in lines[:blank]} == {
        "seed": ["1", "2"],
        "patience": ["-", "30"],
        "strategy.diversity": ["[0.1, 0.2]", "[0.1, 0.3]"],
    }
    assert tuple(lines[blank + 1]) == HEAD
    assert [line[0] for line in lines[blank + 2 :]] == ["a", "b"]
    assert [line[4] for line in lines[blank + 2 :]] == ["1", "2"]


def test_the_csv_has_every_number_of_the_database(copy, tmp_path, kvw):
    copy("one")
    other = tmp_path / "outputs" / AWKWARD
    store, _ = record(other, seed=5, steps=7)
    store.close()
    code, out, err = kvw("task.csv=all.csv")
    assert (code, err) == (0, "")
    assert "all.csv" in out
    with (tmp_path / "all.csv").open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    expected = {
        (run.folder.name, one.step): one for run in open_runs(tmp_path / "outputs")[0] for one in run.candidates()
    }
    assert len(found) == len(expected) == STEPS + 7
    assert list(found[0]) == [*FIXED, "target", "self", "feature", "synthesised", "Diversity", "detail"]
    for row in found:
        one = expected[row["run"], int(row["step"])]
        seen = one.evaluation
        assert int(row["generation"]) == one.generation
        assert (row["status"], row["stage"], row["detail"]) == (seen.status, seen.stage, seen.detail)
        for name in ("score", "target_similarity", "synthesised"):
            assert float(row[name]) == getattr(seen, name)
        assert {name: float(row[name]) for name in ("target", "self", "feature") if row[name]} == seen.parts
        assert {name: float(row[name]) for name in ("Diversity",) if row[name]} == one.notes
    assert not list(tmp_path.glob(".kvw*"))


def test_the_csv_of_one_run_and_of_a_comparison_has_those(copy, tmp_path, task):
    for name in "abc":
        copy(name)
    for given, names in (("outputs/b", {"b"}), (["outputs/a", "outputs/c"], {"a", "c"})):
        assert task(given, "sub/some.csv")[0] == len(names)
        with (tmp_path / "sub" / "some.csv").open(newline="", encoding="utf-8") as file:
            assert {row["run"] for row in csv.DictReader(file)} == names


def test_the_csv_lacks_what_is_damaged_and_says_so(copy, tmp_path, kvw):
    copy("good")
    with changed(copy("bad")) as db:
        db.execute("UPDATE candidates SET score = score + 1 WHERE step = 30")
    worse = copy("worse") / folders.RECORD
    worse.write_bytes(b"")
    code, out, err = kvw("task.csv=all.csv")
    assert code == 1
    assert f"2 of 3 runs failed: {worse.parent.relative_to(tmp_path)}, bad; all.csv lacks" in err
    assert "row 30 of candidates" in out
    with (tmp_path / "all.csv").open(newline="", encoding="utf-8") as file:
        assert sum(row["run"] == "good" for row in csv.DictReader(file)) == STEPS


def test_a_note_by_the_name_of_another_column_has_a_column_of_its_own(copy, tmp_path, monkeypatch):
    run = Run(copy("one"))
    sample = next(run.candidates())
    twin = Sample(0, 0, sample.evaluation, {"score": 3.5}, sample.rows)
    monkeypatch.setattr(Run, "candidates", lambda self: iter([twin]))
    export([run], tmp_path / "outputs", tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (float(row["score"]), float(row["score (note)"])) == (sample.evaluation.score, 3.5)


def test_a_csv_that_can_not_be_written_leaves_the_old_one(copy, tmp_path, task, monkeypatch):
    copy("one")
    (tmp_path / "all.csv").write_text("old")

    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kvw.runtime.files.PAUSES", ())
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match=r"all\.csv"):
        task(csv="all.csv")
    assert (tmp_path / "all.csv").read_text() == "old"
    assert not list(tmp_path.glob(".kvw*"))


@pytest.mark.parametrize("name", ["", "outputs"])
def test_a_csv_that_is_no_file_is_refused_before_anything_is_read(copy, task, said, name):
    copy("one")
    with pytest.raises(KvwError, match=r"task\.csv"):
        task(csv=name)
    assert not said


def test_a_result_that_can_not_be_read_is_named(copy, task):
    place = copy("one")
    (place / folders.RESULT).write_text("{}")
    with pytest.raises(KvwError, match=folders.RESULT):
        assert Run(place).result
    assert folders.RESULT in task()[1][-1]


def test_a_thousand_runs_hold_no_file_open(copy):
    place = copy("one")
    fd = Path("/proc/self/fd")
    if not fd.is_dir():
        pytest.skip("there is no /proc")
    before = len(list(fd.iterdir()))
    many = [Run(place) for _ in range(50)]
    half = [run.candidates() for run in many]
    for one in half:
        next(one)
    assert len(list(fd.iterdir())) == before

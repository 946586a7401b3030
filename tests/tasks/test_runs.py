"""``task=runs``, on records of searches without speech.

Above 300 lines, because all of it reads copies of one recorded run.
"""

from __future__ import annotations

import csv
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from kvw.cli.main import invoke
from kvw.config.invocation import Invocation
from kvw.errors import KvwError
from kvw.runs import folders
from kvw.runs.reader import Run, open_runs, read_rows
from kvw.runs.result import figures_line
from kvw.runs.samples import Sample
from kvw.runs.schema import DamagedError
from kvw.runs.store import Store
from kvw.runtime.files import StorageError
from kvw.runtime.locks import holder
from kvw.tasks import runs as runs_task
from kvw.tasks.runs import FIXED, HEAD, described, export, overview, runs
from tests.support.recorded import AWKWARD, STEPS, changed, done, facts, record


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

    def call(run=None, csv=None):
        said.clear()
        figure = runs(Invocation(OmegaConf.create({"run": run})), csv=csv)
        return figure, "\n".join(said).splitlines()

    return call


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
        db.execute("UPDATE run SET value = '{}' WHERE key = 'provenance'")
    figure, lines = task()
    assert figure == 1
    assert lines[0].split() == list(HEAD)
    assert "the row 'provenance' of run is damaged" in lines[1]


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
        [str(Path("sweep/0/second")), "stopped", *figures, *"-----", "embedded"],
        [str(Path("day/first")), "done", *figures, "0.625", *"---", "improved", "embedded"],
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
    *_, stock, best, verdict = task("last")[1]
    assert stock.split() == ["best", "stock", "voice", "0.250", *"---"]
    assert (best.split(), verdict) == (["result", "0.625", *"---"], "Verdict: improved")
    with folders.held(place):
        assert task("last")[1][-1] == f"At work: process {holder(place)}"


def test_a_folder_with_a_blank_is_quoted_where_it_is_to_be_typed(copy):
    assert described(Run(copy("my run")))[-1].endswith('my run"')


def test_a_strangers_words_do_not_steer_the_terminal(tmp_path, kvw):
    place = tmp_path / "outputs" / "one"
    place.mkdir(parents=True)
    told = facts()
    told["provenance"]["target"] = "\x1b]0;mine\x07 \x1b[2J\nline"
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


def test_a_run_without_candidates_is_shown_with_none(tmp_path):
    Store.create(tmp_path / folders.RECORD, facts()).close()
    run = Run(tmp_path)
    assert "Candidates: 0 of 40 in 0 generations" in described(run)
    assert overview(run, tmp_path)[5:9] == ("0", "-", "-", "-")

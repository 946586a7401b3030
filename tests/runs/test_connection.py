"""Records are read while others write them, and where nobody can."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from kvw.runs import folders
from kvw.runs.connection import ask
from kvw.runs.reader import Run, open_runs
from kvw.runs.store import Store
from tests.support.recorded import AWKWARD, STEPS, record, utterance


def stamps(place):
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_size) for path in place.iterdir()}


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
    list(run.candidates()), list(run.utterances()), run.best, run.status, run.stock
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

    assert ask(run.path, question) == 6
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

"""The web page's queue, with real processes: what they do is a task of the user's, which waits for a file."""

import json
import os
import shutil
import signal
import sys
import time

import pytest

from kvw.errors import KvwError
from kvw.runtime.files import StorageError
from kvw.runtime.locks import holder_here, is_held
from kvw.web.job import DONE, EXIT_FILE, FAILED, FINISH, PAUSE, PAUSED, RUNNING, WAITING
from kvw.web.queue import Queue

TASKS = """
import time
from pathlib import Path
from kvw.errors import KvwError

def work(invocation) -> float:
    cfg = invocation.cfg
    print("at work", flush=True)
    if cfg.step_limit == 1:
        raise KvwError("me.wav: expected speech; got silence\\nminutes: expected a number")
    if cfg.step_limit == 2:
        return 1 / 0
    while not Path("go").exists():
        time.sleep(0.02)
    return 0.0
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "tasks.py").write_text(TASKS)
    (tmp_path / "conf" / "task").mkdir(parents=True)
    (tmp_path / "conf" / "task" / "work.yaml").write_text("_target_: strategies.tasks.work\n")
    (tmp_path / "queue").mkdir()
    made = []

    def queue():
        made.append(Queue(tmp_path / "queue", ["task=work"]))
        return made[-1]

    yield queue
    (tmp_path / "go").touch()
    for opened in made:
        opened.close()


def add(queue, title, files=None, **settings):
    return queue.add(title, "experiment=quick", files or {}, **settings)


def until(queue, condition):
    """Lets the queue work until something is so."""
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends, [(job.title, job.state, job.output) for job in queue.jobs]
        queue.turn()
        time.sleep(0.02)


def at_work(job):
    return lambda: job.state == RUNNING and job.output == ["at work"]


def test_one_search_is_at_work_at_a_time_in_their_order(here, tmp_path):
    queue = here()
    first, second = (
        add(queue, "Ann"),
        add(queue, "Ben's: clip/2", {"words.txt": b"hello"}),
    )
    until(queue, at_work(first))
    assert (second.state, second.number) == (WAITING, 2)
    assert (second.folder / "words.txt").read_bytes() == b"hello"
    assert second.folder.parent == tmp_path / "queue"
    assert is_held(first.folder)
    (tmp_path / "go").touch()
    until(queue, lambda: second.state == DONE)
    assert (first.state, first.code) == (DONE, 0)


@pytest.mark.parametrize(
    "limit, reason",
    [(1, "me.wav: expected speech; got silence\nminutes: expected a number"), (2, "ZeroDivisionError: ")],
)
def test_a_search_that_fails_says_why_and_the_next_one_begins(here, limit, reason):
    queue = here()
    bad, good = add(queue, "bad", candidates=limit), add(queue, "good")
    until(queue, at_work(good))
    assert bad.state == FAILED and bad.reason.startswith(reason)
    queue.resume(bad.number)
    assert bad.state == WAITING


def test_a_search_can_be_paused_and_goes_on(here):
    queue = here()
    job, other = add(queue, "a"), add(queue, "b")
    queue.ask(other.number, PAUSE)
    assert other.state == PAUSED
    until(queue, at_work(job))
    with pytest.raises(KvwError, match="nothing has been searched yet"):
        queue.ask(job.number, FINISH)
    with pytest.raises(KvwError, match="pause it first"):
        queue.remove(job.number)
    queue.ask(job.number, PAUSE)
    until(queue, lambda: job.state == PAUSED)
    assert not is_held(job.folder)
    with pytest.raises(KvwError, match="expected a search that has ended"):
        queue.extend(job.number, 10)
    queue.resume(job.number)
    until(queue, at_work(job))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_search_that_is_killed_has_failed(here):
    queue = here()
    job = add(queue, "a")
    until(queue, at_work(job))
    os.kill(holder_here(job.folder), signal.SIGKILL)
    until(queue, lambda: job.state == FAILED)
    assert job.reason.startswith("its process was ended from outside")


def test_a_page_that_is_closed_ends_its_search_which_goes_on_with_the_next_page(here):
    queue = here()
    queue.start()
    job = add(queue, "a")
    until(queue, at_work(job))
    queue.close()
    assert not is_held(job.folder)
    following = here()
    (again,) = following.jobs
    assert (again.title, again.search, again.state) == ("a", "experiment=quick", WAITING)
    until(following, at_work(again))


def test_a_search_that_outlives_its_page_is_taken_up_by_the_next_one(here, tmp_path):
    lost = here()
    job = add(lost, "a")
    until(lost, at_work(job))
    queue = here()
    (adopted,) = queue.jobs
    queue.turn()
    assert adopted.state == RUNNING
    queue.ask(adopted.number, PAUSE)
    until(queue, lambda: adopted.state == PAUSED)
    queue.resume(adopted.number)
    until(queue, at_work(adopted))
    (tmp_path / "go").touch()
    until(queue, lambda: adopted.state == DONE)


def test_one_that_ended_while_no_page_was_there_is_done_or_goes_on(here):
    lost = here()
    jobs = [add(lost, name) for name in "abc"]
    for job, code in zip(jobs, ("0", "143", None), strict=True):
        job.state = RUNNING
        job.save()
        if code:
            (job.folder / EXIT_FILE).write_text(code)
    first, second, third = here().jobs
    assert (first.state, second.state, third.state) == (RUNNING, WAITING, WAITING)
    queue = here()
    queue.turn()
    assert queue.jobs[0].state == DONE


def test_a_job_that_is_removed_or_damaged_is_not_there_and_its_number_is_not_used_again(here, said):
    queue = here()
    for name in "abc":
        add(queue, name)
    queue.remove(3)
    for job, text in zip(queue.jobs, ('{"title": "a"', '{"title": "b", "search": "task=export"}'), strict=True):
        (job.folder / "job.json").write_text(text)
    queue = here()
    assert queue.jobs == [] and len([line for line in said if "expected a job of the page" in line]) == 2
    assert add(queue, "d").number == 4
    with pytest.raises(KvwError, match="there is none of that number"):
        queue.resume(1)


def test_the_arguments_are_those_of_the_job_and_then_of_its_run(here, tmp_path):
    queue = here()
    words = {"words.txt": b"hello", "it's me.wav": b""}
    job = add(queue, "a", words, clip="it's me.wav", language="b", minutes=2.5, candidates=300)
    run_dir = f"hydra.run.dir={job.folder}"
    assert job.arguments(["device=cpu"]) == [
        *("device=cpu", "experiment=quick", "language=b", f"target_audio={job.folder}/it's me.wav"),
        *(f"target_text={job.folder}/words.txt", "minutes=2.5", "step_limit=300", run_dir),
    ]
    assert add(queue, "b").arguments([])[:2] == ["experiment=quick", "language=a"]
    run = job.folder / "2026" / "run"
    run.mkdir(parents=True)
    (run / "run.db").touch()
    assert job.arguments(["device=cpu"]) == [f"resume={run}"]
    job.finishing = True
    assert job.arguments([]) == [f"resume={run}", "minutes=0.01"]
    job.finishing, job.limit = False, 400
    assert job.arguments([]) == [f"resume={run}", "step_limit=400", "minutes=null", "stop_score=null", "patience=null"]


@pytest.mark.parametrize(
    "facts",
    [
        {"title": 5},
        {"search": "task=export"},
        {"search": "experiment=../../x"},
        {"search": "--config-dir=/tmp"},
        {"language": "a task=export"},
        {"clip": "../../etc/passwd"},
        {"clip": "/etc/passwd"},
        {"state": "odd"},
        {"asked": "odd"},
        {"minutes": "1"},
        {"minutes": float("nan")},
        {"candidates": -1},
        {"arguments": ["task=export"]},
        {"_target_": "os.system"},
    ],
)
def test_a_strangers_job_is_data(here, tmp_path, said, facts):
    queue = here()
    job = add(queue, "a")
    (job.folder / "job.json").write_text(json.dumps({"title": "a", "search": "experiment=quick", **facts}))
    assert here().jobs == [] and "expected a job of the page" in said[-1]


def test_a_job_with_a_link_or_anothers_number_is_refused(here, tmp_path, said):
    queue = here()
    first, second = add(queue, "a"), add(queue, "b")
    (tmp_path / "precious.txt").write_text("precious")
    (first.folder / "output.log").symlink_to(tmp_path / "precious.txt")
    second.folder.with_name("0002-c").mkdir()
    shutil.copy(second.folder / "job.json", second.folder.with_name("0002-c"))
    queue = here()
    (left,) = queue.jobs
    assert left.number == 2 and len(said) == 2
    until(queue, at_work(left))
    assert (tmp_path / "precious.txt").read_text() == "precious"


def test_a_search_that_two_pages_began_is_at_work_once(here):
    lost = here()
    job, _ = add(lost, "a"), add(lost, "b")
    lost.turn()  # begins it, and is killed before the process holds its folder
    queue = here()
    again, other = queue.jobs
    again.state = WAITING
    gave_way = lambda: queue._process is None or lost._process.poll() is not None  # noqa: E731
    until(queue, lambda: again.state == RUNNING and gave_way() and is_held(job.folder))
    assert (again.state, other.state) == (RUNNING, WAITING)
    queue.ask(1, PAUSE)
    until(queue, lambda: again.state == PAUSED)
    until(lost, lambda: not is_held(job.folder))


def test_what_is_to_be_judged_comes_first_and_can_still_go_on(here):
    queue = here()
    first, second = add(queue, "a"), add(queue, "b")
    second.finishing = True
    until(queue, at_work(second))
    queue.ask(2, PAUSE)
    until(queue, lambda: second.state == PAUSED)
    queue.resume(2)
    assert not second.finishing and first.state in (WAITING, RUNNING)


def test_a_full_disk_fails_no_search(here, monkeypatch):
    queue = here()
    job = add(queue, "a")

    def full(path, content):
        raise StorageError(path, "no space")

    with monkeypatch.context() as patched:
        patched.setattr("kvw.web.job.write_whole", full)
        for _ in range(3):
            with pytest.raises(StorageError):
                queue.turn()
            assert job.state == WAITING
    until(queue, at_work(job))


def test_a_waiting_search_moves_up_and_the_next_page_keeps_the_order(here):
    queue = here()
    for name in "abcd":
        add(queue, name)
    queue.ask(2, PAUSE)
    queue.move_up(4)
    queue.move_up(4)
    queue.move_up(4)  # it is the first already
    queue.move_up(2)  # it waits no more
    assert [job.number for job in queue.waiting] == [4, 1, 3]
    add(queue, "e")
    queue = here()
    queue.resume(2)
    assert [job.title for job in queue.waiting] == ["d", "b", "a", "c", "e"]
    until(queue, at_work(queue.jobs[3]))


def test_a_queue_that_is_held_begins_nothing_but_what_is_to_be_judged(here, tmp_path):
    queue = here()
    first, second = add(queue, "a"), add(queue, "b")
    queue.hold(True)
    queue.turn()
    queue = here()
    assert queue.held and queue.running is None and [job.state for job in queue.jobs] == [WAITING, WAITING]
    first, second = queue.jobs
    second.finishing = True
    until(queue, at_work(second))
    (tmp_path / "go").touch()
    until(queue, lambda: second.state == DONE)
    queue.turn()
    assert first.state == WAITING
    queue.hold(False)
    until(queue, lambda: first.state == DONE)


def test_the_files_of_a_removed_search_stay_where_something_was_searched(here):
    queue = here()
    fresh, searched = (add(queue, name, {"me.wav": b"RIFF"}, clip="me.wav") for name in "ab")
    (searched.folder / "2026" / "run").mkdir(parents=True)
    (searched.folder / "2026" / "run" / "run.db").touch()
    queue.remove(fresh.number)
    queue.remove(searched.number)
    assert list(fresh.folder.iterdir()) == []
    assert sorted(path.name for path in searched.folder.iterdir()) == ["2026", "me.wav"]

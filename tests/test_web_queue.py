"""The web page's queue, with real processes: what they do is a task of the user's, which waits for a file."""

import os
import signal
import sys
import time

import pytest

from kvw import folder as folders
from kvw.types import KvwError
from kvw.web.jobs import DONE, EXIT, FAILED, FINISH, PAUSE, PAUSED, RUNNING, WAITING, Queue

TASKS = """
import time
from pathlib import Path
from kvw.types import KvwError

def wait(cfg) -> float:
    print("at work", flush=True)
    while not Path("go").exists():
        time.sleep(0.02)
    return 0.0

def refuse(cfg) -> float:
    raise KvwError("me.wav: expected speech; got silence\\nminutes: expected a number")

def fail(cfg) -> float:
    return 1 / 0
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "tasks.py").write_text(TASKS)
    (tmp_path / "conf" / "task").mkdir(parents=True)
    for name in ("wait", "refuse", "fail"):
        (tmp_path / "conf" / "task" / f"{name}.yaml").write_text(f"_target_: strategies.tasks.{name}\n")
    made = []

    def queue():
        made.append(Queue(tmp_path / "queue"))
        return made[-1]

    yield queue
    (tmp_path / "go").touch()
    for one in made:
        one.close()


def task(name):
    return lambda folder: [f"task={name}"]


def until(queue, condition):
    """Lets the queue work until something is so."""
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends, [(job.title, job.state, job.said) for job in queue.jobs]
        queue.turn()
        time.sleep(0.02)


def at_work(job):
    return lambda: job.state == RUNNING and job.said == ["at work"]


def test_one_search_is_at_work_at_a_time_in_their_order(here, tmp_path):
    queue = here()
    first, second = (
        queue.add("Ann", {}, task("wait")),
        queue.add("Ben's: clip/2", {"words.txt": b"hello"}, task("wait")),
    )
    until(queue, at_work(first))
    assert (second.state, second.number) == (WAITING, 2)
    assert (second.folder / "words.txt").read_bytes() == b"hello"
    assert second.folder.parent == tmp_path / "queue"
    assert folders.is_held(first.folder)
    (tmp_path / "go").touch()
    until(queue, lambda: second.state == DONE)
    assert (first.state, first.code) == (DONE, 0)


@pytest.mark.parametrize(
    "name, reason",
    [("refuse", "me.wav: expected speech; got silence\nminutes: expected a number"), ("fail", "ZeroDivisionError: ")],
)
def test_a_search_that_fails_says_why_and_the_next_one_begins(here, name, reason):
    queue = here()
    bad, good = queue.add("bad", {}, task(name)), queue.add("good", {}, task("wait"))
    until(queue, at_work(good))
    assert bad.state == FAILED and bad.reason.startswith(reason)
    queue.resume(bad.number)
    assert bad.state == WAITING


def test_a_search_can_be_paused_and_goes_on(here):
    queue = here()
    job, other = queue.add("a", {}, task("wait")), queue.add("b", {}, task("wait"))
    queue.ask(other.number, PAUSE)
    assert other.state == PAUSED
    until(queue, at_work(job))
    with pytest.raises(KvwError, match="nothing has been searched yet"):
        queue.ask(job.number, FINISH)
    with pytest.raises(KvwError, match="pause it first"):
        queue.remove(job.number)
    queue.ask(job.number, PAUSE)
    until(queue, lambda: job.state == PAUSED)
    assert not folders.is_held(job.folder)
    with pytest.raises(KvwError, match="expected a search that has ended"):
        queue.extend(job.number, 10)
    queue.resume(job.number)
    until(queue, at_work(job))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_search_that_is_killed_has_failed(here):
    queue = here()
    job = queue.add("a", {}, task("wait"))
    until(queue, at_work(job))
    os.kill(folders.holder_here(job.folder), signal.SIGKILL)
    until(queue, lambda: job.state == FAILED)
    assert job.reason.startswith("its process was ended from outside")


def test_a_page_that_is_closed_ends_its_search_which_goes_on_with_the_next_page(here):
    queue = here()
    queue.start()
    job = queue.add("a", {}, task("wait"))
    until(queue, at_work(job))
    queue.close()
    assert not folders.is_held(job.folder)
    following = here()
    (again,) = following.jobs
    assert (again.title, again.arguments, again.state) == ("a", ["task=wait"], WAITING)
    until(following, at_work(again))


def test_a_search_that_outlives_its_page_is_taken_up_by_the_next_one(here, tmp_path):
    lost = here()
    job = lost.add("a", {}, task("wait"))
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
    jobs = [lost.add(name, {}, task("wait")) for name in "abc"]
    for job, code in zip(jobs, ("0", "143", None), strict=True):
        job.state = RUNNING
        job.save()
        if code:
            (job.folder / EXIT).write_text(code)
    first, second, third = here().jobs
    assert (first.state, second.state, third.state) == (RUNNING, WAITING, WAITING)
    queue = here()
    queue.turn()
    assert queue.jobs[0].state == DONE


def test_a_job_that_is_removed_or_damaged_is_not_there_and_its_number_is_not_used_again(here, said):
    queue = here()
    for name in "abc":
        queue.add(name, {}, task("wait"))
    queue.remove(3)
    (queue.jobs[0].folder / "job.json").write_text('{"title": "a"')
    (queue.jobs[1].folder / "job.json").write_text('{"title": "b", "arguments": [], "_target_": "os.system"}')
    queue = here()
    assert queue.jobs == [] and len([line for line in said if "expected a job of the page" in line]) == 2
    assert queue.add("d", {}, task("wait")).number == 4
    with pytest.raises(KvwError, match="there is none of that number"):
        queue.resume(1)

"""A search by ear on the page: it begins at a voice of a run, asks, and is answered there."""

from __future__ import annotations

import json
import shutil
import threading

import pytest

from kvw.audio.decode import decode_file
from kvw.errors import KvwError
from kvw.runs import folders
from kvw.voices.files import load_voice
from kvw.web.job import ANSWER_FILE, START_FILE
from kvw.web.process import Answers
from kvw.web.queue import Queue
from tests.conftest import SHORT
from tests.support.browser import Server, browser, go, opened, until, words


def choices(run):
    path = run / "ear" / "choices.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.long
def test_a_search_by_ear_begins_at_a_voice_asks_and_goes_on_with_each_answer(service, outputs, tmp_path):
    given = ["synth=embedded", f"voice_folder={outputs.parent / 'bank'}", "judges=none", "executor.scorers=0"]
    given += ["report=false", "strategy.draws=2", "strategy.answers=3", f"other_text={SHORT['other_text']}"]
    given += [f"heldout_texts={outputs.parent / 'heldout.txt'}"]
    service.queue = Queue(tmp_path / "queue", given)
    (label,) = service.runs()
    job = service.steer(label, "best.pt")
    (before,) = folders.below(outputs)
    assert load_voice(job.folder / START_FILE).tobytes() == load_voice(before / "best.pt").tobytes()
    with pytest.raises(KvwError, match="what the search asks now"):
        service.answer(job.number, 0, "a")
    assert service.question(job.number) is None and service.question(None) is None

    def asked():
        service.queue.turn()
        return service.question(job.number)

    for number, key in enumerate("abs"):
        # for a moment behind an answer the question is still there
        _, *heard = until(lambda number=number: (found := asked()) and found[0] == number and found)
        assert all(len(decode_file(path)) > 1000 for path in heard)
        for wrong in ((number + 1, "a"), (number, "x"), (number, "")):
            with pytest.raises(KvwError, match="what the search asks now"):
                service.answer(job.number, *wrong)
        service.answer(job.number, number, key)
        until(lambda: not (job.folder / ANSWER_FILE).exists())
        if number == 0:  # a page that ends and one that begins find it as it was
            until(lambda: (found := asked()) and found[0] == 1)
            service.queue.close()
            service.queue = Queue(tmp_path / "queue", given)

    def ended():
        service.queue.turn()
        return service.queue.jobs[0].state == "done"

    until(ended)
    assert choices(service.queue.jobs[0].run) == ["a", "b", "same"]
    assert service.question(job.number) is None


@pytest.mark.extras
def test_the_page_asks_and_two_clicks_are_one_answer(tmp_path, outputs):
    shutil.copytree(outputs, tmp_path / "outputs")
    settings = {"synth": "embedded", "voice_folder": outputs.parent / "bank", "judges": "none", "executor.scorers": 0}
    settings |= {
        "heldout_texts": outputs.parent / "heldout.txt",
        "other_text": SHORT["other_text"],
    }
    faults = []
    with browser() as chromium, Server(tmp_path, [f"{key}={value}" for key, value in settings.items()]) as server:
        tab = opened(chromium, server, faults)
        assert not tab.is_visible("#question")
        go(tab, "Results")
        until(lambda: tab.is_visible("#steer") and "report in a window" in words(tab, "report"))
        tab.click("#steer")
        until(lambda: "by ear: searching" in words(tab, "queue"))
        until(lambda: tab.is_visible("#question") and words(tab, "question").startswith("Question 1:"))
        until(lambda: "0:0" in words(tab, "ear_a") and "0:0" in words(tab, "ear_b"))
        tab.dblclick("#answer_a")
        until(lambda: "Question 2:" in words(tab, "question"))
        (run,) = folders.below(tmp_path / "outputs" / "web")
        assert choices(run) == ["a"]
        tab.click("#answer_u")
        until(lambda: "Question 3:" in words(tab, "question"))
        assert choices(run) == ["a", "undo"]
        tab.click("#pause")
        until(lambda: "by ear: paused" in words(tab, "queue") and not tab.is_visible("#question"))
        tab.click("#resume")
        until(lambda: tab.is_visible("#question") and "Question 3:" in words(tab, "question"))
        tab.close()
    assert faults == []


def test_the_second_answer_to_one_question_is_left_out(tmp_path):
    path = tmp_path / "answer.txt"
    answers = Answers(path)
    path.write_text("0 a")
    assert answers.readline() == "a\n" and not path.exists()
    path.write_text("0 b")
    later = threading.Timer(0.5, lambda: path.write_text("1 s"))
    later.start()
    assert answers.readline() == "s\n" and not path.exists()
    later.join()

from __future__ import annotations

import os
import re
import time

import numpy as np
import pytest

from kvw.evaluation import Evaluation
from kvw.observers import progress
from kvw.observers.progress import SCORED_SHARE, Progress, standing, step_seconds
from kvw.search.candidate import Candidate
from kvw.search.loop import Archive, Entry
from kvw.text import duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (89, "89 s"), (91, "2 min"), (3600, "60 min"), (5400, "1.5 h"), (36000, "10.0 h")],
)
def test_lengths_of_time_are_said_as_people_say_them(seconds, words):
    assert duration(seconds) == words


def test_a_candidate_is_estimated_from_the_target_text_and_the_rest_as_the_ranking_paces_them():
    # 8 voices speak the target text in 1 s each, then 2 of them the rest in 3 s each
    ranked_at = [(0, 50.0), (4, 104.0), (8, 108.0), (10, 114.0)]  # workers start before the first four
    assert step_seconds(ranked_at, 8, 2) == pytest.approx(1 + SCORED_SHARE * 3)
    # the same behind a short text of 0.5 s, after which 4 voices speak the target text
    ranked_at = [(0, 100.0), (8, 104.0), (12, 108.0), (14, 114.0)]
    assert step_seconds(ranked_at, 8, 2) == pytest.approx(1 + SCORED_SHARE * 3)
    # the same where an atlas chose these 4
    assert step_seconds([(0, 100.0), (4, 104.0), (6, 110.0)], 8, 2) == pytest.approx(1 + SCORED_SHARE * 3)


def test_in_a_pipe_lines_tell_how_far_it_is_and_every_improvement_is_one(monkeypatch, said):
    monkeypatch.setattr(progress, "PIPE_SECONDS", 0.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    seen = Evaluation("complete", 80.0, 0.7, {"target": 0.7, "self": 0.9, "feature": 0.5})
    watcher = Progress(step_limit=4)
    watcher.ranking(1, 2)
    watcher.ranking(2, 2)
    watcher.ranked([Entry("af_a", np.zeros(1), seen)], [Entry("af_a", np.zeros(1), seen)])
    archive = Archive()
    for evaluation in (seen, Evaluation("stopped", 0.0, 0.2, {"target": 0.2})):
        candidate = Candidate([1.0], notes={"Diversity": 0.07})
        candidate.evaluate(evaluation)
        candidate.voice = np.ones(1, dtype=np.float32)
        archive.update([candidate])
        watcher(0, [candidate], archive)
    watcher.close()
    assert said[0].startswith("ranking: 1 of 2, ")
    figures = "Target Sim: 0.700, Self Sim: 0.900, Feature Sim: 0.500, Score: 80.00"
    assert any("af_a" in line and figures in line for line in said)
    assert said.count(f"Step 0: {figures}, Diversity: 0.07") == 1
    assert said[-1].startswith("searching: 2 of 4, ")
    assert re.search(
        r" left, best 80\.00 \(target \.70 self \.90 feature \.50\) 0 s ago, 50% stopped, [\d.]+/s$", said[-1]
    )


def test_the_live_line_is_one_line_of_100_columns_at_most_and_says_all_of_it(monkeypatch):
    shown = []
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.write", shown.append, raising=False)
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_: os.terminal_size((100, 40)))
    parts = {"target": 0.6543, "self": 1.0, "feature": 0.4321, "others": 0.5, "prior": 0.9}
    seen = Evaluation("complete", 77.24, 0.65, parts)
    archive = Archive()
    candidate = Candidate([1.0])
    candidate.evaluate(seen)
    candidate.voice = np.ones(1, dtype=np.float32)
    archive.update([candidate])
    watcher = Progress(step_limit=10_000)
    watcher.ranked([Entry("af_a", np.zeros(1), seen)], [Entry("af_a", np.zeros(1), seen)])
    archive.steps, archive.stopped = 10_000, 4_700
    now = time.monotonic()
    watcher._improvements, watcher._better, watcher._searching = 1, now - 95, now - 2000
    watcher(0, [candidate], archive)
    watcher.close()
    lines = [text.strip() for text in shown if text.strip()]
    best = "best 77.24 (target .65 self 1.00 feature .43) 2 min ago"
    assert f"10000/10000, {best}, 47% stopped, 5.0/s, 0 s left" in lines
    assert all(len(line) <= 100 for line in lines)


def test_before_anything_is_scored_the_line_says_so():
    archive = Archive()
    candidate = Candidate([1.0])
    candidate.evaluate(Evaluation("silent"))
    archive.update([candidate])
    assert standing(archive, 3.14, 5.0, 80) == "none scored yet, 0% stopped, 3.1/s"

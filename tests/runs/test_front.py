"""Which of the voices that a run kept are worth a choice."""

from __future__ import annotations

import numpy as np
import pytest

from kvw.runs.front import Kept, front
from kvw.voices.files import save_voice


def keep(folder, stem, similarity, words=None, score=80.0, **facts):
    """A voice as a run saves it."""
    scores = {"score": score, "target_similarity": similarity}
    scores |= {} if words is None else {"words_similarity": words}
    path = folder / f"{stem}.pt"
    path.parent.mkdir(exist_ok=True)
    save_voice(path, np.zeros((510, 1, 256), np.float32), {"synthesiser": "embedded", "scores": scores, **facts})


def names(folder):
    return [voice.path.relative_to(folder).as_posix() for voice in front(folder)]


def test_what_another_voice_beats_in_all_figures_is_no_choice(tmp_path):
    keep(tmp_path, "out_3", 0.70, 1.0, step=3)
    keep(tmp_path, "out_5", 0.69, 0.9, step=5)  # clearer than no other, and nearer than none
    keep(tmp_path, "out_9", 0.80, 0.9, step=9)
    keep(tmp_path, "best", 0.80, 0.9, step=9, quality=3.9)  # the same voice
    keep(tmp_path, "front/01", 0.85, 0.8, step=7)
    assert names(tmp_path) == ["out_3.pt", "best.pt", "front/01.pt"]
    assert front(tmp_path)[1] == Kept(tmp_path / "best.pt", 9, 0.8, 0.9, 3.9)


def test_the_result_is_there_though_another_is_nearer_and_as_clear(tmp_path):
    keep(tmp_path, "best", 0.70, 0.9, 90.0)
    keep(tmp_path, "out_3", 0.75, 0.9)
    assert names(tmp_path) == ["best.pt", "out_3.pt"]


def test_quality_counts_where_both_have_it(tmp_path):
    keep(tmp_path, "best", 0.80, quality=3.0)
    keep(tmp_path, "best_clear", 0.75, quality=4.0)
    keep(tmp_path, "out_3", 0.70)
    assert names(tmp_path) == ["best_clear.pt", "best.pt"]


@pytest.mark.parametrize("similarity", ["near", [0.9], None])
def test_a_strangers_files_do_no_harm(tmp_path, similarity):
    outside = tmp_path / "outside"
    outside.mkdir()
    keep(outside, "secret", 0.9, 0.9)
    run = tmp_path / "run"
    run.mkdir()
    keep(run, "best", 0.70, 0.9)
    keep(run, "odd", similarity)
    (run / "broken.pt").touch()
    (run / "broken.json").write_text("{")
    (run / "linked").symlink_to(outside)
    (run / "link.pt").symlink_to(outside / "secret.pt")
    (run / "link.json").symlink_to(outside / "secret.json")
    assert names(run) == ["best.pt"]

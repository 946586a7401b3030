"""What an archive keeps beside its best candidate."""

from __future__ import annotations

import json

import numpy as np

from kvw.evaluation import Evaluation
from kvw.search.archive import MOST_FORMER, Archive
from kvw.search.candidate import Candidate
from kvw.search.state import freeze, thaw


def candidate(score, similarity):
    one = Candidate(np.zeros(1))
    one.evaluate(Evaluation("complete", score, similarity))
    one.voice = np.full((510, 1, 256), score, dtype=np.float32)
    return one


def test_former_bests_are_kept_spread_over_similarity_with_both_ends():
    archive = Archive()
    similarities = [0.5, 0.501, 0.502, 0.6, 0.601, 0.7, 0.701, 0.8, 0.9, 0.95]
    archive.update([candidate(score, similarity) for score, similarity in enumerate(similarities)])
    kept = [one.evaluation.target_similarity for one in archive.former]
    assert archive.best.evaluation.target_similarity == 0.95
    assert len(kept) == MOST_FORMER and kept == sorted(kept)
    assert (kept[0], kept[-1]) == (0.5, 0.9)
    assert [round(similarity, 1) for similarity in kept] == [0.5, 0.5, 0.6, 0.7, 0.8, 0.9], "near ones are left out"


def test_former_bests_come_back_with_the_state():
    archive, again = Archive(), Archive()
    archive.update([candidate(score, 0.1 * score) for score in range(3)])
    text, arrays = freeze(archive.state_dict())
    again.load_state_dict(thaw(text, lambda digest: arrays[digest].array()))
    assert [one.step for one in again.former] == [one.step for one in archive.former] == [0, 1]
    assert np.array_equal(again.former[1].voice, archive.former[1].voice)
    assert json.loads(text)["steps"] == 3

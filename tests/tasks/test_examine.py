"""Figures on held-out texts, and the voice to take where the best one is unclear."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kvw.errors import KvwError
from kvw.evaluation import Evaluation
from kvw.reports.judges import Jury
from kvw.runs.reader import Run
from kvw.runs.result import UNCLEAR, HeldOutFigures
from kvw.search.archive import Archive, Entry
from kvw.tasks.examine import SILENCE, Examiner
from kvw.voices.files import load_voice
from tests.conftest import numbered


class HeldOutDouble:
    """A voice's first number is its similarity on each of two texts; it fails to say the second where it is below 0."""

    audio = (np.ones(10, np.float32),)

    def hear(self, voice):
        similarity = float(voice[0, 0, 0])
        wave = np.full(10, similarity, dtype=np.float32)
        return [(abs(similarity), wave), (0.0, None) if similarity < 0 else (similarity, wave)]


class Heard:
    """A judge that finds what a function of the first wave finds."""

    heading, decimals = "heard", 1

    def __init__(self, find):
        self.find, self.asked = find, []

    def __call__(self, waves, texts, speaker, language):
        assert (texts, language, len(waves), speaker) == (["one", "two"], "b", 2, HeldOutDouble.audio)
        self.asked.append(waves)
        return self.find(float(waves[0][0]))


def examiner(**judges):
    return Examiner(HeldOutDouble(), ["one", "two"], Jury(judges), "b")


def entry(similarity, step=0):
    return Entry("", numbered(0) + np.float32(similarity), Evaluation("complete", 50.0, similarity), step)


def test_a_voice_is_measured_by_the_judges_of_words_quality_and_speaker():
    words, quality, speaker = (Heard(lambda first, figure=figure: figure) for figure in (8.0, 3.0, 0.5))
    examine = examiner(words=words, quality=quality, speaker=speaker)
    figures, waves = examine(numbered(0) + np.float32(0.5))
    assert figures == HeldOutFigures([0.5, 0.5], 8.0, 3.0, 0.5)
    assert (len(waves), examine.lacking) == (2, {})
    figures, waves = examine(numbered(0) - np.float32(0.5))
    assert waves[1] is None and words.asked[-1][1] is SILENCE, "what is not said is heard as silence"


def test_what_can_not_be_measured_is_said_once_and_missing():
    def missing(first):
        raise KvwError("expected the package speechmos")

    examine = examiner(quality=Heard(missing))
    figures, _ = examine(numbered(0))
    assert (figures.word_errors, figures.quality) == (None, None)
    assert examine.lacking == {
        "CAM++": "judges has none",
        "Misheard": "judges has none",
        "Quality": "expected the package speechmos",
    }
    assert Examiner(HeldOutDouble(), ["one", "two"], None, "b")(numbered(0))[0].quality is None


def test_the_nearest_voice_that_is_clear_is_the_most_similar_former_best_that_loses_nothing():
    archive = Archive()
    archive.former = [entry(0.60, 1), entry(0.65, 2), entry(0.7, 3), entry(0.75, 4)]
    words = Heard(lambda first: 5.0 if first < 0.72 else 20.0)
    quality = Heard(lambda first: 3.4 if first < 0.68 else 3.0)
    stock = HeldOutFigures([0.62], 4.0, 3.45)
    found, figures = examiner(words=words, quality=quality).nearest_clear(archive, stock)
    assert found.step == 2 and figures.similarity == pytest.approx(0.65)
    assert len(words.asked) == 3, "the most similar ones first, and none after the first that is clear"
    nearer = HeldOutFigures([0.66], 4.0, 3.45)
    assert examiner(words=words, quality=quality).nearest_clear(archive, nearer) is None, "the stock voice is nearer"


@pytest.fixture
def unclear(kvw, monkeypatch):
    """Runs searches whose results lose words, but for their first candidate and the stock voices."""

    def run(spared):
        calls = []

        def examine(self, voice):
            calls.append(voice)
            clear = len(calls) == 1 or len(calls) > spared
            return HeldOutFigures([0.5 + 0.01 * len(calls)], 5.0 if clear else 50.0, 3.0), [None]

        monkeypatch.setattr(Examiner, "__call__", examine)
        code, (folder,) = kvw("synth=embedded", "step_limit=12", "population_limit=2", "strategy=genetic")
        assert code == 0
        return folder, calls

    return run


def test_the_most_similar_voice_that_is_clear_is_saved_beside_an_unclear_result(unclear, capsys):
    folder, calls = unclear(spared=3)
    clear = load_voice(folder / "best_clear.pt")
    assert np.array_equal(clear, calls[-1]) and not np.array_equal(clear, load_voice(folder / "best.pt"))
    facts = json.loads((folder / "best_clear.json").read_text())
    assert (facts["word_errors"], facts["quality"]) == (5.0, 3.0) and facts["step"] >= 0
    assert (folder / "best_clear.wav").exists()
    result = json.loads((folder / "result.json").read_text())
    assert (result["improved"], result["verdict"], Run(folder).verdict) == (False, UNCLEAR, UNCLEAR)
    summary = (folder / "summary.txt").read_text()
    assert summary.startswith("nearer, less clear: ") and f"best_clear.pt, step {facts['step']}" in summary
    assert summary.strip() in capsys.readouterr().out


def test_where_no_voice_is_clear_the_best_stock_voice_is_named_and_none_is_saved(unclear):
    folder, calls = unclear(spared=100)
    assert not list(folder.glob("best_clear*"))
    assert "take the stock voice" in (folder / "summary.txt").read_text()
    assert len(calls) <= 3 + 6

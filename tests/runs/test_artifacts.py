"""The voices and the audio that a run leaves."""

from __future__ import annotations

import json

import numpy as np

from kvw.audio.decode import decode_file
from kvw.runs.artifacts import SPOKEN, Improvements, keep_spoken, spoken_path
from kvw.types import SAMPLE_RATE

WAVE = (0.1 * np.sin(np.arange(SAMPLE_RATE) / 20)).astype(np.float32)


def test_an_improvement_is_saved_by_its_figures_and_as_the_best(made, tmp_path):
    archive, top = made[1].archive, made[1].top
    spoken = []
    improvements = Improvements(
        tmp_path,
        "out",
        "demo",
        {"synthesiser": "embedded", "seed": 5, "base_voices": ["mine"]},
        lambda voice: spoken.append(voice) or WAVE,
    )
    improvements.ranked(made[1].ranking, top)
    improvements(1, [], archive)
    improvements(2, [], archive)
    assert len(spoken) == 1, "a best candidate is saved once"
    best = archive.best
    stem = f"out_{best.step}_{best.evaluation.score:.2f}_{best.evaluation.target_similarity:.2f}_demo"
    endings = (".json", ".pt", ".wav")
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}{end}" for name in (stem, "best") for end in endings}
    facts = json.loads((tmp_path / "best.json").read_text())
    assert (facts["seed"], facts["step"], facts["scores"]["score"]) == (5, best.step, best.evaluation.score)
    assert facts["base_voices"] == list(dict.fromkeys(["mine", *(entry.name for entry in top)]))
    improvements.resumed(archive, 0)
    assert len(spoken) == 2, "a run may have been killed before its files were complete"


def test_the_best_alone_is_kept_where_that_is_asked_for(made, tmp_path):
    improvements = Improvements(tmp_path, "out", "demo", {"synthesiser": "embedded"}, lambda voice: WAVE, False)
    improvements.ranked(made[1].ranking, made[1].top)
    improvements(1, [], made[1].archive)
    improvements.resumed(made[1].archive, 0)
    assert {path.name for path in tmp_path.iterdir()} == {"best.json", "best.pt", "best.wav"}


def test_the_voices_that_a_strategy_keeps_replace_those_of_an_earlier_end(made, tmp_path):
    improvements = Improvements(tmp_path, "out", "demo", {"synthesiser": "embedded"}, lambda voice: WAVE)
    improvements.ranked(made[1].ranking, made[1].top)
    best, stock = made[1].archive.best, made[1].baseline
    improvements.ended(None, "the end", {"front": [best, best]})
    assert len(list((tmp_path / "front").glob("*.pt"))) == 2
    (tmp_path / "front" / "mine.txt").touch()
    improvements.ended(None, "the end", {"front": [stock, best]})
    (kept,) = (tmp_path / "front").glob("*.pt")
    assert kept.name.startswith("01_"), "a stock voice is none of the search's"
    assert (tmp_path / "front" / "mine.txt").exists()


def test_speech_is_kept_by_role_and_number_without_what_failed(tmp_path):
    keep_spoken(tmp_path, {"stock": [WAVE, None, WAVE[:0]], "best": [None, WAVE, np.full(9, np.nan, np.float32)]})
    names = {path.name for path in (tmp_path / SPOKEN).iterdir()}
    assert names == {"stock_0.flac", "best_1.flac"}
    assert SPOKEN == "spoken"
    assert spoken_path(tmp_path, "best", 1) == tmp_path / "spoken" / "best_1.flac"
    np.testing.assert_allclose(decode_file(spoken_path(tmp_path, "stock", 0)), WAVE, atol=1 / 32767)
    keep_spoken(tmp_path, {"start": [WAVE]})
    assert [path.name for path in (tmp_path / SPOKEN).iterdir()] == ["start_0.flac"]

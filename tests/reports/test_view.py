"""Sentences and figures of a report."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from kvw.reports.view import ComparedVoice, headline
from kvw.runs.result import UNCLEAR, HeldOutFigures


@pytest.mark.parametrize(
    ("score", "heldout", "words"),
    [
        (77.2, 0.62, "Score 77.20: +3.20 over the best stock voice, af_a. Held-out similarity 0.620, af_a 0.600: +"),
        (77.2, 0.55, "It fits the texts that it was scored on, and not others: believe the held-out figure."),
        (73.0, 0.55, "No improvement: no candidate scored above the best stock voice, af_a, which is the better one;"),
    ],
)  # fmt: skip
def test_what_came_of_a_run_is_said_in_sentences(score, heldout, words):
    voices = {
        "stock": ComparedVoice("best stock voice, af_a", 74.0, {}, HeldOutFigures([0.6])),
        "best": ComparedVoice("result", score, {}, HeldOutFigures([heldout])),
    }
    said = headline(SimpleNamespace(result={"score": score}, verdict="improved"), voices)
    assert words in " ".join(said)
    assert ("It fits" in " ".join(said)) == words.startswith("It fits")
    assert headline(SimpleNamespace(result={}, verdict=""), voices)[0].startswith("This run has not ended")


@pytest.mark.parametrize("kept", [True, False])
def test_a_result_that_is_less_clear_is_said_with_the_voice_to_take(kept, tmp_path):
    if kept:
        (tmp_path / "best_clear.pt").touch()
    voices = {
        "stock": ComparedVoice("best stock voice, af_a", 74.0, {}, HeldOutFigures([0.6], 5.0)),
        "best": ComparedVoice("result", 77.2, {}, HeldOutFigures([0.7], 50.0)),
    }
    *_, said = headline(SimpleNamespace(result={"score": 77.2}, verdict=UNCLEAR, folder=tmp_path), voices)
    assert said.startswith("Nearer, less clear: the result is harder to hear than af_a; ")
    assert said.endswith("best_clear.pt is the most similar voice that is as clear." if kept else "take af_a.")

"""Similarities on a scale from a stranger to a second recording."""

from __future__ import annotations

import numpy as np
import pytest

from kvw.reports.scale import LEAST_SPAN, Recordings, scale_of


def direction(*numbers):
    """A recording that :func:`similar` hears as this direction."""
    return np.array(numbers, np.float32) / np.linalg.norm(numbers)


def similar(waves, speaker):
    return float(np.mean([wave @ speaker[0] for wave in waves]))


SPEAKERS = {
    "anna": Recordings([direction(1, 0, 0.1)], [direction(1, 0.1, 0)], True),
    "bert": Recordings([direction(0.1, 1, 0)], [direction(0, 1, 0.3)], True),
    "cleo": Recordings([direction(0.2, 0.1, 1)], [direction(0.1, 0.1, 1)], False),
}


def test_a_second_recording_is_1_and_the_strangers_are_0_on_average():
    scale = scale_of(similar, SPEAKERS)
    for name in ("anna", "bert"):
        assert scale(similar(SPEAKERS[name].heard, SPEAKERS[name].heldout), name) == pytest.approx(1)
    strangers = [
        similar(SPEAKERS[other].heard, SPEAKERS[name].heldout)
        for name in SPEAKERS
        for other in SPEAKERS
        if other != name
    ]
    assert np.mean(strangers) == pytest.approx(scale.stranger)
    assert scale(scale.stranger, "anna") == 0
    assert scale(0.0, "anna") < 0 < 1 < scale(1.0, "anna")


def test_a_speaker_with_one_recording_has_the_mean_of_the_others_as_1():
    scale = scale_of(similar, SPEAKERS)
    assert set(scale.own) == {"anna", "bert"}
    assert scale(np.mean(list(scale.own.values())), "cleo") == pytest.approx(1)


def test_what_can_not_be_normalised_says_why():
    alone = scale_of(similar, {"anna": SPEAKERS["anna"]})
    assert alone(0.5, "anna") is None and alone.reason == "it needs recordings of two speakers"
    single = {name: Recordings(one.heard, one.heldout, False) for name, one in SPEAKERS.items()}
    assert scale_of(similar, single).reason == "it needs a second recording of a speaker"
    missing = scale_of(lambda waves, speaker: "its package is missing", SPEAKERS)
    assert missing(0.5, "anna") is None and missing.reason == "its package is missing"


def test_an_encoder_that_tells_nobody_apart_has_no_scale():
    scale = scale_of(lambda waves, speaker: 0.5 + LEAST_SPAN / 3 * similar(waves, speaker), SPEAKERS)
    assert scale(0.6, "anna") is None and "does not tell these speakers apart" in scale.reason

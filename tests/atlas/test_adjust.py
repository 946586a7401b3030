"""Voices that are changed as they are heard: what was asked moves, the rest stays."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvw.atlas.adjust import CHANGES, Adjuster, Change, amounts
from kvw.errors import KvwError
from kvw.types import MAX_PHONEMES, mean_row
from tests.atlas.formula import delivered, heard, styles
from tests.atlas.test_samples import made

ASKED = {"pitch": 2.0, "pace": 10.0, "brightness": 10.0, "breathiness": 0.5}
VOICES = styles(31, 8)


@pytest.fixture(scope="module")
def adjust():
    return Adjuster(made(1200))


def voice_of(style):
    curve = 0.01 * np.sin(np.arange(MAX_PHONEMES))[:, None, None]
    return (style + curve - curve.mean()).astype(np.float32)


def change_between(before, after):
    return np.array(
        list(amounts(np.diff(delivered(np.array([mean_row(before), mean_row(after)])), axis=0)[0]).values())
    )


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("sign", [-1, 1])
def test_what_was_asked_moves_and_nothing_else_does(adjust, kind, sign):
    change = Change(**{kind: sign * ASKED[kind]})
    moved = np.array([change_between(voice, adjust(voice, change.shift)) for voice in map(voice_of, VOICES)])
    shares = moved / list(ASKED.values())
    wanted = [sign * (name == kind) for name in CHANGES]
    assert shares.mean(axis=0) == pytest.approx(wanted, abs=0.35), "of the amounts asked, on voices never sampled"


def test_no_change_is_the_same_voice_and_there_and_back_again_is_nearly(adjust):
    voice = voice_of(VOICES[0])
    assert not Change()
    assert np.array_equal(adjust(voice, Change().shift), voice)
    there = adjust(voice, Change(pitch=1).shift)
    assert np.abs(there - voice).max() > 0.01
    assert np.abs(adjust(there, Change(pitch=-1).shift) - voice).max() < 0.2 * np.abs(there - voice).max()


def test_all_rows_move_alike_and_the_speaker_stays_nearer_than_by_as_large_a_move_at_random(adjust):
    voice = voice_of(VOICES[1])
    moves = adjust(voice, Change(brightness=10).shift) - voice
    assert np.abs(moves - moves[0]).max() < 1e-6
    start, length = mean_row(voice), np.linalg.norm(moves[0])
    random = np.random.default_rng(0).standard_normal((20, 256))
    others = start + length * random / np.linalg.norm(random, axis=1, keepdims=True)
    (own, ours), theirs = heard(np.array([start, start + moves[0, 0]]), None), heard(others, None)
    assert own @ ours > np.median(theirs @ own) - 0.02


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=6, unique=True), st.sampled_from(sorted(CHANGES)))
@settings(max_examples=20, deadline=None)
def test_more_of_a_change_is_more_of_it_in_what_is_asked(shares, kind):
    changes = [Change(**{kind: share * CHANGES[kind].most}) for share in sorted(shares)]
    at = list(CHANGES).index(kind)
    steps = [change.shift[at] * (-1 if kind == "breathiness" else 1) for change in changes]
    assert all(less <= more for less, more in pairwise(steps))
    assert amounts(changes[0].shift)[kind] == pytest.approx(getattr(changes[0], kind), abs=1e-9)


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("value", [1.01, -1.01, float("nan"), float("inf")])
def test_a_change_beyond_what_voices_do_is_refused_by_name(kind, value):
    with pytest.raises(KvwError, match=f"^{kind}: expected a change of -"):
        Change(**{kind: value * CHANGES[kind].most})

"""What an atlas says of a target: proposals, the order of stock voices, and which voices it is made from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvw.atlas.draw import Design
from kvw.atlas.inversion import Whitened
from kvw.atlas.predictor import Predictor
from tests.atlas.formula import delivered, heard, styles
from tests.atlas.test_samples import BANK, made

TARGETS = styles(9, 6)


@pytest.fixture(scope="module")
def samples():
    return made(500)


@pytest.mark.parametrize("number", range(len(TARGETS)))
def test_the_first_proposal_is_nearer_to_a_voice_that_was_never_heard_than_every_stock_voice(samples, number):
    (target,) = heard(TARGETS[number : number + 1], None)
    proposals = Predictor(samples, target, None)(8)
    assert proposals.shape == (8, 256)
    near = heard(proposals, None) @ target
    assert near[0] > (heard(BANK, None) @ target).max() + 0.02
    assert near[0] > near.max() - 0.05, "the first is the best guess"


def test_proposals_stay_near_the_stock_voices_the_nearer_the_stronger_the_prior(samples):
    (target,) = heard(TARGETS[:1], None)
    lengths = np.square(Whitened(BANK).encode(Predictor(samples, target, None)(2))).mean(axis=1)
    assert 1.5 > lengths[0] > lengths[1]


@pytest.mark.parametrize("number", range(len(TARGETS)))
def test_a_proposal_has_the_pitch_of_the_target_where_that_is_known(samples, number):
    (target,), ((pitch, *_),) = heard(TARGETS[number : number + 1], None), delivered(TARGETS[number : number + 1])
    blind, aware = (Predictor(samples, target, known)(1) for known in (None, pitch))
    assert abs(delivered(aware)[0, 0] - pitch) < abs(delivered(blind)[0, 0] - pitch) + 0.01
    assert heard(aware, None)[0] @ target > heard(blind, None)[0] @ target - 0.02


def test_stock_voices_are_ordered_as_they_are_heard(samples):
    (target,) = heard(TARGETS[:1], None)
    predictor = Predictor(samples, target, None)
    expected = predictor.likeness(BANK)
    assert np.corrcoef(heard(BANK, None) @ target, expected)[0, 1] > 0.8
    assert ((expected >= 0) & (expected <= 1)).all()


@pytest.mark.parametrize("count", [0, 9])
def test_there_are_one_to_eight_proposals(samples, count):
    with pytest.raises(ValueError, match="count: expected 1 to 8"):
        Predictor(samples, heard(TARGETS[:1], None)[0], None)(count)


@given(st.integers(0, 2**32 - 1), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_a_drawn_style_is_a_function_of_seed_and_number_and_near_the_bank(seed, number):
    style = Design(BANK, seed)(number)
    assert np.array_equal(style, Design(BANK, seed)(number))
    assert not np.array_equal(style, Design(BANK, seed)(number + 1))
    assert np.square(Whitened(BANK).encode(style)).mean() < 12


def test_whitened_coordinates_are_unit_sized_in_the_bank_and_lose_nothing():
    whitened = Whitened(BANK)
    assert whitened.decode(whitened.encode(TARGETS)) == pytest.approx(TARGETS)
    coordinates = whitened.encode(BANK)
    assert np.square(coordinates).sum(axis=1).mean() == pytest.approx(2 * (len(BANK) - 1), rel=0.1)

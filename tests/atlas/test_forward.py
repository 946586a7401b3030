"""The forward model of an atlas, on a synthesiser that is a formula."""

from __future__ import annotations

import numpy as np
import pytest

from kvw.atlas.forward import Forward
from kvw.types import STYLE_WIDTH
from tests.atlas.formula import TEXTS, heard, styles


@pytest.fixture(scope="module")
def forward():
    some = styles(0, 400)
    return Forward(some, heard(some, np.arange(400) % TEXTS), np.arange(400) % TEXTS)


def explained(forward, some):
    truth = heard(some, None)
    return 1 - np.square(truth - forward(some)).sum() / np.square(truth - truth.mean(axis=0)).sum()


def test_it_predicts_voices_that_it_never_heard_and_better_with_more_samples(forward):
    some = styles(1, 100)
    texts = np.arange(60) % TEXTS
    few = Forward(styles(0, 60), heard(styles(0, 60), texts), texts)
    assert explained(forward, some) > 0.8
    assert explained(forward, some) > explained(few, some) + 0.1


def test_the_gradient_is_that_of_the_cosine(forward):
    target = heard(styles(2, 1), None)[0]
    points = styles(3, 3)
    cosines, gradients = forward.similarity(points, target)
    expected = forward(points)
    assert cosines == pytest.approx(expected @ target / np.linalg.norm(expected, axis=1))
    for seed in range(5):
        step = 1e-5 * np.random.default_rng(seed).standard_normal(STYLE_WIDTH)
        above, below = (forward.similarity(points + sign * step, target)[0] for sign in (1, -1))
        assert (above - below) / 2 == pytest.approx(gradients @ step, rel=1e-4, abs=1e-12)


def test_the_variance_is_small_at_a_sample_and_near_1_far_from_all(forward):
    known, unknown = styles(0, 5), 40 * styles(4, 5)
    assert (forward.variance(known) < forward.variance(styles(5, 5)).mean()).all()
    assert (forward.variance(known) >= 0).all()
    assert forward.variance(known).max() < forward.variance(unknown).min() <= 1

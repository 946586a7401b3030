"""The forward model of an atlas, on a synthesiser that is a formula."""

from __future__ import annotations

import numpy as np
import pytest

from kvw.atlas.forward import Expected, Forward
from kvw.types import STYLE_WIDTH
from tests.atlas.formula import TEXTS, delivered, heard, styles


@pytest.fixture(scope="module")
def forward():
    return made(400)


def made(count):
    some, texts = styles(0, count), np.arange(count) % TEXTS
    return Forward(some, heard(some, texts), delivered(some), texts)


def explained(expected, truth):
    return 1 - np.square(truth - expected).sum() / np.square(truth - truth.mean(axis=0)).sum()


def test_it_predicts_voices_that_it_never_heard_and_better_with_more_samples(forward):
    some = styles(1, 100)
    share = explained(forward(some).embeddings, heard(some, None))
    assert share > 0.8
    assert share > explained(made(60)(some).embeddings, heard(some, None)) + 0.1
    assert explained(forward(some).delivery[:, 0], delivered(some)[:, 0]) > 0.7


def test_a_sample_without_pitch_and_pace_counts_for_the_speaker_alone():
    some, texts = styles(0, 300), np.arange(300) % TEXTS
    known, delivery = np.arange(300) < 200, delivered(some)
    delivery[~known] = np.nan
    forward = Forward(some, heard(some, texts), delivery, texts)
    less = Forward(some[known], heard(some, texts)[known], delivery[known], texts[known])
    new = styles(1, 100)
    assert explained(forward(new).embeddings, heard(new, None)) > explained(less(new).embeddings, heard(new, None))
    assert explained(forward(new).delivery[:, 0], delivered(new)[:, 0]) > 0.6


def test_the_pullback_is_the_gradient(forward):
    slopes = Expected(np.random.default_rng(0).standard_normal((3, 256)), np.eye(4)[:3])
    points = styles(3, 3)

    def value(some):
        return sum((one * by).sum(axis=1) for one, by in zip(forward(some), slopes, strict=True))

    gradients = forward.pullback(points, slopes)
    for seed in range(5):
        step = 1e-5 * np.random.default_rng(seed).standard_normal(STYLE_WIDTH)
        assert (value(points + step) - value(points - step)) / 2 == pytest.approx(gradients @ step, rel=1e-4, abs=1e-12)


def test_the_variance_is_small_at_a_sample_and_near_1_far_from_all(forward):
    known, unknown = styles(0, 5), 40 * styles(4, 5)
    assert (forward.variance(known) < forward.variance(styles(5, 5)).mean()).all()
    assert (forward.variance(known) >= 0).all()
    assert forward.variance(known).max() < forward.variance(unknown).min() <= 1

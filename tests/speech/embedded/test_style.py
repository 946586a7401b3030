"""Style rows become speakers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from kvw.speech.embedded.style import PROSODY_NUMBERS, STYLE_STD, TIMBRE_NUMBERS, decode_style, projections
from kvw.speech.embedded.vocoder import BREATH_BANDS, GAIN_BANDS, MAX_LOG_RATE, SHAPE_MODES, WARP_KNOTS


def test_projections_are_orthogonal_with_columns_of_one_length():
    for matrix, numbers in zip(projections(), (TIMBRE_NUMBERS, PROSODY_NUMBERS), strict=True):
        assert matrix.shape == (128, numbers)
        np.testing.assert_allclose(STYLE_STD**2 * matrix.T @ matrix, np.eye(numbers), atol=1e-5)


@pytest.mark.parametrize("scale", [0.0, 0.14, 1e6])
def test_every_finite_row_is_a_valid_speaker(scale):
    rows = scale * torch.randn(7, 256, generator=torch.Generator().manual_seed(0))
    speakers = decode_style(rows)
    for field in dataclasses.fields(speakers):
        assert torch.isfinite(getattr(speakers, field.name)).all(), field.name
    assert (speakers.rate.log().abs() <= MAX_LOG_RATE + 1e-6).all()
    assert ((speakers.f0 > 70) & (speakers.f0 < 250)).all()
    lengths = [part.shape for part in (speakers.gains, speakers.warp, speakers.breath, speakers.shape)]
    assert lengths == [(7, GAIN_BANDS), (7, WARP_KNOTS), (7, BREATH_BANDS), (7, SHAPE_MODES)]

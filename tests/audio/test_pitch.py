"""The pitch of a recording."""

from __future__ import annotations

import numpy as np
import pytest

from kvw.audio.pitch import contour
from kvw.types import SAMPLE_RATE


def test_pitch_is_found_where_a_voice_is_steady_and_nowhere_else():
    times = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    saw = (0.3 * ((times * 150) % 1 - 0.5)).astype(np.float32)
    found = contour(np.concatenate([saw, np.zeros(SAMPLE_RATE, np.float32)]))
    half = len(found) // 2
    assert np.nanmedian(found[:half]) == pytest.approx(150, rel=0.02)
    assert np.isfinite(found[5 : half - 5]).mean() > 0.9
    assert np.isnan(found[half + 5 :]).all()

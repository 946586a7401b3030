"""The embedded synthesiser's own voices."""

from __future__ import annotations

import numpy as np
import pytest

from kvw.speech.embedded.stock_voices import stock_voices
from kvw.types import VOICE_SHAPE
from tests.support.embedded import BANK, VOICES


def test_the_bank_is_24_named_voices_and_always_the_same() -> None:
    assert len(BANK) == 24
    assert sum(name.startswith("af_") for name in BANK) == sum(name.startswith("am_") for name in BANK) == 12
    for name, voice in stock_voices().items():
        assert voice.shape == VOICE_SHAPE and voice.dtype == np.float32 and voice.flags.c_contiguous
        np.testing.assert_array_equal(voice, BANK[name])


def test_the_bank_has_the_statistics_of_real_kokoro_voices() -> None:
    rows = np.stack(VOICES)[:, :, 0].astype(np.float64)
    assert rows.std(0).mean() == pytest.approx(0.14, abs=0.01)
    variance_between = rows.mean(1).var(0).sum() / rows.reshape(-1, 256).var(0).sum()
    assert variance_between == pytest.approx(0.86, abs=0.04)
    for voice in rows:
        spread = np.linalg.eigvalsh(np.cov(voice, rowvar=False))
        assert spread[-2:].sum() / spread.sum() > 0.99
        assert np.diff(voice, axis=0).std() < 0.0036

"""Brightness and breathiness of sounds whose spectra are known."""

from __future__ import annotations

import numpy as np
import pytest

from kvw.audio.timbre import timbre
from kvw.types import SAMPLE_RATE

TIME = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE


def buzz(pitch, tilt, breath=0.0):
    """Harmonics that fall by ``tilt`` dB an octave, with white noise of the share ``breath`` of their power."""
    numbers = np.arange(1, int(8000 / pitch))
    levels = 10 ** (-tilt * np.log2(numbers) / 20)
    phases = np.random.default_rng(0).uniform(0, 2 * np.pi, len(numbers))
    wave = levels @ np.sin(2 * np.pi * pitch * numbers[:, None] * TIME + phases[:, None])
    noise = np.random.default_rng(1).standard_normal(len(TIME)) * np.sqrt(breath) * wave.std()
    return (0.1 * (wave + noise) / wave.std()).astype(np.float32)


@pytest.mark.parametrize("pitch", [100.0, 220.0])
def test_the_centroid_is_that_of_the_harmonics(pitch):
    numbers = np.arange(1, int(8000 / pitch))
    levels = numbers ** (-12 / 20 / np.log10(2))
    brightness, _ = timbre(buzz(pitch, 12))
    assert np.exp(brightness) == pytest.approx(pitch * (levels @ numbers) / levels.sum(), rel=0.05)


def test_less_tilt_is_brighter_and_louder_is_not():
    dull, bright = timbre(buzz(150, 14))[0], timbre(buzz(150, 8))[0]
    assert bright > dull + 0.3
    assert timbre(0.1 * buzz(150, 8)) == pytest.approx(timbre(buzz(150, 8)), abs=1e-3)


@pytest.mark.parametrize("pitch", [100.0, 150.0, 220.0])
def test_the_more_breath_the_less_the_peak_of_the_cepstrum_stands_out(pitch):
    prominences = [timbre(buzz(pitch, 10, breath))[1] for breath in (0.0001, 0.003, 0.1)]
    assert prominences[0] > prominences[1] + 1 > prominences[2] + 2


@pytest.mark.parametrize("wave", [np.zeros(SAMPLE_RATE), np.zeros(100), np.zeros(0)], ids=["silence", "short", "empty"])
def test_what_has_no_pitch_is_not_known(wave):
    assert (timbre(wave.astype(np.float32)) == 0).all()

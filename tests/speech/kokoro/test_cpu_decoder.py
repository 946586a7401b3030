"""Activations of the CPU's decoder; its waves are in test_model.py."""

from __future__ import annotations

import numpy as np
import pytest

from kvw.speech.kokoro.cpu_decoder import snake


def filled(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("scale", [1, 30, 1000])
def test_snake_is_exact_but_for_rounding_far_from_zero_too(scale):
    rows, alpha = filled(0, 400, 5) * np.float32(scale), np.abs(filled(1, 5)) + np.float32(0.3)
    factor, shift, out = filled(2, 5), filled(3, 5), np.empty((400, 5), np.float32)
    snake(alpha, factor, shift, rows, out)
    value = rows * factor + shift
    wanted = value + np.sin(alpha * value, dtype=np.float64) ** 2 / alpha
    assert np.abs(out - wanted).max() <= 1e-6 * np.abs(value).max() + 1e-6

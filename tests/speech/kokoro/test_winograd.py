"""Convolutions with half of the multiplications give what convolutions give."""

from __future__ import annotations

from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from kvw.speech.kokoro.cpu_decoder import _leaky
from kvw.speech.kokoro.winograd import BLOCK, TILE, Convolution, Moments, Workspace, cook_toom
from tests.support.reference import snr

SPACE = Workspace()


def filled(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("taps", [3, 4])
def test_minimal_filtering_is_exact_in_exact_numbers(taps):
    inverse, filters, transform = cook_toom(taps)
    inputs = [Fraction(n, 7) for n in (3, -5, 11, 2, -13, 8, 1)][: TILE + taps - 1]
    filter_ = [Fraction(n, 3) for n in (4, -1, 9, -7)][:taps]

    def times(matrix, vector):
        return [sum(factor * value for factor, value in zip(row, vector, strict=True)) for row in matrix]

    products = [a * b for a, b in zip(times(filters, filter_), times(transform, inputs), strict=True)]
    assert times(inverse, products) == [sum(filter_[j] * inputs[i + j] for j in range(taps)) for i in range(TILE)]


@settings(deadline=None, max_examples=40)
@given(
    width=st.sampled_from([3, 5, 7, 9, 11]),
    dilation=st.integers(1, 6),
    length=st.one_of(st.integers(1, 40), st.integers(BLOCK - 3, 2 * BLOCK + 50)),
    channels=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    bias=st.booleans(),
    add=st.booleans(),
    seed=st.integers(0, 9),
)
def test_a_convolution_is_torchs_of_any_width_dilation_and_length(width, dilation, length, channels, bias, add, seed):
    torch.manual_seed(seed)
    layer = nn.Conv1d(*channels, width, padding=dilation * (width - 1) // 2, dilation=dilation, bias=bias)
    rows, before = filled(seed, length, channels[0]), filled(seed + 1, length, channels[1])
    # of the activation, rows past either end are nothing, whatever AdaIN would make of a zero
    factor, shift, slope = filled(2, channels[0]), filled(3, channels[0]), np.float32(0.2)
    active = nn.functional.leaky_relu(torch.from_numpy(rows * factor + shift), 0.2).double()
    with torch.no_grad():
        wanted = layer.double()(active.T[None])[0].T.numpy() + add * before
    moments = Moments(channels[1])
    convolve = Convolution(layer.float(), SPACE)
    out = convolve(rows, partial(_leaky, slope, factor, shift), before.copy(), add=add, moments=moments)
    assert np.abs(out - wanted).max() < 3e-5
    assert np.allclose(moments.mean, wanted.mean(0), atol=1e-5)
    assert np.allclose(moments.variance, wanted.var(0), rtol=1e-4, atol=1e-5)


def test_bits_that_are_lost_are_few():
    layer = nn.Conv1d(128, 128, 11, padding=25, dilation=5)
    rows, ones, zeros = filled(0, 3000, 128), np.ones(128, np.float32), np.zeros(128, np.float32)
    with torch.no_grad():
        wanted = layer.double()(torch.from_numpy(rows).double().T[None])[0].T.numpy()
    out = np.empty_like(rows)
    assert snr(wanted, Convolution(layer.float(), SPACE)(rows, partial(_leaky, np.float32(1), ones, zeros), out)) > 118


def test_moments_do_not_cancel_far_from_zero():
    rows = filled(0, 5000, 3) + np.float32(1000)
    moments = Moments.of(rows)
    assert moments.count == 5000
    assert np.allclose(moments.variance, rows.astype(np.float64).var(0), rtol=1e-4)


@pytest.mark.parametrize("layer", [nn.Conv1d(4, 4, 1), nn.Conv1d(4, 4, 3), nn.Conv1d(4, 4, 4, padding=2)])
def test_a_layer_that_is_not_such_a_convolution_is_refused(layer):
    with pytest.raises(ValueError, match="keeps the length; got Conv1d"):
        Convolution(layer, SPACE)

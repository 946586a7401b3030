"""The space of blends of the stock voices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvw.spaces.blend import Blend
from kvw.types import VOICE_SHAPE
from tests.support.spaces import FREE, SIMPLEX, every_freeze, examples, make, voices


def weights_of(space):
    """The blend's weights of a genome: with a bank of unit vectors the voice shows them."""
    return lambda genome: space.decode(genome)[0, 0, : len(space._bank)]


def unit_vectors(count=5):
    bank = np.zeros((count, *VOICE_SHAPE), dtype=np.float32)
    bank[np.arange(count), :, 0, np.arange(count)] = 1
    return list(bank)


@examples
@given(seed=st.integers(0, 1000), size=st.floats(0, 5))
def test_weights_of_a_blend_sum_to_one_and_those_of_a_softmax_are_positive(seed, size):
    for kind in (Blend, SIMPLEX):
        space = make(kind, bank=unit_vectors())
        weights = weights_of(space)(np.random.default_rng(seed).standard_normal(space.dim) * size)
        assert weights.sum() == pytest.approx(1, abs=1e-6)
        assert (weights >= 0).all()
        assert (weights > 0).all() or kind is SIMPLEX


def test_softmax_genes_are_isometric_log_ratios_of_the_weights():
    space = make(Blend, bank=unit_vectors())
    weights = weights_of(space)
    for gene, unit in enumerate(np.eye(4)):
        logs = np.log(weights(unit))
        assert np.linalg.norm(logs - logs.mean()) == pytest.approx(1, abs=1e-5), gene
    assert weights(np.zeros(4)) == pytest.approx([0.2] * 5)
    assert space.scale == pytest.approx([space.scale[0]] * 4)


def test_simplex_genes_are_the_weights_without_what_is_negative():
    weights = weights_of(make(SIMPLEX, bank=unit_vectors()))
    assert weights(np.array([3.0, -2.0, 1.0, 0.0, 0.0])) == pytest.approx([0.75, 0, 0.25, 0, 0])
    assert weights(np.array([-1.0, -2.0, 0.0, 0.0, -1.0])) == pytest.approx([0.2] * 5)


@every_freeze
@pytest.mark.parametrize("count", [2, 9, 30])
def test_a_stock_voice_is_nearly_itself_as_a_softmax_blend_and_exactly_as_a_simplex(freeze, count):
    bank = voices(0, count)
    softmax, simplex = (make(kind, count=count, base=bank[0], freeze=freeze) for kind in (Blend, SIMPLEX))
    for index in (0, count - 1):
        wanted = bank[index][..., FREE[freeze]]
        others = np.mean(bank[:index] + bank[index + 1 :], axis=0)[..., FREE[freeze]]
        got = softmax.decode(softmax.encode(bank[index]))[..., FREE[freeze]]
        assert 0 < np.linalg.norm(got - wanted) <= 0.05 * np.linalg.norm(others - wanted)
        assert np.allclose(simplex.decode(simplex.encode(bank[index]))[..., FREE[freeze]], wanted, atol=1e-6)


@examples
@given(seed=st.integers(0, 1000), count=st.integers(2, 9), size=st.sampled_from([0.01, 1, 1000]))
def test_the_blend_of_a_voice_is_the_nearest_one(seed, count, size):
    bank = np.array(voices(seed, count), dtype=np.float64).reshape(count, -1)
    voice = (voices(seed + 1)[0] * size).astype(np.float32)
    space = make(SIMPLEX, seed, count)
    blend = space.encode(voice) @ bank
    apart = voice.reshape(-1) - blend
    # Optimality on a simplex: no way from the blend towards a stock voice leads nearer to the voice.
    assert ((bank - blend) @ apart).max() <= 1e-6 * np.linalg.norm(apart) * np.linalg.norm(bank - blend, axis=1).max()


def test_voices_that_are_there_twice_do_not_stop_a_blend():
    bank = voices(0)
    for kind in (Blend, SIMPLEX):
        space = make(kind, bank=[*bank, bank[0].copy()])
        away = np.abs(space.decode(space.encode(bank[1])) - bank[1]).max()
        assert away < (0.05 if kind is Blend else 1e-6)

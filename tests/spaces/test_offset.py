"""Spaces that move all rows together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvw.spaces.offset import Coherent
from tests.support.spaces import SHIFTS, every_freeze, examples, make, row, somewhere, voices


def test_the_coherent_space_adds_its_genome_to_every_row():
    base, genome = voices(5)[0], np.random.default_rng(0).standard_normal(256)
    space = Coherent(bank=voices(1), top=voices(1), base=base)
    assert np.array_equal(space.decode(genome), (base.astype(np.float64) + genome).astype(np.float32))
    assert space.scale == pytest.approx(np.std([row(one) for one in voices(1)], axis=0, ddof=1))


@pytest.mark.parametrize("kind", SHIFTS)
@every_freeze
@examples
@given(seed=st.integers(0, 1000))
def test_spaces_that_move_all_rows_together_keep_the_row_curve_of_the_base_voice(kind, freeze, seed):
    base = voices(seed, 5)[4]
    space = make(kind, seed, base=base, freeze=freeze)
    assert np.allclose(np.diff(space.decode(somewhere(space, seed)), axis=0), np.diff(base, axis=0), atol=1e-6)


@pytest.mark.parametrize("kind", SHIFTS)
@every_freeze
@examples
@given(seed=st.integers(0, 1000))
def test_a_gradient_by_an_offset_becomes_that_by_the_genome(kind, freeze, seed):
    space, draw = make(kind, seed, freeze=freeze), np.random.default_rng(seed)
    gradient, step = draw.standard_normal(256), 0.1 * draw.standard_normal(space.dim)
    moved = row(space.decode(space.origin + step)) - row(space.decode(space.origin))
    assert space.pullback(gradient) @ step == pytest.approx(gradient @ moved, abs=1e-3)

"""The state of a search comes back from JSON and arrays to the last bit."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kvw.search.state import Stored, freeze, random_state, set_random_state, thaw

numbers = hnp.arrays(
    st.sampled_from(["<f8", "<f4", "<i8", "u1", "?"]), hnp.array_shapes(min_dims=0, max_dims=3, max_side=4)
)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | numbers,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(values, st.booleans())
def test_a_state_comes_back_to_the_last_bit_and_in_the_order_of_its_memory(value, fortran):
    def turned(one):
        if isinstance(one, np.ndarray):
            return np.asfortranarray(one) if fortran else one
        if isinstance(one, dict):
            return {key: turned(inner) for key, inner in one.items()}
        return [turned(inner) for inner in one] if isinstance(one, list) else one

    def same(one, two):
        if isinstance(one, np.ndarray):
            return (
                (one.dtype, one.shape) == (two.dtype, two.shape)
                and one.tobytes() == two.tobytes()
                and one.flags.f_contiguous == two.flags.f_contiguous
            )
        if isinstance(one, dict):
            return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
        if isinstance(one, list):
            return len(one) == len(two) and all(map(same, one, two))
        return type(one) is type(two) and one == two

    state = turned(value)
    text, arrays = freeze(state)
    assert same(state, thaw(text, lambda digest: arrays[digest].array()))


@pytest.mark.parametrize(
    "stored",
    [
        Stored("|O", "[1]", "C", bytes(8)),
        Stored("<f8", "[2]", "C", bytes(8)),
        Stored("<f8", "[-1]", "C", bytes(8)),
        Stored("<f8", "[1, 1, 1, 1, 1, 1, 1, 1, 1]", "C", bytes(8)),
        Stored("<f8", "8", "C", bytes(64)),
        Stored("<f8", "[1]", "K", bytes(8)),
        Stored("f8,f8", "[1]", "C", bytes(16)),
        Stored("(2,)f8", "[1]", "C", bytes(16)),
        Stored("<f8", "[true]", "C", bytes(8)),
    ],
)
def test_an_array_whose_parts_do_not_fit_is_refused(stored):
    with pytest.raises(ValueError, match=r"array|reshape|dtype"):
        stored.array()


def test_every_random_generator_goes_on_where_it_was():
    def draw(rng):
        return rng.standard_normal(), random.gauss(0, 1), random.random(), np.random.standard_normal()  # noqa: NPY002

    one, other = np.random.default_rng(5), np.random.default_rng(9)
    draw(one)  # of a normal distribution two are drawn at once, and one is kept
    text, arrays = freeze(random_state(one))
    drawn = draw(one)
    set_random_state(other, thaw(text, lambda digest: arrays[digest].array()))
    assert draw(other) == drawn


def test_numpys_scalars_are_numbers_to_a_checkpoint():
    state = {"a": np.float32(0.5), "b": [np.int64(3), np.bool_(True)]}
    assert thaw(freeze(state)[0], {}.get) == {"a": 0.5, "b": [3, True]}

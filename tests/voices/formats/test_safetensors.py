"""``.safetensors``: round trips of facts, and files of the safetensors library."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save as save_safetensors

from kvw.voices.files import facts_of, load_voice
from kvw.voices.formats import safetensors
from tests.support.hostile.packs import A


@settings(max_examples=200)
@given(
    st.dictionaries(
        st.text(max_size=8),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=4), values, max_size=3),
        )
        | st.sampled_from(["3", "true", "null", '"x"', "NaN", "Infinity", "{", "é\udc80"]),
        max_size=5,
    )
)
def test_safetensors_give_back_every_fact(facts):
    assert safetensors.facts(safetensors.write(A, facts)) == facts


def test_safetensors_own_library_reads_ours_and_we_its(tmp_path):
    path = tmp_path / "v.safetensors"
    path.write_bytes(safetensors.write(A, {"synthesiser": "embedded", "seed": 3, "synthetic": True}))
    with safe_open(path, "np") as file:
        assert list(file.keys()) == ["voice"], "which mlx-audio asks for"
        assert np.array_equal(file.get_tensor("voice"), A)
        assert file.metadata() == {"synthesiser": "embedded", "seed": "3", "synthetic": "true"}
    path.write_bytes(save_safetensors({"anything": A}, {"format": "pt"}))
    assert np.array_equal(load_voice(path), A)
    assert facts_of(path) == {"format": "pt"}
    path.write_bytes(save_safetensors({"anything": A}))
    assert np.array_equal(load_voice(path), A)
    assert facts_of(path) == {}


@pytest.mark.parametrize("facts", [{"a": float("inf")}, {"a": "x" * 70_000}])
def test_facts_that_have_no_place_are_not_written(facts):
    with pytest.raises(ValueError):
        safetensors.write(A, facts)

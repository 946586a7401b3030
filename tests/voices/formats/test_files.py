"""A file's format is told by its bytes; every format gives back the very bits."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kvw.voices.files import load_voice
from kvw.voices.formats import npy, npz, raw, safetensors, sherpa, torch_zip
from tests.support.hostile.packs import DATA, A
from tests.support.hostile.voices import NAN
from tests.support.voice_files import B, refused

extremes = st.sampled_from([0.0, -0.0, 1e-45, -1e-38, 3.1917253, -999.5, 1.0])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 509), st.integers(0, 255), extremes), max_size=8), st.booleans())
def test_every_format_gives_back_the_very_bits(numbers, fortran):
    voice = A.copy()
    for row, column, number in numbers:
        voice[row, 0, column] = number
    told = np.asfortranarray(voice) if fortran else voice
    facts = {"synthesiser": "kokoro"}
    back = [
        torch_zip.read(torch_zip.write(told)),
        npy.read(npy.write(told)),
        npz.read(npz.write({"a": told}))["a"],
        *raw.read_bare(raw.write_bare(told)),
        sherpa.read(sherpa.write({"a": B, "b": told}), ["a", "b"])["b"],
        safetensors.read(safetensors.write(told, facts)),
    ]
    for found in back:
        assert found.tobytes() == voice.tobytes()
        assert found.flags.c_contiguous and found.flags.writeable and found.dtype == np.float32


@pytest.mark.parametrize("content", [npz.write({"v": A}), raw.write(A), torch_zip.write(A), npy.write(A)])
def test_a_bin_is_what_its_bytes_are(content, tmp_path):
    (tmp_path / "v.bin").write_bytes(content)
    assert np.array_equal(load_voice(tmp_path / "v.bin"), A)


@pytest.mark.parametrize("ending", [".pt", ".npy", ".npz", ".safetensors"])
@pytest.mark.parametrize("form", ["pt", "npy", "npz", "safetensors", "raw"])
def test_an_ending_of_one_format_must_not_lie(ending, form, tmp_path):
    contents = {"pt": torch_zip.write(A), "npy": npy.write(A), "npz": npz.write({"v": A}), "raw": DATA}
    path = tmp_path / f"v{ending}"
    path.write_bytes(contents.get(form) or safetensors.write(A, {}))
    if form == ending[1:]:
        assert np.array_equal(load_voice(path), A)
    else:
        assert "isn't" in refused(path)


@pytest.mark.parametrize("write", [torch_zip.write, npy.write, raw.write, lambda v: safetensors.write(v, {})])
@pytest.mark.parametrize("voice", [NAN, A.astype(np.float64), A[:, 0], A[:509]])
def test_what_is_no_voice_is_not_written(write, voice):
    with pytest.raises(ValueError, match="expected a finite float32"):
        write(voice)


def test_torch_reads_a_tensor_and_nothing_beside_it():
    tensor = torch.load(io.BytesIO(torch_zip.write(A)), weights_only=True)
    assert np.array_equal(tensor.numpy(), A)
    assert tensor.is_contiguous() and tensor.untyped_storage().nbytes() == 522_240

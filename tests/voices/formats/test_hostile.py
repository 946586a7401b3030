"""Hostile and damaged files of every format but torch's are refused in one line, in little memory, running nothing."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvw.errors import KvwError
from kvw.types import VOICE_SHAPE
from kvw.voices.files import load_pack
from kvw.voices.formats import npy, npz, safetensors
from tests.support.hostile.packs import BIN, NPY, NPZ, SAFETENSORS, A
from tests.support.voice_files import PACK, refused

HOSTILE = [
    pytest.param(ending, make, id=f"{ending[1:]}, {name}")
    for ending, attacks in ((".npy", NPY), (".npz", NPZ), (".bin", NPZ), (".safetensors", SAFETENSORS), (".bin", BIN))
    for name, make in attacks.items()
]


@pytest.mark.parametrize(("ending", "make"), HOSTILE)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_hostile_file_is_refused_in_one_line_soon_and_runs_nothing(ending, make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"voices{ending}"
    path.write_bytes(make())
    refused(path)
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    ("ending", "make", "said"),
    [
        (".npy", NPY["float64"], "an array of type '<f8' and shape (510, 1, 256)"),
        (".npy", NPY["two axes"], "an array of type '<f4' and shape (510, 256)"),
        (".npy", NPY["NaN"], "1 numbers that are NaN"),
        (".npz", NPZ["a member, NaN"], "bad: 1 numbers that are NaN"),
        (".npz", NPZ["lzma"], "v encrypted, or compressed in a way"),
        (".npz", NPZ["directory bomb"], "too long a list of members"),
        (".npz", NPZ["deflate bomb"], "v of 67,108,864 bytes"),
        (".npz", NPZ["wrong sum"], "Bad CRC-32"),
        (".safetensors", SAFETENSORS["another dtype"], "'dtype': 'F64'"),
        (".safetensors", SAFETENSORS["two tensors"], "2 tensors"),
        (".bin", BIN["text"], "1,060,000 bytes that are no torch zip, npy, npz or safetensors, nor raw float32"),
        (".bin", BIN["text of a voice's size"], "no float32 voice: they would have numbers up to"),
        (".bin", BIN["257 voices"], "more than 127 MiB"),
    ],
)
def test_the_line_says_what_came(ending, make, said, tmp_path):
    (tmp_path / f"v{ending}").write_bytes(make())
    assert said in refused(tmp_path / f"v{ending}")


GOOD = {".npy": npy.write(A), ".npz": npz.write(PACK), ".safetensors": safetensors.write(A, {"synthesiser": "kokoro"})}


@pytest.mark.parametrize("ending", GOOD)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=st.lists(st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4),
    front=st.booleans(),
)
def test_a_damaged_file_loads_whole_or_is_refused(ending, edits, front, tmp_path):
    content = bytearray(GOOD[ending])
    for offset, patch in edits:
        start = offset if front else max(0, len(content) - 400 + offset)
        content[start : start + len(patch)] = patch
    path = tmp_path / f"v{ending}"
    path.write_bytes(content)
    try:
        found = load_pack(path)
    except KvwError as error:
        assert str(error).isprintable()
    else:
        assert all(voice.shape == VOICE_SHAPE and np.isfinite(voice).all() for voice in found.values())

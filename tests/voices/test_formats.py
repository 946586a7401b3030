"""Voices as bytes: exact round trips, what other programs read, and hostile files of every format."""

import io
import tracemalloc
from hashlib import sha256

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save as save_safetensors

from kvw.errors import KvwError
from kvw.types import VOICE_SHAPE
from kvw.voices.files import facts_of, load_bank, load_pack, load_voice
from kvw.voices.formats import npy, npz, raw, safetensors, sherpa, torch_zip
from tests.conftest import audited
from tests.support.hostile.packs import (
    BIN,
    DATA,
    NPY,
    NPZ,
    SAFETENSORS,
    A,
    objects,
    saved,
    swapped,
)
from tests.support.hostile.voices import NAN, a_voice

B, C = a_voice(1), a_voice(2)
PACK = {"af_a": A, "am_b": B, "af_c": C}

MEBIBYTES = 16  # of memory, beside the file's own

# as published beside the model, and in many programs that download it
KOKORO_ONNX_VOICES = "bca610b8308e8d99f32e6fe4197e7ec01679264efed0cac9140fe9c29f1fbf7d"
KOKORO_JS_HEART = "d583ccff3cdca2f7fae535cb998ac07e9fcb90f09737b9a41fa2734ec44a8f0b"

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


def test_numpy_reads_our_npy_and_npz_without_pickle(tmp_path):
    (tmp_path / "v.npy").write_bytes(npy.write(A))
    assert np.array_equal(np.load(tmp_path / "v.npy"), A)
    (tmp_path / "voices.bin").write_bytes(npz.write(PACK))
    with np.load(tmp_path / "voices.bin") as pack:
        assert list(pack) == list(PACK)
        assert all(np.array_equal(pack[name], voice) for name, voice in PACK.items())


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_we_read_what_numpy_writes(write, tmp_path):
    with (tmp_path / "voices.bin").open("wb") as file:
        write(file, **{name: np.asfortranarray(voice) for name, voice in PACK.items()})
    found = load_pack(tmp_path / "voices.bin")
    assert list(found) == list(PACK)
    assert all(found[name].tobytes() == voice.tobytes() for name, voice in PACK.items())


def test_a_pack_is_the_bytes_that_numpy_writes():
    file = io.BytesIO()
    np.savez(file, **PACK)
    assert npz.write(PACK) == file.getvalue()
    assert list(npz.read(npz.write({"file": A, "allow_pickle": B}))) == ["file", "allow_pickle"]


def test_the_stock_voices_are_kokoro_onnxs_published_file(shared):
    bank = load_bank(shared / "voices").voices
    content = npz.write(bank)
    assert sha256(content).hexdigest() == KOKORO_ONNX_VOICES
    assert all(np.array_equal(voice, bank[name]) for name, voice in npz.read(content).items())


def test_a_stock_voice_is_kokoro_js_own_file(shared):
    assert sha256(raw.write_bare(load_voice(shared / "voices" / "af_heart.pt"))).hexdigest() == KOKORO_JS_HEART


def test_a_concatenation_is_read_as_sherpa_onnxs_own_script_reads_it(tmp_path):
    (tmp_path / "voices.bin").write_bytes(sherpa.write(PACK))
    found = np.fromfile(tmp_path / "voices.bin", dtype="uint8").view(np.float32).reshape(3, 510, 1, 256)
    assert np.array_equal(found, np.stack(list(PACK.values())))


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


def test_speakers_have_the_names_in_the_text_beside_or_their_numbers(tmp_path):
    path, names = tmp_path / "voices.bin", tmp_path / "voices.speakers.txt"
    path.write_bytes(sherpa.write(PACK))
    assert list(load_pack(path)) == ["0", "1", "2"]
    names.write_bytes(sherpa.write_names(PACK))
    assert names.read_text() == "0 af_a\n1 am_b\n2 af_c\n"
    assert {name: voice.tobytes() for name, voice in load_pack(path).items()} == {
        name: voice.tobytes() for name, voice in PACK.items()
    }
    names.write_text("0 af_a\r\n1 am_b\r\n\r\n2 two words\r\n3 not there yet\r\n")
    assert list(load_pack(path)) == ["af_a", "am_b", "two words"]


@pytest.mark.parametrize(
    "text",
    ["0 a\n1 b\n", "", "1 a\n2 b\n3 c\n", "0 a\n0 b\n2 c\n", "0 a\n1 a\n2 c\n", "0\n1\n2\n", "0 \x1b[2J\n1 b\n2 c\n"],
)
def test_a_text_that_names_other_speakers_is_refused(text, tmp_path):
    (tmp_path / "voices.bin").write_bytes(sherpa.write(PACK))
    (tmp_path / "voices.speakers.txt").write_text(text)
    assert ".speakers.txt" in refused(tmp_path / "voices.bin")


HOSTILE = [
    pytest.param(ending, make, id=f"{ending[1:]}, {name}")
    for ending, attacks in ((".npy", NPY), (".npz", NPZ), (".bin", NPZ), (".safetensors", SAFETENSORS), (".bin", BIN))
    for name, make in attacks.items()
]
RAN = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "ctypes", "compile", "exec")


def refused(path):
    """The one line with which a file is refused: in little memory, having run nothing."""
    with pytest.raises(KvwError) as caught:  # and once more below: measuring memory takes time
        load_pack(path)
    tracemalloc.start()
    try:
        with pytest.raises(KvwError):
            load_pack(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2.2 * path.stat().st_size + (MEBIBYTES << 20)
    with audited() as heard, pytest.raises(KvwError):
        load_pack(path)
    assert not [event for event in heard if event.startswith(RAN)]
    message = str(caught.value)
    assert caught.value.code == 2
    assert message.isprintable(), "one line, and nothing that moves a terminal's cursor"
    assert message.startswith(f"{path}: expected a voice") and ", got " in message and "; " in message
    assert len(message) < 600
    return message


@pytest.mark.parametrize(("ending", "make"), HOSTILE)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_hostile_file_is_refused_in_one_line_and_runs_nothing(ending, make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"voices{ending}"
    path.write_bytes(make())
    refused(path)
    assert not (tmp_path / "marker").exists()


def test_the_objects_of_the_npz_were_a_real_payload(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "voices.npz").write_bytes(swapped(saved(objects(), allow_pickle=True)))
    assert "bad: an array of type '|O'" in refused(tmp_path / "voices.npz")
    with np.load(tmp_path / "voices.npz", allow_pickle=True) as pack:
        assert pack["bad"].dtype == object
    assert (tmp_path / "marker").exists()


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


def test_256_voices_are_a_pack(tmp_path):
    (tmp_path / "voices.bin").write_bytes(DATA * 256)
    assert len(load_pack(tmp_path / "voices.bin")) == 256


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


@pytest.mark.parametrize("write", [torch_zip.write, npy.write, raw.write, lambda v: safetensors.write(v, {})])
@pytest.mark.parametrize("voice", [NAN, A.astype(np.float64), A[:, 0], A[:509]])
def test_what_is_no_voice_is_not_written(write, voice):
    with pytest.raises(ValueError, match="expected a finite float32"):
        write(voice)


def test_bare_bytes_hold_no_numbers_that_would_be_refused():
    with pytest.raises(ValueError, match="within 1000"):
        raw.write_bare(A + np.float32(1001))


@pytest.mark.parametrize("facts", [{"a": float("inf")}, {"a": "x" * 70_000}])
def test_facts_that_have_no_place_are_not_written(facts):
    with pytest.raises(ValueError):
        safetensors.write(A, facts)


def test_torch_reads_a_tensor_and_nothing_beside_it():
    tensor = torch.load(io.BytesIO(torch_zip.write(A)), weights_only=True)
    assert np.array_equal(tensor.numpy(), A)
    assert tensor.is_contiguous() and tensor.untyped_storage().nbytes() == 522_240

"""``.npy`` and packs of them: NumPy reads ours, and we read NumPy's."""

import io
from hashlib import sha256

import numpy as np
import pytest

from kvw.voices.files import load_bank, load_pack
from kvw.voices.formats import npy, npz
from tests.support.hostile.packs import A, objects, saved, swapped
from tests.support.voice_files import PACK, B, refused

# as published beside the model, and in many programs that download it
KOKORO_ONNX_VOICES = "bca610b8308e8d99f32e6fe4197e7ec01679264efed0cac9140fe9c29f1fbf7d"


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


def test_the_objects_of_the_npz_were_a_real_payload(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "voices.npz").write_bytes(swapped(saved(objects(), allow_pickle=True)))
    assert "bad: an array of type '|O'" in refused(tmp_path / "voices.npz")
    with np.load(tmp_path / "voices.npz", allow_pickle=True) as pack:
        assert pack["bad"].dtype == object
    assert (tmp_path / "marker").exists()

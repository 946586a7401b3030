"""Hostile and damaged files of every format but torch's are refused in one line, in little memory, running nothing."""

import json
import pickle
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save as save_safetensors

from kvw.errors import KvwError
from kvw.types import VOICE_SHAPE
from kvw.voices.files import load_pack
from kvw.voices.formats import npy, npz, safetensors
from tests.support.voice_files import DATA, NAN, PACK, A, Payload, objects, refused, saved, swapped, zipped


def with_header(header, data, length=None):
    """A safetensors file of a header, which may be bytes, and data."""
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(header) if length is None else length).to_bytes(8, "little") + header + data


ENTRY = {"dtype": "F32", "shape": [510, 1, 256], "data_offsets": [0, 522_240]}


def header_of(text, data=DATA):
    """An npy file with a header of our own."""
    header = text.encode("latin-1")
    return npy.MAGIC + b"\x01\x00" + len(header).to_bytes(2, "little") + header + data


def directory_bomb():
    """A zip whose directory has a million entries, of an ordinary size."""
    entry = b"PK\x01\x02" + bytes(6) + bytes(36)
    directory = entry * 1_000_000
    end = b"PK\x05\x06" + bytes(4) + b"\xff\xff\xff\xff" + len(directory).to_bytes(4, "little")
    first = zipped({"v.npy": npy.write(A)})
    start = first.index(b"PK\x01\x02")
    return first[:start] + directory + end + start.to_bytes(4, "little") + b"\0\0"


def deflate_bomb(claimed):
    """A voice of 64 MiB in 64 KiB, which claims to be smaller."""
    content = zipped({"v.npy": npy.write(A)[:128] + bytes(64 << 20)}, zipfile.ZIP_DEFLATED)
    real = (128 + (64 << 20)).to_bytes(4, "little")
    assert content.count(real) == 2
    return content.replace(real, claimed.to_bytes(4, "little"))


NPY = {
    "objects": lambda: saved(objects(), allow_pickle=True),
    "objects in a plain header": lambda: header_of(
        "{'descr': '|O', 'fortran_order': False, 'shape': (510, 1, 256), }\n", pickle.dumps(Payload("marker"))
    ),
    "float64": lambda: saved(A.astype(np.float64)),
    "float16": lambda: saved(A.astype(np.float16)),
    "big-endian": lambda: saved(A.astype(">f4")),
    "complex": lambda: saved(A.astype(np.complex64)),
    "record": lambda: saved(np.zeros(VOICE_SHAPE, dtype=[("a", "<f4")])),
    "two axes": lambda: saved(A[:, 0]),
    "one row more": lambda: saved(np.zeros((511, 1, 256), np.float32)),
    "huge shape": lambda: header_of("{'descr': '<f4', 'fortran_order': False, 'shape': (510, 1, 99999999999), }"),
    "many axes": lambda: header_of(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({'1, ' * 999}), }}"),
    "nested header": lambda: header_of("(" * 4000),
    "code in the header": lambda: header_of("__import__('os').system('touch marker')"),
    "long header": lambda: npy.MAGIC + b"\x02\x00" + b"\xff\xff\xff\xff" + DATA,
    "header behind the end": lambda: npy.MAGIC + b"\x01\x00\xff\x0f",
    "version 9": lambda: npy.MAGIC + b"\x09\x00" + npy.write(A)[8:],
    "cut short": lambda: npy.write(A)[:-4],
    "bytes left": lambda: npy.write(A) + b"\0",
    "NaN": lambda: saved(NAN),
    "infinite": lambda: saved(np.full(VOICE_SHAPE, np.inf, np.float32)),
    "magic alone": lambda: npy.MAGIC,
}


NPZ = {
    **{f"a member, {name}": lambda make=make: swapped(make()) for name, make in NPY.items()},
    "no voice": lambda: zipped({}),
    "another file": lambda: zipped({"v.npy": npy.write(A), "readme.txt": b"hello"}),
    "doubled": lambda: zipped({"v.npy": npy.write(A), "v.pt.npy": npy.write(A)}),
    "too many": lambda: zipped({f"{n}.npy": b"" for n in range(257)}),
    "too large a member": lambda: zipped({"v.npy": bytes(3 << 20)}),
    "deflate bomb": lambda: zipped({"v.npy": bytes(64 << 20)}, zipfile.ZIP_DEFLATED),
    "deflate bomb that lies": lambda: deflate_bomb(len(npy.write(A))),
    "lzma": lambda: zipped({"v.npy": npy.write(A)}, zipfile.ZIP_LZMA),
    "damaged deflate": lambda: zipped({"v.npy": npy.write(A)}, zipfile.ZIP_DEFLATED).replace(b"v.npy", b"w.npy", 1),
    "wrong sum": lambda: npz.write({"v": A})[:200_000] + b"xyz" + npz.write({"v": A})[200_003:],
    "directory bomb": directory_bomb,
    "zip64 directory": lambda: (lambda z: z[:-22] + b"PK\x06\x07" + bytes(16) + z[-22:])(npz.write({"v": A})),
    "comment": lambda: npz.write({"v": A})[:-2] + b"\x05\0hello",
    "cut short": lambda: npz.write({"v": A})[:-100],
    "encrypted": lambda: npz.write({"v": A}).replace(b"PK\1\2\x2d\3\x2d\0\0\0", b"PK\1\2\x2d\3\x2d\0\1\0"),
    "a name that moves the cursor": lambda: zipped({"\x1b[2J.npy": npy.write(A)}),
    "a long name": lambda: zipped({f"{'n' * 300}.npy": npy.write(A)}),
    "no name": lambda: zipped({".npy": npy.write(A)}),
}


SAFETENSORS = {
    "header of 2 GiB": lambda: with_header({"voice": ENTRY}, DATA, length=2 << 30),
    "header longer than the file": lambda: with_header({"voice": ENTRY}, b"", length=60_000),
    "header too short": lambda: with_header({"voice": ENTRY}, DATA, length=20),
    "long header": lambda: with_header({"voice": ENTRY, "__metadata__": {"a": "x" * 70_000}}, DATA),
    "no JSON": lambda: with_header(b"{" * 60_000, DATA),
    "nested": lambda: with_header(b'{"a":' * 10_000 + b"1" + b"}" * 10_000, DATA),
    "a long number": lambda: with_header(b'{"voice":' + b"9" * 60_000 + b"}", DATA),
    "no tensor": lambda: with_header({}, DATA),
    "two tensors": lambda: with_header({"a": ENTRY, "b": ENTRY}, DATA),
    "overlapping tensors": lambda: with_header({"a": ENTRY, "b": {**ENTRY, "data_offsets": [4, 522_244]}}, DATA + DATA),
    "offsets behind the end": lambda: with_header({"a": {**ENTRY, "data_offsets": [0, 1 << 60]}}, DATA),
    "offsets turned round": lambda: with_header({"a": {**ENTRY, "data_offsets": [522_240, 0]}}, DATA),
    "negative offsets": lambda: with_header({"a": {**ENTRY, "data_offsets": [-522_240, 0]}}, DATA),
    "another dtype": lambda: save_safetensors({"voice": A.astype(np.float64)}),
    "float16 in the shape": lambda: with_header({"a": {**ENTRY, "dtype": "F16"}}, DATA),
    "another shape": lambda: save_safetensors({"voice": np.ascontiguousarray(A[:, 0])}),
    "a shape of strings": lambda: with_header({"a": {**ENTRY, "shape": ["510", "1", "256"]}}, DATA),
    "cut short": lambda: safetensors.write(A, {})[:-4],
    "bytes left": lambda: safetensors.write(A, {}) + bytes(8),
    "NaN": lambda: save_safetensors({"voice": NAN}),
    "a tensor that is text": lambda: with_header({"voice": "\x1b[2J" * 100}, DATA),
}


BIN = {
    "text": lambda: b"All work and no play makes a dull voice of any size. " * 20_000,
    "text of a voice's size": lambda: (b"All work and no play. " * 40_000)[:522_240],
    "random bytes of a voice's size": lambda: np.random.default_rng(1).bytes(522_240),
    "float64": lambda: A.astype(np.float64).tobytes(),
    "big-endian": lambda: A.astype(">f4").tobytes(),
    "a byte less": lambda: DATA[:-1],
    "a byte more": lambda: DATA + b"\0",
    "NaN in the second": lambda: DATA + NAN.tobytes(),
    "257 voices": lambda: DATA * 257,
    "pickle": lambda: pickle.dumps(Payload("marker")),
    "pickle of a voice's size": lambda: (lambda p: p + b"." * (522_240 - len(p)))(pickle.dumps(Payload("marker"))),
    "empty": lambda: b"",
    "gzip": lambda: zlib.compress(DATA),
}


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

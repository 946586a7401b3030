"""Files in ``.npy``, ``.npz``, ``.safetensors`` and ``.bin`` that hold no voice."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
import zlib

import numpy as np
from safetensors.numpy import save as save_safetensors

from kvw.types import VOICE_SHAPE
from kvw.voices.formats import npy, npz, raw, safetensors
from tests.support.hostile.voices import NAN, Payload, a_voice

A = a_voice()


def saved(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def zipped(members, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def with_header(header, data, length=None):
    """A safetensors file of a header, which may be bytes, and data."""
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(header) if length is None else length).to_bytes(8, "little") + header + data


ENTRY = {"dtype": "F32", "shape": [510, 1, 256], "data_offsets": [0, 522_240]}


DATA = raw.write(A)


def objects(marker="marker"):
    array = np.empty(VOICE_SHAPE, dtype=object)
    array[0, 0, 0] = Payload(marker)
    return array


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


def swapped(member):
    return zipped({"good.npy": npy.write(A), "bad.npy": member})


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


def packs() -> dict[str, tuple[str, bytes]]:
    """Other files that hold no voice, with their endings."""
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }\n"
    one = zipped({"a.npy": npy.write(A)})
    start = one.index(b"PK\1\2")
    several = b"".join(one[start:-22] for _ in range(200))
    tail = struct.pack("<HHHHIIH", 0, 0, 200, 200, len(several), start, 0)
    plain, zip64 = json.dumps(ENTRY), struct.pack("<IQI", 0, len(one) - 22, 1)
    headers = {
        "commas are missing": header % "510 1 256",
        "a sum": header % "510, 1, 128+128",
        "leading zeros": header % "0510, 1, 256",
        "a negative axis": header % "-510, 1, 256",
        "no comma between two": header % "510, 1256",
        "f-string": "{f'{__import__(\"os\")}': 1}",
        "a subclass": "{'descr': [('a', '<f4', (510, 1, 256))], 'fortran_order': False, 'shape': (1,), }",
        "twice a key": "{'descr': '<f4', 'descr': '|O', 'fortran_order': False, 'shape': (510, 1, 256), }",
        "spaces without end": "{'descr'" + " " * 4000,
    }
    texts = {
        "twice a tensor": f'{{"voice":{{"dtype":"F64"}},"voice":{plain}}}',
        "twice a dtype": '{"v":{"dtype":"F64","dtype":"F32","shape":[510,1,256],"data_offsets":[0,522240]}}',
        "offsets of false and 522240.0": json.dumps({"v": {**ENTRY, "data_offsets": [False, 522240.0]}}),
        "a shape with true": json.dumps({"v": {**ENTRY, "shape": [510, True, 256]}}),
        "offsets from -8": json.dumps({"v": {**ENTRY, "data_offsets": [-8, 522_232]}}),
        "metadata that are a list": json.dumps({"__metadata__": [1], "v": ENTRY}),
        "metadata that are numbers": json.dumps({"__metadata__": {"a": 1}, "v": ENTRY}),
        "deep": '{"v":' + "[" * 60_000,
        "NaN for a tensor": '{"v":NaN}',
        "a number of 50,000 digits": '{"v":' + "9" * 50_000 + "}",
        "null": "null",
        "half a surrogate": '{"v":"\\ud800"}',
    }
    tables = {".npy": NPY, ".npz": NPZ, ".safetensors": SAFETENSORS, ".bin": BIN}
    return {
        **{f"{ending}, {name}": (ending, make()) for ending, table in tables.items() for name, make in table.items()},
        **{f"npy, {name}": (".npy", header_of(text)) for name, text in headers.items()},
        **{f"npz, {name}": (".npz", zipped({"v.npy": header_of(text)})) for name, text in headers.items()},
        **{f"safetensors, {name}": (".safetensors", with_header(t.encode(), DATA)) for name, t in texts.items()},
        "npz, a pack in a pack": (".npz", zipped({"a.npy": npz.write({"b": A})})),
        "npz, a torch zip in a pack": (".npz", zipped({"a.npy": b"PK\3\4"})),
        "npz, a name that leaves": (".npz", npz.write({"../../evil": A})),
        "npz, an absolute name": (".npz", npz.write({"/etc/cron.d/evil": A})),
        "npz, Windows' path": (".npz", npz.write({"C:\\evil": A})),
        "npz, a folder": (".npz", zipped({"a/.npy": npy.write(A)})),
        "npz, a name turned round": (".npz", npz.write({"a\u202ez": A})),
        "npz, 200 names of one member": (".npz", one[:start] + several + b"PK\5\6" + tail),
        "npz, zip64 of no end": (".npz", one[:-22] + b"PK\6\7" + zip64 + one[-22:]),
        "npz, bombs": (
            ".npz",
            zipped({f"{n}.npy": npy.write(A)[:128] + bytes(2 << 20) for n in range(64)}, zipfile.ZIP_DEFLATED),
        ),
        "bin, a number beyond 1000": (".bin", DATA[:-4] + struct.pack("<f", 1e30)),
        "bin, a NaN with a payload": (".bin", DATA[:-4] + b"\x01\x02\xa3\x7f"),
        "npy, a NaN with a sign": (".npy", npy.write(A)[:-4] + b"\x01\0\xc0\xff"),
        "safetensors, infinity": (".safetensors", safetensors.write(A, {})[:-4] + struct.pack("<f", float("inf"))),
        "bin, an ELF": (".bin", (b"\x7fELF" + bytes(raw.VOICE_BYTES))[:99_999]),
    }

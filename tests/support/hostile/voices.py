"""Files in ``.pt`` that are no voice, and the bricks of which they are made."""

from __future__ import annotations

import collections
import io
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kvw.types import VOICE_SHAPE, Voice


def a_voice(seed: int = 0) -> Voice:
    return np.random.default_rng(seed).normal(0, 0.2, VOICE_SHAPE).astype(np.float32)


def torch_file(value: object, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def archive(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in members.items():
            file.writestr(f"voice/{name}", content)
    return buffer.getvalue()


def members_of(raw: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(raw)) as file:
        return {name.partition("/")[2]: file.read(name) for name in file.namelist()}


def rewritten(**changes: bytes) -> bytes:
    """A good voice's archive with some members replaced."""
    good = members_of(torch_file(torch.from_numpy(a_voice())))
    return archive({**good, **{name.replace("__", "/"): content for name, content in changes.items()}})


def pickle_with(old: bytes, new: bytes) -> bytes:
    pickled = members_of(torch_file(torch.from_numpy(a_voice())))["data.pkl"]
    assert old in pickled
    return rewritten(**{"data.pkl": pickled.replace(old, new)})


class Payload:
    """Unpickles by running a command."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch '{self.marker}'",)


def nested_tuples(depth: int) -> bytes:
    """A dict whose key is the tuple t = (t', t') of that depth: its hash takes 2 ** depth steps."""
    return b"\x80\x02)q\x01" + b"h\x01h\x01\x86q\x01" * depth + b"}h\x01K\x00s."


FLOATS = torch.zeros(VOICE_SHAPE)


NAN, INFINITE = a_voice(), a_voice()
NAN[509, 0, 255] = np.nan
INFINITE[0, 0, 0] = -np.inf


NAN[509, 0, 255] = np.nan


INFINITE[0, 0, 0] = -np.inf


COUNT = (130_560).to_bytes(4, "little")


ATTACKS: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"not a voice\n" * 100,
    "random bytes": lambda: np.random.default_rng(1).bytes(523_000),
    "legacy pickle": lambda: torch_file(FLOATS, _use_new_zipfile_serialization=False),
    "plain pickle": lambda: pickle.dumps({"voice": [1.0]}),
    "npy": lambda: (lambda b: (np.save(b, a_voice()), b.getvalue())[1])(io.BytesIO()),
    "tar": lambda: (lambda b: (tarfile.open(fileobj=b, mode="w").close(), b.getvalue())[1])(io.BytesIO()),
    "too large": lambda: torch_file(torch.zeros(2_000_000)),
    "ordinary zip": lambda: archive({"readme.txt": b"hello"}),
    "empty zip": lambda: b"PK\x05\x06" + bytes(18),
    "nested zip": lambda: archive({"voice.pt": torch_file(FLOATS)}),
    "prefixed zip": lambda: b"\x80\x02" + torch_file(FLOATS),
    "doubled zip": lambda: torch_file(FLOATS) + torch_file(torch.zeros(VOICE_SHAPE)),
    "deflated voice": lambda: archive(members_of(torch_file(FLOATS)), zipfile.ZIP_DEFLATED),
    "deflate bomb": lambda: archive({"data.pkl": b".", "data/0": bytes(64 << 20)}, zipfile.ZIP_DEFLATED),
    "lzma members": lambda: archive(members_of(torch_file(FLOATS)), zipfile.ZIP_LZMA),
    "many members": lambda: archive({f"data/{n}": b"" for n in range(15_000)}),
    "many tensors": lambda: torch_file([torch.zeros(2) for _ in range(40)]),
    "two pickles": lambda: rewritten(**{"x/data.pkl": b"."}),
    "two storages": lambda: rewritten(**{"data/1": b"1234"}),
    "no storage": lambda: archive({"data.pkl": b"."}),
    "big-endian": lambda: rewritten(byteorder=b"big"),
    "huge pickle": lambda: rewritten(**{"data.pkl": b"\x80\x02" + b"0" * 400_000 + b"."}),
    "garbage pickle": lambda: rewritten(**{"data.pkl": bytes(range(128, 256))}),
    "empty pickle": lambda: rewritten(**{"data.pkl": b""}),
    "bytearray bomb": lambda: rewritten(
        **{"data.pkl": b"\x80\x02c__builtin__\nbytearray\n\x8a\x06\0\0\0\0\0\x10\x85R."}
    ),
    "hash bomb": lambda: rewritten(**{"data.pkl": nested_tuples(200)}),
    "long integer": lambda: rewritten(**{"data.pkl": b"\x80\x02\x8b\xa0\x0f\0\0" + b"\x7f" * 4000 + b"."}),
    "memo bomb": lambda: pickle_with(b"q\x00", b"r\xff\xff\xff\x7f"),
    "control characters": lambda: pickle_with(b"torch._utils\n_rebuild_tensor_v2", b"a\x1b[31m\rb\nc"),
    "expand bomb": lambda: torch_file(torch.zeros(1).expand(VOICE_SHAPE)),
    "half expanded": lambda: torch_file(torch.zeros(1, 1, 256).expand(VOICE_SHAPE)),
    "stride bomb": lambda: torch_file(torch.zeros(1).as_strided((1 << 20, 1 << 20, 1 << 20), (0, 0, 0))),
    "transposed": lambda: torch_file(torch.zeros(256, 1, 510).permute(2, 1, 0)),
    "storage too long": lambda: torch_file(torch.zeros(520, 1, 256)[:510]),
    "storage offset": lambda: torch_file(torch.zeros(520, 1, 256)[10:]),
    "storage too short": lambda: rewritten(data__0=bytes(4)),
    "storage claims more": lambda: pickle_with(b"J" + COUNT[:3] + b"\0", b"J\xff\xff\xff\x7f"),
    "row that isn't there": lambda: pickle_with(b"K\x00M\xfe\x01", b"M\x00\x01M\xfe\x01"),
    "sparse": lambda: torch_file(torch.zeros(VOICE_SHAPE).to_sparse()),
    "sparse csr": lambda: torch_file(torch.eye(16).to_sparse_csr()),
    "meta": lambda: torch_file(torch.zeros(VOICE_SHAPE, device="meta")),
    "quantised": lambda: torch_file(torch.quantize_per_tensor(FLOATS, 0.1, 0, torch.qint8)),
    "needs gradient": lambda: torch_file(torch.zeros(VOICE_SHAPE, requires_grad=True)),
    "parameter": lambda: torch_file(torch.nn.Parameter(FLOATS)),
    "other device": lambda: pickle_with(b"X\x03\0\0\0cpu", b"X\x06\0\0\0cuda:0"),
    "conjugate": lambda: torch_file(torch.zeros(VOICE_SHAPE, dtype=torch.complex64).conj()),
    "int8": lambda: torch_file(FLOATS.to(torch.int8)),
    "float64": lambda: torch_file(FLOATS.double()),
    "float16": lambda: torch_file(FLOATS.half()),
    "int32": lambda: torch_file(FLOATS.to(torch.int32)),
    "uint16": lambda: torch_file(FLOATS.to(torch.uint16)),
    "scalar": lambda: torch_file(torch.tensor(1.0)),
    "one row": lambda: torch_file(torch.zeros(1, 256)),
    "Kokoro 0.19": lambda: torch_file(torch.zeros(511, 1, 256)),
    "two axes": lambda: torch_file(torch.zeros(510, 256)),
    "four axes": lambda: torch_file(torch.zeros(1, 510, 1, 256)),
    "no rows": lambda: torch_file(torch.zeros(0, 1, 256)),
    "NaN": lambda: torch_file(torch.from_numpy(NAN)),
    "infinite": lambda: torch_file(torch.from_numpy(INFINITE)),
    "dict": lambda: torch_file({"voice": FLOATS}),
    "ordered dict": lambda: torch_file(collections.OrderedDict(voice=FLOATS)),
    "list": lambda: torch_file([FLOATS]),
    "tuple": lambda: torch_file((FLOATS,)),
    "number": lambda: torch_file(3),
    "attributes": lambda: torch_file(with_attributes()),
    "module": lambda: torch_file(torch.nn.Linear(2, 2)),
    "protocol 4": lambda: torch_file(FLOATS, pickle_protocol=4),
}


def with_attributes() -> torch.Tensor:
    tensor = FLOATS.clone()
    tensor.note = "mine"  # type: ignore[attr-defined]
    return tensor


GOOD = torch_file(torch.from_numpy(a_voice()))


def opcodes(marker: Path) -> dict[str, bytes]:
    """Pickles that would do something, by what they do."""
    command = f"touch '{marker}'".encode()
    system = b"cposix\nsystem\n"

    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (command.decode(),)

    text = b"X" + struct.pack("<I", len(command)) + command
    return {
        **{f"REDUCE, protocol {protocol}": pickle.dumps(Payload(), protocol) for protocol in range(6)},
        "INST": b"(S'" + command.replace(b"'", b'"') + b"'\niposix\nsystem\n.",
        "OBJ": b"(" + system + text + b"o.",
        "STACK_GLOBAL": b"\x80\x04\x8c\x05posix\x8c\x06system\x93" + text + b"\x85R.",
        "NEWOBJ": b"\x80\x02" + system + text + b"\x85\x81.",
        "NEWOBJ_EX": b"\x80\x04" + system + text + b"\x85}\x92.",
        "BUILD": b"\x80\x02ctypes\nSimpleNamespace\n)R}X\x01\0\0\0ax\x01\0\0\0bs" + system + b"b.",
        "EXT1": b"\x80\x02\x82\x01.",
        "EXT4": b"\x80\x02\x84\x01\0\0\0.",
        "PERSID": b"P../../etc/passwd\n.",
        "BINPERSID": b"\x80\x02X\x04\0\0\0evilQ.",
        "nested pickle.loads": b"\x80\x02cpickle\nloads\nC\x04N.\0\0\x85R.",
        "numpy's reconstruct": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n.",
        "builtins.eval": b"\x80\x02cbuiltins\neval\nX\x03\0\0\0" + b"1+1\x85R.",
        "getattr of a module": b"\x80\x04\x8c\x02os\x8c\x0bpath.os.sys\x93.",
        "BYTEARRAY8 of 2^60 bytes": b"\x80\x05\x96" + struct.pack("<Q", 1 << 60) + b".",
        "FRAME of 2^60 bytes": b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b".",
        "LONG4 of 2^31 bytes": b"\x80\x02\x8b\xff\xff\xff\x7f.",
        "a memo of 2^31 entries": b"\x80\x02Nr\xff\xff\xff\x7f0h\0.",
        "a stack of marks": b"\x80\x02" + b"(" * 4000 + b".",
    }


def edited(content: bytes, offset: int, patch: bytes) -> bytes:
    """``content`` with other bytes from ``offset`` on."""
    return content[:offset] + patch + content[offset + len(patch) :]


def entries(content: bytes) -> list[int]:
    """Where the entries of a zip's directory begin."""
    found, start = [], content.index(b"PK\1\2")
    while content.startswith(b"PK\1\2", start):
        found.append(start)
        start += 46 + sum(struct.unpack("<HHH", content[start + 28 : start + 34]))
    return found


def torch_zips(marker: Path) -> dict[str, bytes]:
    """Files in ``.pt`` that are no plain tensor."""
    good, plain = members_of(GOOD), members_of(GOOD)["data.pkl"]
    body = plain.removeprefix(b"\x80\x02")
    places = entries(GOOD)
    bomb = (b"PK\1\2" + bytes(42)) * 30_000
    head = GOOD[: places[0]]
    end = b"PK\5\6" + bytes(4) + b"\xff" * 4 + struct.pack("<IIH", len(bomb), len(head), 0)
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as file:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            entry = tarfile.TarInfo(name)
            entry.size = len(plain)
            file.addfile(entry, io.BytesIO(plain))
    end64 = len(GOOD) - 22 - 20 - 56
    return {
        **{f"pickle, {name}": rewritten(**{"data.pkl": code}) for name, code in opcodes(marker).items()},
        **{
            f"before the tensor, {name}": rewritten(**{"data.pkl": code[:-1] + b"0" + body})
            for name, code in opcodes(marker).items()
            if name.startswith(("INST", "REDUCE, protocol 0", "REDUCE, protocol 2", "OBJ"))
        },
        "code behind STOP": rewritten(**{"data.pkl": plain + b"cos\nsystem\n."}),
        "protocol 200": rewritten(**{"data.pkl": b"\x80\xc8" + body}),
        "protocol 0": rewritten(**{"data.pkl": body}),
        "a thousand protocols": rewritten(**{"data.pkl": b"\x80\x02" * 1000 + plain}),
        "a storage that is not there": pickle_with(b"X\x01\0\0\x000", b"X\x01\0\0\x009"),
        "TorchScript": archive({**good, "code/__torch__.py": b"import os", "constants.pkl": b"\x80\x02)."}),
        "a path that leaves": archive({**good, "../../../evil": b"x"}),
        "an absolute path": archive({**good, "/etc/cron.d/evil": b"x"}),
        "someone's notes": archive({**good, "notes.txt": b"x"}),
        "a comment": GOOD[:-2] + b"\xff\xff" + b"x" * 65_535,
        "an end in the comment": GOOD[:-2] + b"\x16\0" + b"PK\5\6" + bytes(18),
        "a list of 30,000 members": head + bomb + end,
        "a list of members of 2^40 bytes": edited(GOOD, end64 + 40, struct.pack("<Q", 1 << 40)),
        "members from 2^62 on": edited(GOOD, end64 + 48, struct.pack("<Q", 1 << 62)),
        "the end's end is elsewhere": edited(GOOD, len(GOOD) - 22 - 12, struct.pack("<Q", 0)),
        "2^32 bytes in a member": edited(GOOD, places[0] + 24, b"\xff" * 4),
        "the pickle is the numbers": edited(GOOD, places[0] + 42, GOOD[places[4] + 42 : places[4] + 46]),
        "the numbers are the pickle": edited(GOOD, places[4] + 42, GOOD[places[0] + 42 : places[0] + 46]),
        "a member behind the end": edited(GOOD, places[4] + 42, b"\xf0\xff\xff\x7f"),
        "a name that the directory denies": GOOD.replace(b"data/0", b"data/1", 1),
        "encrypted": edited(GOOD, places[0] + 8, b"\1\0"),
        "bzip2": archive(good, zipfile.ZIP_BZIP2),
        "tar": tar.getvalue(),
        "a folder's tar in the zip": archive({"data.pkl": tar.getvalue()[:900], "data/0": bytes(522_240)}),
    }

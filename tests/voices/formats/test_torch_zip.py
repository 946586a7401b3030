"""Hostile, damaged and honest ``.pt`` files."""

from __future__ import annotations

import collections
import io
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kvw.errors import KvwError
from kvw.types import VOICE_SHAPE
from kvw.voices.files import load_bank, load_voice
from tests.conftest import SHARED
from tests.support.voice_files import FLOATS, INFINITE, NAN, a_voice, refused, torch_file

REAL = SHARED / "voices"


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


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.filterwarnings("ignore")
def test_a_file_that_is_no_voice_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / "voice.pt"
    path.write_bytes(ATTACKS[name]())
    refused(path)


@pytest.mark.parametrize("use_zip", [True, False])
def test_a_pickle_that_would_run_code_runs_none(use_zip: bool, tmp_path: Path) -> None:
    path, marker = tmp_path / "voice.pt", tmp_path / "marker"
    path.write_bytes(torch_file(Payload(marker), _use_new_zipfile_serialization=use_zip))
    refused(path)
    assert not marker.exists()
    torch.load(path, weights_only=False)
    assert marker.exists(), "the payload was a real one"


def test_a_payload_beside_a_good_tensor_is_named_and_never_runs(tmp_path: Path) -> None:
    path, marker = tmp_path / "voice.pt", tmp_path / "marker"
    good = members_of(torch_file(FLOATS))
    pickled = pickle.dumps(Payload(marker), 2).removesuffix(b".") + b"0" + good["data.pkl"].removeprefix(b"\x80\x02")
    path.write_bytes(archive({**good, "data.pkl": pickled}))
    assert "system" in refused(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("float64", "type Double"),
        ("Kokoro 0.19", "shape 511 1 256"),
        ("expand bomb", "strides 0 0 0"),
        ("dict", "a pickle of more than a plain tensor"),
        ("quantised", "torch._utils._rebuild_qtensor"),
        ("NaN", "1 numbers that are NaN"),
        ("deflated voice", "compressed"),
        ("other device", "device cuda:0"),
        ("too large", "more than 2 MiB"),
        ("legacy pickle", "isn't torch's zip format"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_the_line_says_what_came(name: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "voice.pt"
    path.write_bytes(ATTACKS[name]())
    assert said in refused(path)


@pytest.mark.parametrize("kept", [3, 30, 1000, 261_000, 522_600, 523_400])
def test_a_truncated_voice_is_refused(kept: int, tmp_path: Path) -> None:
    path = tmp_path / "voice.pt"
    path.write_bytes(torch_file(FLOATS)[:kept])
    refused(path)


GOOD = torch_file(torch.from_numpy(a_voice()))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=st.lists(st.tuples(st.integers(0, 2047), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4),
    front=st.booleans(),
)
def test_a_damaged_voice_loads_whole_or_is_refused(edits: list[tuple[int, bytes]], front: bool, tmp_path: Path) -> None:
    raw = bytearray(GOOD)
    for offset, patch in edits:  # the pickle is in front, the zip's directory at the end
        start = offset if front else len(raw) - 2048 + offset
        raw[start : start + len(patch)] = patch
    path = tmp_path / "voice.pt"
    path.write_bytes(raw)
    try:
        voice = load_voice(path)
    except KvwError as error:
        assert str(error).isprintable()
    else:
        assert voice.shape == VOICE_SHAPE
        assert np.isfinite(voice).all()


@pytest.mark.skipif(not REAL.is_dir(), reason="needs ../shared/data/voices")
def test_every_real_voice_loads_as_torch_loads_it() -> None:
    bank = load_bank(REAL)
    assert len(bank.voices) == 54
    assert bank.synthesizer == "kokoro"
    assert list(bank.voices) == sorted(bank.voices)
    for name, voice in bank.voices.items():
        assert np.array_equal(voice, torch.load(REAL / f"{name}.pt", weights_only=True).numpy())


def test_a_voice_from_numpy_with_any_stride_on_its_axis_of_one_loads(tmp_path: Path) -> None:
    tensor = torch.from_numpy(a_voice()[:, 0, :].copy()[:, None, :])
    torch.save(tensor, tmp_path / "voice.pt")
    assert np.array_equal(load_voice(tmp_path / "voice.pt"), tensor.numpy())

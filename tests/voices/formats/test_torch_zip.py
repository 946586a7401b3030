"""Hostile, damaged and honest ``.pt`` files."""

from __future__ import annotations

import pickle
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
from tests.support.hostile.voices import ATTACKS, FLOATS, GOOD, Payload, a_voice, archive, members_of, torch_file
from tests.support.voice_files import refused

REAL = SHARED / "voices"


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.filterwarnings("ignore")
def test_a_file_that_is_no_voice_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / "voice.pt"
    path.write_bytes(ATTACKS[name]())
    refused(path)


def test_a_pack_that_a_tuner_puts_together_and_saves_is_a_voice(tmp_path: Path) -> None:
    halves = torch.randn(128), torch.randn(510, 128)
    pack = torch.cat([halves[0].expand(510, -1), halves[1]], -1)[:, None].contiguous()  # as inno-kokoro does
    torch.save(pack, tmp_path / "ax_me_tuned.pt")
    assert np.array_equal(load_voice(tmp_path / "ax_me_tuned.pt"), pack.numpy())


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
        ("Kokoro 0.19", "a voice of another model, with 511 rows"),
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

"""Loading and saving voices, their records, and banks.

Above 300 lines, as the module is three functions with many ways to go wrong.
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kvw.errors import KvwError
from kvw.voices.files import facts_of, load_bank, load_voice, save_voice, synthesizer_of, voice_digest
from kvw.voices.formats import npy, npz, raw, safetensors, torch_zip
from tests.conftest import crashes
from tests.support.hostile.voices import FLOATS, NAN, a_voice, torch_file
from tests.support.voice_files import refused

FACTS = {"synthesiser": "kokoro"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes")
def test_a_missing_file_a_folder_and_a_pipe_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    for path in (tmp_path / "none.pt", tmp_path, tmp_path / "pipe.pt", tmp_path / "x.pt" / "y.pt"):
        assert "check the name" in refused(path)


def test_a_loaded_voice_is_the_callers_to_change(tmp_path: Path) -> None:
    torch.save(FLOATS, tmp_path / "voice.pt")
    voice = load_voice(tmp_path / "voice.pt")
    voice += 1
    assert voice.flags.c_contiguous
    assert voice.flags.owndata
    assert load_voice(tmp_path / "voice.pt").max() == 0


finite = st.floats(-3, 3, width=32)


rows = hnp.arrays(np.float32, (256,), elements=finite, fill=finite)


facts = st.dictionaries(
    st.text(max_size=8), st.none() | st.booleans() | st.integers() | finite | st.text(max_size=8), max_size=4
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=rows, seed=st.integers(0, 100), notes=facts)
def test_a_saved_voice_and_its_facts_come_back(
    row: np.ndarray, seed: int, notes: dict[str, object], tmp_path: Path
) -> None:
    voice, path = a_voice(seed) + row, tmp_path / "voice.pt"
    save_voice(path, voice, {**notes, **FACTS})
    assert load_voice(path).tobytes() == voice.tobytes()
    told = json.loads(path.with_suffix(".json").read_text("utf-8"))
    digest = hashlib.sha256(voice.tobytes()).hexdigest()
    ours = {"format": "kvw voice 1", "shape": [510, 1, 256], "sha256": digest}
    seal = told.pop("facts_sha256")
    assert told == {**notes, **FACTS, **ours} == facts_of(path)
    assert seal == hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def test_a_record_that_was_damaged_is_refused_and_one_that_was_changed_on_purpose_says_so(tmp_path: Path) -> None:
    path = tmp_path / "voice.pt"
    save_voice(path, a_voice(), {**FACTS, "seed": 1234})
    beside = path.with_suffix(".json")
    changed = beside.read_text("utf-8").replace("1234", "1235")
    beside.write_text(changed, "utf-8")
    with pytest.raises(KvwError, match="delete its line facts_sha256"):
        facts_of(path)
    beside.write_text("\n".join(line for line in changed.splitlines() if "facts_sha256" not in line), "utf-8")
    assert facts_of(path)["seed"] == 1235


def test_a_saved_voice_is_what_kpipeline_wants(tmp_path: Path) -> None:
    voice = np.asfortranarray(a_voice())
    save_voice(tmp_path / "voice.pt", voice, FACTS)
    tensor = torch.load(tmp_path / "voice.pt", weights_only=True)
    assert type(tensor) is torch.Tensor
    assert tensor.dtype == torch.float32
    assert tensor.is_contiguous()
    assert not tensor.requires_grad
    assert tensor.untyped_storage().nbytes() == tensor.nbytes
    assert np.array_equal(tensor.numpy(), voice)
    assert (tmp_path / "voice.pt").stat().st_size <= 524_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["voice.json", "voice.pt"]


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    for folder, notes in (("a", {"x": 1, "y": 2}), ("b", {"y": 2, "x": 1})):
        (tmp_path / folder).mkdir()
        save_voice(tmp_path / folder / "voice.pt", a_voice(), {**notes, **FACTS})
    for name in ("voice.pt", "voice.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_facts_may_hold_numpy_numbers_paths_and_names_that_are_no_text(tmp_path: Path) -> None:
    save_voice(
        tmp_path / "v.pt", a_voice(), {**FACTS, "score": np.float32(0.5), "from": Path("a/b"), "name": "\udc80é"}
    )
    told = json.loads((tmp_path / "v.json").read_text("utf-8"))
    assert (told["score"], told["from"], told["name"]) == (0.5, str(Path("a/b")), "\udc80é")


@pytest.mark.parametrize(
    ("name", "voice", "notes"),
    [
        ("v.bin", a_voice(), FACTS),
        ("v.pt", a_voice(), {}),
        ("v.embedded.pt", a_voice(), FACTS),
        ("v.pt", a_voice().astype(np.float64), FACTS),
        ("v.pt", a_voice()[:509], FACTS),
        ("v.pt", NAN, FACTS),
        ("v.pt", a_voice(), {**FACTS, "score": float("nan")}),
    ],
)
def test_what_is_no_voice_is_not_written(name: str, voice: Any, notes: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        save_voice(tmp_path / name, voice, notes)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("before", [None, "kokoro", "embedded"])
@pytest.mark.parametrize("after", ["kokoro", "embedded"])
def test_a_crash_between_any_two_steps_never_mislabels_a_voice(
    before: str | None, after: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = {a_voice(1).tobytes(): before, a_voice(2).tobytes(): after}
    steps = 0
    for crash in range(20):
        folder = tmp_path / str(crash)
        folder.mkdir()
        path = folder / "best.pt"
        if before:
            save_voice(path, a_voice(1), {"synthesiser": before})
        save = partial(save_voice, path, a_voice(2), {"synthesiser": after})
        steps += crashes(monkeypatch, save, crash)
        if not path.exists():
            continue
        said = facts_of(path)
        if said["sha256"] == voice_digest(torch_zip.read(path.read_bytes())):
            assert said["synthesiser"] == owner[load_voice(path).tobytes()]
        else:
            with pytest.raises(KvwError, match="other numbers than the sha256"):
                load_voice(path)
    assert 4 <= steps < 20, "every step was tried"


def test_numbers_that_are_not_those_that_the_facts_name_are_refused(tmp_path: Path) -> None:
    facts = {**FACTS, "sha256": voice_digest(a_voice())}
    (tmp_path / "a.safetensors").write_bytes(safetensors.write(a_voice(), facts))
    assert np.array_equal(load_voice(tmp_path / "a.safetensors"), a_voice())
    content = bytearray((tmp_path / "a.safetensors").read_bytes())
    content[-2] ^= 1
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(KvwError, match="other numbers than the sha256"):
        load_voice(tmp_path / "a.safetensors")


def test_no_json_means_kokoro_and_a_name_in_embedded_means_embedded(tmp_path: Path) -> None:
    assert synthesizer_of(tmp_path / "af_heart.pt") == "kokoro"
    assert synthesizer_of(tmp_path / "f1.embedded.pt") == "embedded"
    save_voice(tmp_path / "best.pt", a_voice(), {"synthesiser": "embedded"})
    assert synthesizer_of(tmp_path / "best.pt") == "embedded"
    save_voice(tmp_path / "f1.embedded.pt", a_voice(), {"synthesiser": "embedded"})
    assert synthesizer_of(tmp_path / "f1.embedded.pt") == "embedded"


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"{}", b'{"synthesiser": 3}', b"\xff\xfe", b"[" * 100_000])
def test_a_json_that_says_no_synthesiser_is_refused(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "best.json").write_bytes(text)
    with pytest.raises(KvwError, match=r"best\.json.*expected"):
        synthesizer_of(tmp_path / "best.pt")


def test_a_json_that_denies_its_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.embedded.json").write_text('{"synthesiser": "kokoro"}')
    with pytest.raises(KvwError, match="as the name says"):
        synthesizer_of(tmp_path / "x.embedded.pt")


def test_a_bank_is_the_folders_voices_by_name(tmp_path: Path) -> None:
    for name in ("b.embedded.pt", "a-1.embedded.pt", "a.pt"):
        save_voice(tmp_path / name, a_voice(len(name)), {"synthesiser": "embedded"})
    (tmp_path / "._a.pt").write_bytes(b"macOS")
    (tmp_path / "notes.txt").write_text("mine")
    bank = load_bank(tmp_path)
    assert bank.synthesizer == "embedded"
    assert list(bank.voices) == ["a", "a-1", "b"]
    assert np.array_equal(bank.voices["b"], a_voice(len("b.embedded.pt")))


def test_a_bank_without_voices_says_what_fetches_them(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path, tmp_path / "none", tmp_path / "file"):
        with pytest.raises(KvwError, match="python -m kvw task=voices"):
            load_bank(folder)


def test_a_bank_of_two_synthesisers_is_refused(tmp_path: Path) -> None:
    torch.save(FLOATS, tmp_path / "af_heart.pt")
    save_voice(tmp_path / "f1.embedded.pt", a_voice(), {"synthesiser": "embedded"})
    with pytest.raises(KvwError, match=r"one synthesiser.*af_heart\.pt \(kokoro\), f1\.embedded\.pt \(embedded\)"):
        load_bank(tmp_path)


def test_a_bank_with_two_voices_of_one_name_is_refused(tmp_path: Path) -> None:
    for name in ("f1.pt", "f1.embedded.pt"):
        save_voice(tmp_path / name, a_voice(), {"synthesiser": "embedded"})
    with pytest.raises(KvwError, match="both named f1"):
        load_bank(tmp_path)


def test_a_bad_voice_in_a_bank_is_named(tmp_path: Path) -> None:
    torch.save(FLOATS, tmp_path / "good.pt")
    torch.save(FLOATS.double(), tmp_path / "bad.pt")
    with pytest.raises(KvwError, match=r"bad\.pt.*Double"):
        load_bank(tmp_path)


def test_a_folder_of_several_formats_is_a_bank_and_packs_in_it_are_not(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(npy.write(a_voice(1)))
    (tmp_path / "b.bin").write_bytes(raw.write(a_voice(2)))
    (tmp_path / "c.safetensors").write_bytes(safetensors.write(a_voice(3), {}))
    (tmp_path / "d.pt").write_bytes(torch_file(torch.from_numpy(a_voice(4))))
    for pack in ("voices.bin", "voices.npz"):
        (tmp_path / pack).write_bytes(npz.write({"x": a_voice(5)}))
    (tmp_path / "two.bin").write_bytes(2 * raw.write(a_voice(5)))
    (tmp_path / "one.bin").write_bytes(raw.write(a_voice(5)))
    (tmp_path / "one.speakers.txt").write_text("0 x\n")
    bank = load_bank(tmp_path)
    assert {name: voice.tobytes() for name, voice in bank.voices.items()} == {
        name: a_voice(seed).tobytes() for seed, name in enumerate("abcd", start=1)
    }


def test_one_voice_may_be_in_a_folder_in_several_formats_but_no_other_by_its_name(tmp_path: Path) -> None:
    save_voice(tmp_path / "a.pt", a_voice(1), FACTS)
    (tmp_path / "a.npy").write_bytes(npy.write(a_voice(1)))
    (tmp_path / "a.bin").write_bytes(raw.write(a_voice(1)))
    assert list(load_bank(tmp_path).voices) == ["a"]
    (tmp_path / "a.bin").write_bytes(raw.write(a_voice(2)))
    with pytest.raises(KvwError, match=r"a\.bin.*other numbers than the sha256"):
        load_bank(tmp_path)
    (tmp_path / "a.json").unlink()
    with pytest.raises(KvwError, match="both named a"):
        load_bank(tmp_path)


def test_a_damaged_bin_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(raw.write(a_voice())[:-1])
    with pytest.raises(KvwError, match=r"a\.bin.*522,239 bytes"):
        load_bank(tmp_path)


def test_a_file_is_a_bank_of_what_it_holds(tmp_path: Path) -> None:
    save_voice(tmp_path / "best.embedded.pt", a_voice(1), {"synthesiser": "embedded"})
    bank = load_bank(tmp_path / "best.embedded.pt")
    assert (list(bank.voices), bank.synthesizer) == (["best"], "embedded")
    (tmp_path / "voices.bin").write_bytes(npz.write({"b.pt": a_voice(2), "a": a_voice(3)}))
    (tmp_path / "voices.json").write_text("kokoro-onnx once had its voices in a file of this name")
    bank = load_bank(tmp_path / "voices.bin")
    assert (list(bank.voices), bank.synthesizer) == (["a", "b"], "kokoro"), "KVoiceWalk's names end in .pt"


def test_a_pack_that_is_given_for_a_voice_says_what_to_type(tmp_path: Path) -> None:
    path = tmp_path / "voices.bin"
    path.write_bytes(npz.write({name: a_voice() for name in ("am_a", "am_b", "am_c", "am_d")}))
    assert "a pack of 4 (am_a, am_b, am_c, ...); name one of them: " + str(path) + ":am_a" in refused(path)
    path.write_bytes(npz.write({"am_a": a_voice(7)}))
    assert np.array_equal(load_voice(path), a_voice(7))


def test_safetensors_say_themselves_whose_voice_they_hold(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    path.with_suffix(".json").write_text('{"synthesiser": "kokoro"}')  # of another file by that name
    path.write_bytes(safetensors.write(a_voice(), {"synthesiser": "embedded", "seed": 3}))
    assert synthesizer_of(path) == "embedded"
    assert facts_of(path) == {"synthesiser": "embedded", "seed": 3}
    path.write_bytes(safetensors.write(a_voice(), {}))
    assert synthesizer_of(path) == "kokoro"
    with pytest.raises(KvwError, match="as the name says"):
        facts_of(path.rename(tmp_path / "best.embedded.safetensors"))


def test_the_facts_of_a_voice_are_those_it_was_saved_with(tmp_path: Path) -> None:
    save_voice(tmp_path / "a.pt", a_voice(), {**FACTS, "seed": 3})
    assert facts_of(tmp_path / "a.pt")["seed"] == 3
    assert facts_of(tmp_path / "a.npy")["seed"] == 3
    assert facts_of(tmp_path / "b.pt") == {}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes")
def test_a_pipe_beside_a_voice_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(KvwError, match=r"a\.json.*no regular file"):
        synthesizer_of(tmp_path / "a.pt")
    os.mkfifo(tmp_path / "b.bin")
    with pytest.raises(KvwError, match=r"b\.bin"):
        load_bank(tmp_path)


def test_a_json_without_end_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b" " * (2 << 20))
    with pytest.raises(KvwError, match="more than 1,048,576 bytes"):
        synthesizer_of(tmp_path / "a.pt")

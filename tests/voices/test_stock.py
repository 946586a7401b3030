"""The stock voices that kvw carries, beside the real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kvw.config.invocation import compose
from kvw.errors import KvwError
from kvw.speech import select
from kvw.tasks.bank import load_bank_for
from kvw.types import KOKORO
from kvw.voices.files import load_bank, save_voice
from kvw.voices.names import STOCK
from kvw.voices.reference import resolve
from kvw.voices.stock import stock_voices
from tests.tools import compress_voices


def test_every_stock_voice_is_there_and_near_the_real_one(shared):
    kept, real = stock_voices(), load_bank(shared / "voices").voices
    assert list(kept) == sorted(STOCK)
    errors = np.stack([kept[name] - real[name] for name in kept])
    assert np.sqrt(np.mean(errors**2)) < 3e-4
    assert np.abs(errors).max() < 0.03


def test_the_script_makes_the_file_to_the_byte(shared):
    made = compress_voices.packed(compress_voices.compressed(load_bank(shared / "voices").voices))
    assert len(made) < 200_000
    assert abs(len(made) - compress_voices.FILE.stat().st_size) < 2000  # the last bits of an SVD are the machine's


def test_a_stock_voices_name_stands_for_it_everywhere_and_a_file_of_that_name_wins(tmp_path):
    found = resolve("af_heart", tmp_path)
    assert (found.synthesizer, found.bases) == (KOKORO, ("af_heart",))
    assert np.array_equal(found.voice, stock_voices()["af_heart"])
    assert resolve("af_heart(2)+am_adam(1)", tmp_path).synthesizer == KOKORO
    mine = np.zeros((510, 1, 256), np.float32)
    save_voice(tmp_path / "af_heart.pt", mine, {"synthesiser": KOKORO})
    assert np.array_equal(resolve("af_heart", tmp_path).voice, mine)


class Nobody:
    starting_voice = None


@pytest.fixture
def bank_of(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def load(vocab, *overrides):
        Path("config.json").write_text(f'{{"vocab": {vocab}, "n_token": 178}}')
        node = {"_target_": select.KOKORO, "model": "m.pth", "config": "config.json"}
        return load_bank_for(compose(*overrides).cfg, node, Nobody())

    return load


def test_a_search_without_a_folder_of_voices_begins_with_them(bank_of, said):
    assert bank_of('{"a": 1}').keys() == STOCK
    assert any("own compressed copies" in line for line in said)
    with pytest.raises(KvwError, match="mine"):
        bank_of('{"a": 1}', "voice_folder=mine")
    Path("voices").mkdir()
    save_voice("voices/af_mine.pt", np.zeros((510, 1, 256), np.float32), {"synthesiser": KOKORO})
    assert list(bank_of('{"a": 1}')) == ["af_mine"]


def test_another_model_never_begins_with_them(bank_of):
    with pytest.raises(KvwError, match=r"v1\.1-zh.*voice_folder=FOLDER"):
        bank_of('{"ㄅ": 1}')

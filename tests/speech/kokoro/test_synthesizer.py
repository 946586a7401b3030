"""Kokoro's files; its speech is in tests/tasks/test_search.py, as loading its model takes long."""

from __future__ import annotations

import numpy as np
import pytest

from kvw.errors import KvwError
from kvw.speech.kokoro.synthesizer import KokoroSynthesizer


def test_a_missing_file_is_named_before_anything_is_loaded(tmp_path):
    with pytest.raises(KvwError, match=r"synth\.model.*no\.pth"):
        KokoroSynthesizer(model=str(tmp_path / "no.pth"), config=str(tmp_path / "no.json"))


def test_weights_of_a_language_without_a_letter_speak_by_espeaks_phonemes_in_every_language(
    kokoro_files, stripped, monkeypatch
):
    monkeypatch.setattr("kvw.speech.kokoro.synthesizer.load_model", lambda *_: stripped)  # which takes long
    weights, config = map(str, kokoro_files)
    german = KokoroSynthesizer(model=weights, config=config, g2p="de")
    script = german.script("Guten Morgen!")
    assert [segment.phonemes for segment in script.segments] == ["ɡˈuːtən mˈɔɾɡən!"]
    assert german.in_language("e").script("Guten Morgen!") == script
    assert "espeak-de" in german.identity
    (wave,) = german([np.zeros((510, 1, 256), np.float32)], script, 0)
    assert len(wave) > 0
    spanish = KokoroSynthesizer(model=weights, config=config, language="e")
    assert spanish.in_language("i").script("Ciao").segments[0].phonemes == "ʧˈao"
    assert (
        spanish.script("Ciao").segments[0].phonemes != "ʧˈao" and spanish.in_language("e").identity == spanish.identity
    )

"""Kokoro's phonemes without its model; its model is in test_run.py, as loading it takes long."""

from __future__ import annotations

import sys

import pytest

from kvw import hub
from kvw.speech import kokoro
from kvw.types import KvwError

TEXT = 'Butter, a well-known bottle (maybe) of "oil", it never imagined a bird.'


@pytest.fixture(autouse=True)
def without_spacys_model(monkeypatch):
    monkeypatch.setattr(kokoro.spacy.util, "is_package", lambda name: False)
    monkeypatch.setattr(hub, "reachable", lambda: False)


@pytest.mark.parametrize(
    ("language", "words"), [("a", ["bˈʌTəɹ", "bˈɑTᵊl", "bˈɜɹd"]), ("b", ["bˈʌtə", "bˈɒtᵊl", "bˈɜːd"])]
)
def test_english_without_spacys_model_has_misakis_symbols_and_one_warning(language, words, said):
    phonemes, name = kokoro.grapheme_to_phoneme(language)
    spoken = phonemes(TEXT)
    assert name == "espeak"
    assert all(word in spoken for word in words), spoken
    assert not set("ɚɾʔ^") & set(spoken)
    assert "ɹɹ" not in spoken
    assert language == "b" or "ː" not in spoken
    (warning,) = said
    assert "python -m spacy download en_core_web_sm" in warning


@pytest.mark.parametrize(("language", "text", "spoken"), [("e", "Buenos días", "bwˈenos ðˈias"), ("i", "Ciao", "ʧˈao")])
def test_other_languages_are_phonemised_as_kokoros_pipeline_does(language, text, spoken, said):
    phonemes, name = kokoro.grapheme_to_phoneme(language)
    assert (phonemes(text), name, said) == (spoken, "misaki", [])


@pytest.mark.parametrize(("language", "module"), [("j", "ja"), ("z", "zh")])
def test_a_language_whose_package_is_missing_names_it(language, module, monkeypatch):
    monkeypatch.setitem(sys.modules, f"misaki.{module}", None)
    with pytest.raises(KvwError, match=rf"pip install misaki\[{module}\]"):
        kokoro.grapheme_to_phoneme(language)


def test_a_missing_file_is_named_before_anything_is_loaded(tmp_path):
    with pytest.raises(KvwError, match=r"synth\.model.*no\.pth"):
        kokoro.load(tmp_path / "no.pth", tmp_path / "no.json")

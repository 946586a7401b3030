"""Every language of Kokoro: its texts, its phonemes, and long texts in pieces that lose nothing."""

from __future__ import annotations

import json
import unicodedata
from itertools import pairwise

import pytest

from kvw.cli.main import invoke
from kvw.config.arguments import quoted
from kvw.config.inputs import read_inputs
from kvw.config.invocation import compose
from kvw.config.paths import CONF
from kvw.config.schema import plain
from kvw.errors import KvwError
from kvw.speech.embedded import espeak
from kvw.speech.kokoro.g2p import LANG_CODES, grapheme_to_phoneme
from kvw.speech.segmentation import to_script

LETTERS = "abefhijpz"
SCRIPTS = {"h": "DEVANAGARI", "j": "HIRAGANA", "z": "CJK"}
PACKAGES = {"j": ("pyopenjtalk", "fugashi", "jaconv", "mojimoji"), "z": ("jieba", "pypinyin", "cn2an", "ordered_set")}
KEYS = ("heldout_texts", "other_texts")


def of(letter):
    """The texts of a language by their keys."""
    return plain(compose(f"language={letter}").cfg.language)


def every_text(language):
    return [language["target_text"], language["other_text"], *language["heldout_texts"], *language["other_texts"]]


def embedded(letter):
    return lambda text: espeak.utter(text, espeak.LANGUAGES[letter]).phonemes


def kokoros(letter):
    """Kokoro's own phonemes, where its packages for the language are here."""
    for package in PACKAGES.get(letter, ()):
        pytest.importorskip(package)
    try:
        return grapheme_to_phoneme(letter)[0]
    except KvwError as error:
        if "needs a dictionary" in str(error):
            pytest.skip(str(error))
        raise


def test_each_language_of_kokoro_has_texts_and_nothing_else_is_a_language():
    assert sorted(path.stem for path in (CONF / "language").glob("*.yaml")) == list(LETTERS)
    assert set(LANG_CODES) == set(espeak.LANGUAGES) == set(LETTERS)


@pytest.mark.parametrize("letter", LETTERS)
def test_a_language_has_a_target_text_another_and_five_of_each_kind_which_are_all_different(letter):
    language = of(letter)
    assert list(language) == ["letter", "target_text", "other_text", "heldout_texts", "other_texts"]
    assert (language["letter"], *(len(language[key]) for key in KEYS)) == (letter, 5, 5)
    found = every_text(language)
    assert len(set(found)) == len(found) == 12
    sentences = [part for text in found for part in text.replace("。", ".").split(".") if part.strip()]
    assert len(set(sentences)) == len(sentences), "no sentence is in two texts"
    for text in found:
        assert text == " ".join(unicodedata.normalize("NFC", text).split())
        if letter in SCRIPTS:
            assert SCRIPTS[letter] in {unicodedata.name(character, "").split()[0] for character in text}
        if letter in "jz":
            assert " " not in text, "a folded line leaves a space"


@pytest.mark.parametrize("letter", "efhijpz")
def test_languages_but_the_two_englishes_share_no_text(letter):
    english = every_text(of("a"))
    assert not set(every_text(of(letter))) & set(english)
    assert every_text(of("b")) == english


def check_lengths(language, phonemes, widest):
    """Phonemes grow from text to text, and reach from a few to hundreds; ``widest`` is how far from English's."""
    lengths = {key: [len(phonemes(text)) for text in language[key]] for key in KEYS}
    for key, english in zip(KEYS, ((23, 60, 126, 201, 319), (40, 100, 159, 227, 302)), strict=True):
        assert all(first < second for first, second in pairwise(lengths[key])), lengths
        for length, wanted in zip(lengths[key], english, strict=True):
            assert wanted / widest <= length <= wanted * widest, (lengths, english)
    assert 100 <= len(phonemes(language["target_text"])) <= 200 * widest / 1.5
    assert 150 <= len(phonemes(language["other_text"])) <= 240 * widest / 1.5
    assert max(lengths["heldout_texts"] + lengths["other_texts"]) <= 510


@pytest.mark.parametrize("letter", "abefhipz")
def test_the_embedded_synthesiser_speaks_texts_of_lengths_like_the_english_ones(letter):
    check_lengths(of(letter), embedded(letter), widest=1.9 if letter == "z" else 1.5)  # it spells tones out


def test_the_embedded_synthesiser_has_something_to_say_for_every_japanese_text_and_says_what_it_lacks(said):
    from kvw.speech.embedded.synthesizer import EmbeddedSynthesizer

    synthesizer = EmbeddedSynthesizer(language="j")
    assert [message for message in said if "reads kana alone" in message]
    lengths = [synthesizer.script(text).phonemes for text in of("j")["heldout_texts"]]
    assert lengths == sorted(lengths)


@pytest.mark.parametrize("letter", "efhijpz")
def test_kokoro_speaks_texts_of_lengths_like_the_english_ones(letter, shared):
    phonemes = kokoros(letter)
    check_lengths(of(letter), phonemes, widest=1.5)
    known = set(json.loads((shared / "kokoro_config.json").read_text("utf-8"))["vocab"])
    # what Kokoro does not know it leaves out: Spanish's opening marks
    assert {symbol for text in every_text(of(letter)) for symbol in phonemes(text)} - known <= {"¿", "¡"}


LONG = {
    "e": "«¿Dónde estás?» —dijo—. ¡Ven!",
    "f": "« Où es-tu ? » ; viens !",
    "h": "वह बोला: “कहाँ हो?” आओ॥ यहाँ।",
    "i": "«Dove sei?» disse… Vieni!",
    "p": "— Onde você está? — disse. “Venha!”",
    "j": "「どこですか？」『来てください！』……はい。",
    "z": "“你在哪儿？”《来吧！》……好；走：",
}


def long_text(letter):
    return ("" if letter in "jz" else " ").join([LONG[letter], *every_text(of(letter)), LONG[letter]])


# espeak speaks a kanji as words of its own: sentences of Japanese get longer than 510 phonemes
@pytest.mark.parametrize(
    ("letter", "speaker"), [*((one, kokoros) for one in LONG), *((one, embedded) for one in LONG if one != "j")]
)
def test_a_long_text_is_cut_at_ends_of_sentences_and_loses_no_word(letter, speaker):
    text, phonemes = long_text(letter), speaker(letter)
    script = to_script(text, phonemes)
    assert len(script.segments) > 3
    assert all(1 <= len(segment.phonemes) <= 510 for segment in script.segments)
    assert "".join("".join(segment.text.split()) for segment in script.segments) == "".join(text.split())
    for segment in script.segments[:-1]:
        assert segment.text.rstrip("\"'”’»)]」』）》】")[-1] in ".!?…:;।॥。！？：；", segment.text[-20:]
    sentences = [*every_text(of(letter)), LONG[letter], LONG[letter]]
    assert script.phonemes == pytest.approx(sum(to_script(one, phonemes).phonemes for one in sentences), rel=0.02)


@pytest.mark.parametrize(
    ("letter", "clause", "mark"),
    [("e", "la barca vieja, ", ","), ("j", "ふねはちいさく、", "、"), ("z", "船越来越小，", "，")],
)
def test_a_sentence_without_an_end_is_cut_between_clauses(letter, clause, mark):
    script = to_script(clause * 90, embedded(letter))
    assert len(script.segments) > 1
    assert all(segment.text.endswith(mark) for segment in script.segments)
    assert "".join(segment.text for segment in script.segments).count(clause.strip()) == 90


def test_marks_that_are_left_over_from_a_cut_are_not_read_out():
    script = to_script("word " * 200 + "\n。\n」\n", embedded("a"))
    assert all(any(character.isalnum() for character in segment.text) for segment in script.segments)


def composed(*overrides):
    return compose(*quoted(list(overrides))).cfg


def test_a_search_takes_its_texts_from_the_language():
    inputs, language = read_inputs(composed("language=e")), of("e")
    assert inputs.target_text == language["target_text"], "the demo's words are English"
    assert inputs.other_text == language["other_text"]
    assert (inputs.heldout_texts, inputs.other_texts) == (language["heldout_texts"], language["other_texts"])
    assert not inputs.notes
    demo = read_inputs(composed("language=b")).target_text
    assert demo == read_inputs(composed()).target_text != of("b")["target_text"]
    assert read_inputs(composed("language=z", "target_text=你好")).target_text == "你好"


@pytest.mark.long
@pytest.mark.parametrize("letter", "ez")
def test_a_whole_search_runs_in_another_language(letter, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.txt").write_text(of(letter)["heldout_texts"][1], "utf-8")
    arguments = ["synth=embedded", "step_limit=2", "population_limit=2", "heldout_texts=one.txt", "report=false"]
    assert invoke([*arguments, f"language={letter}"]) == 0
    (folder,) = (path.parent for path in tmp_path.glob("outputs/*/*/best.pt"))
    facts = json.loads((folder / "best.json").read_text("utf-8"))
    assert facts["language"] == letter
    assert facts["synthesiser_identity"].startswith(f"embedded-{letter}-")
    assert of(letter)["target_text"][:20] in (folder / "config.yaml").read_text("utf-8").replace("\n", "")


def test_a_letter_that_kokoro_does_not_have_is_one_line():
    with pytest.raises(KvwError, match=r"language\.letter: expected one of a, b, .*; got 'q'"):
        grapheme_to_phoneme("q")

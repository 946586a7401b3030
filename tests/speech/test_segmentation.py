"""Texts are cut into segments that lose nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvw.speech.segmentation import LONGEST_SENTENCE, opening, sentences, to_script
from tests.support.languages import embedded, every_text, kokoros, of

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


@given(
    st.lists(st.sampled_from(["One two three.", "four five,", "six", "你好。", "! "]), max_size=30), st.integers(1, 120)
)
def test_the_opening_of_a_text_is_its_beginning_and_as_long_as_it_may_be(parts, most):
    text = " ".join(parts)
    begun = opening(text, most)
    assert len(begun) <= most and text.lstrip().startswith(begun.lstrip())
    if len(text) > most and text.startswith("One two three. ") and 15 <= most <= 30:
        assert begun.endswith((".", "。", "!")), "whole sentences where they use half of it"
    if len(text) > most and " " in text[most // 2 + 1 : most]:
        assert len(begun) >= most / 2 - 2  # spaces at its end are left out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "The ships are at sea tonight. A cold wind came over it.",
            ["The ships are at sea tonight.", "A cold wind came over it."],
        ),
        ("No. It is not so. I have never been there.", ["No. It is not so. I have never been there."]),
        ("Yesterday I met my old friend Dr. J. Smith here.", ["Yesterday I met my old friend Dr. J. Smith here."]),
        ("我们昨天在海边看见了一只很大很大的鸟,它飞过了整个港口。后来它飞走了。", None),
        ("", []),
    ],
)
def test_sentences_by_example(text, expected):
    assert list(sentences(text)) == (expected or [part + "。" for part in text.split("。")[:-1]])


@given(st.lists(st.sampled_from(["a", "word", " ", ". ", ", ", "! ", "x" * 400, "。", "é"]), max_size=300).map("".join))
def test_sentences_lose_nothing_and_none_is_long(text):
    parts = list(sentences(text))
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert all(0 < len(part) <= LONGEST_SENTENCE for part in parts)


def test_a_text_is_not_cut_within_the_markup_of_how_a_word_is_said():
    link = "[Dr. No](/dˌɑktəɹ nˈO. nˈO/)"
    text = " ".join(["word"] * 100 + [link] + ["word"] * 100)
    script = to_script(text, lambda piece: piece)
    assert len(script.segments) > 1
    assert any(link in segment.text for segment in script.segments)

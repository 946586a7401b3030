"""Counting the words that Whisper hears wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvw.transcription.words import error_rate, heard_units, word_errors


@pytest.mark.parametrize(
    ("typed", "heard"),
    [
        ("It costs $3,497 at 5 p.m.", "it costs three thousand, four hundred ninety-seven dollars at 5 PM"),
        ("The 21st of May: 1.5 meters, 30%!", "The twenty first of May one point five meters thirty percent"),
        ("Don’t say ‘no’, U.S.A.", "don't say no, USA"),
        ("Le café", "le cafe\u0301"),
    ],
)
def test_what_sounds_alike_is_no_error_however_it_is_written(typed, heard):
    assert heard_units(typed, "a") == heard_units(heard, "a")
    assert error_rate([typed], [heard], "a") == 0


@pytest.mark.parametrize(
    ("language", "text", "units"),
    [
        ("f", "J'ai 21 ans, l'été !", ["j'ai", "vingt", "et", "un", "ans", "l'été"]),
        ("e", "¿Son 2?", ["son", "dos"]),
        ("i", "3 navi", ["tre", "navi"]),
        ("p", "3 navios", ["três", "navios"]),
        ("h", "मैं 2 हूँ।", ["मैं", "2", "हूँ"]),
        ("z", "你好，世界。", ["你", "好", "世", "界"]),
        ("j", "今日 は", ["今", "日", "は"]),
    ],
)
def test_every_language_has_words_or_else_characters(language, text, units):
    assert heard_units(text, language) == units


WORDS = st.lists(st.sampled_from(["sea", "the", "ship", "ships", "at"]), max_size=5)


def fewest(expected, heard):
    """The definition, which tries everything."""
    if not expected or not heard:
        return len(expected) + len(heard)
    swapped = fewest(expected[1:], heard[1:]) + (expected[0] != heard[0])
    return min(swapped, 1 + fewest(expected[1:], heard), 1 + fewest(expected, heard[1:]))


@given(WORDS, WORDS)
def test_errors_are_the_fewest_changes(expected, heard):
    assert word_errors(expected, heard) == fewest(expected, heard)


def test_the_rate_is_that_of_all_texts_together():
    assert error_rate(["One two three.", "Four!"], ["one too three", ""], "a") == 2 / 4
    assert error_rate(["No."], ["yes it is so"], "a") == 4


def test_of_a_word_that_is_given_phonemes_the_word_is_heard():
    assert heard_units("It is [Kokoro](/kˈOkəɹO/), [here](https://example.org).", "a") == ["it", "is", "kokoro", "here"]

"""Texts that look alike are one text to every synthesiser."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvw.runtime import hub
from kvw.speech.normalisation import normalised
from kvw.speech.segmentation import to_script
from tests.support.languages import embedded, kokoros

ACCENTED = {
    "a": "The café's résumé was naïve.",
    "b": "The café's résumé was naïve.",
    "e": "El niño comió después en Málaga.",
    "f": "L'été, où êtes-vous, garçon ?",
    "h": "ल\u095cका प\u095dना \u095bरूर सीखेगा।",
    "i": "Perché la città è così lontana?",
    "j": "ガギグはがぎぐ、パピプはぱぴぷ。",
    "p": "A ação não é só do avô.",
    "z": "他说这是 café。",
}


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("e\u0301te\u200b\u0301", "été"),
        ("𝐇𝐞𝐥𝐥𝐨 ⓦⓞⓡⓛⓓ, ｆｉｖｅ １２ ﬁsh", "Hello world, five 12 fish"),
        ("ｶﾞｷﾞ ﾎﾟﾝ｡", "ガギ ポン。"),
        ("½ x² ™ ㎏ “oil” 你好，世界！", "½ x² ™ ㎏ “oil” 你好，世界！"),
        ("\ufeffso\u00adft ze\u200bro wi\u200dd\u200ce \u2066left\u2069 ❤\ufe0f", "soft zero wide left ❤"),
        ("क्\u200dष क्\u200cष \u200dक", "क्\u200dष क्\u200cष क"),
    ],
)
def test_styles_and_characters_of_no_width_go_and_meanings_stay(text, plain):
    assert normalised(text) == plain


@given(st.text() | st.text(alphabet="ek\u0301\u200b\u200d\u093c\u094dकﾞｶÅ"))
def test_a_text_has_one_spelling_however_it_is_composed(text):
    assert normalised(unicodedata.normalize("NFD", text)) == normalised(text) == normalised(normalised(text))


@pytest.mark.parametrize("synthesiser", [embedded, kokoros])
@pytest.mark.parametrize("letter", ACCENTED)
def test_a_text_of_decomposed_letters_is_the_same_script(letter, synthesiser, monkeypatch):
    monkeypatch.setattr(hub, "reachable", lambda: False)
    phonemes = synthesiser(letter)
    text = ACCENTED[letter]
    decomposed = unicodedata.normalize("NFD", text)
    assert decomposed != text
    assert to_script(decomposed, phonemes) == to_script(text, phonemes)

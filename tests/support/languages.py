"""The texts of each language, and both synthesisers' phonemes."""

from __future__ import annotations

import pytest

from kvw.config.invocation import compose
from kvw.config.schema import plain
from kvw.errors import KvwError
from kvw.speech.embedded import espeak
from kvw.speech.kokoro.g2p import grapheme_to_phoneme

PACKAGES = {"j": ("pyopenjtalk", "fugashi", "jaconv", "mojimoji"), "z": ("jieba", "pypinyin", "cn2an", "ordered_set")}


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

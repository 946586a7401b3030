"""misaki's English, with spaCy's model and without it.

misaki looks words up in a dictionary by their part of speech, which spaCy's model tells; espeak says the words that the
dictionary lacks, one by one. Without that model, a word is what it is most of the time.
"""

from __future__ import annotations

from typing import Any

import spacy
from misaki import en
from misaki.espeak import EspeakFallback
from phonemizer.backend import EspeakBackend

from kvw.speech.kokoro.written_out import written_out
from kvw.text import LINK

_MARKS = {"(": "-LRB-", "[": "-LRB-", ")": "-RRB-", "]": "-RRB-", "“": "``", "”": "''", ".": ".", "!": ".", "?": "."}
_MARKS |= {",": ",", **dict.fromkeys((";", ":", "…", "...", "—", "–", "-", "--"), ":")}

# without a tag misaki says the letter a, and live as of a concert
_USUAL = {"a": "DT", "the": "DT", "i": "PRP", "in": "IN", "to": "TO", "used": "VBD"}
_USUAL |= dict.fromkeys(("live", "lived", "living"), "VB")


class Espeak(EspeakFallback):  # type: ignore[misc] # misaki ships no types
    """misaki's espeak for English, without the marks that espeak sets around words of another language."""

    def __init__(self, british: bool) -> None:
        super().__init__(british)
        self.backend = EspeakBackend(
            f"en-{'gb' if british else 'us'}",
            preserve_punctuation=True,
            with_stress=True,
            tie="^",
            language_switch="remove-flags",  # the one setting that misaki leaves out
        )


class English(en.G2P):  # type: ignore[misc] # misaki ships no types
    """misaki's English as KPipeline makes it, with spaCy's model from the package ``model``, None for no model."""

    def __init__(self, british: bool, model: str | None) -> None:  # misaki's own knows one name of a package
        self.version, self.british, self.unk = None, british, ""
        self.nlp = spacy.load(model, enable=["tok2vec", "tagger"]) if model else spacy.blank("en")
        self.lexicon = en.Lexicon(british)
        self.fallback = Espeak(british)


class UntaggedEnglish(English):
    """misaki's English without spaCy's model: with its dictionary, and rules for the tags that matter most."""

    def __call__(self, text: str, preprocess: Any = True) -> tuple[str, Any]:
        """The phonemes of a text, of which numbers and signs are written out first: misaki tells them by their tags."""
        words, end = "", 0
        for link in LINK.finditer(text):
            words += self._written_out(text[end : link.start()]) + link[0]
            end = link.end()
        words += self._written_out(text[end:])
        phonemes, tokens = super().__call__(words, preprocess)
        return phonemes, tokens

    def _written_out(self, text: str) -> str:
        """``text`` in words, with the spaces around it that it has."""
        before, after = text[:1].isspace(), text[-1:].isspace()
        words = written_out(text, british=self.british)
        return f"{' ' * before}{words}{' ' * after}" if words else " " * before

    def tokenize(self, text: str, tokens: Any, features: Any) -> list[Any]:
        """misaki's tokens, with tags of Penn's Treebank for punctuation and a few words, and none for others."""
        found: list[Any] = super().tokenize(text, tokens, features)
        opened = False
        space = " "
        for token in found:
            token.tag = _MARKS.get(token.text) or _USUAL.get(token.text.lower(), "")
            if token.text in ("-", "–") and not (space or token.whitespace):
                token.tag = "HYPH"  # within a word: no pause
            elif token.text == '"':
                token.tag = "''" if opened else "``"
                opened = not opened
            space = token.whitespace
        return found

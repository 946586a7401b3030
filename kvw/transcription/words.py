"""Counts the words of a text that a transcript has wrong, in the way that both are heard and not spelled.

Read :func:`word_errors` first.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from kvw.text import without_links

CURRENCIES = {"$": "dollars", "£": "pounds", "€": "euros"}
"""Signs before an amount, and the English words that are heard behind it."""

_NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"


def heard_units(text: str, language: str) -> list[str]:
    """What is heard of a text: its words in lower case, without punctuation, numbers written out.

    Of a language that is written without spaces the units are characters.

    Args:
        text: that somebody typed, or that Whisper heard.
        language: Kokoro's letter; numbers are written out in the languages that num2words knows.
    """
    text = unicodedata.normalize("NFKC", without_links(text)).casefold().replace("’", "'")
    if language in "ab":
        text = re.sub(rf"([$£€])\s?({_NUMBER})", lambda found: f"{found[2]} {CURRENCIES[found[1]]}", text)
        text = re.sub(r"(?<=\d)\s?%", " percent", text)
        text = re.sub(r"\b([^\W\d])\.(?=[^\W\d]\b)", r"\1", text)  # p.m. is heard as pm
        text = re.sub(rf"({_NUMBER})(st|nd|rd|th)?\b", lambda found: spelled(found[1], bool(found[2]), language), text)
    elif language not in "jz":
        text = re.sub(r"\d+", lambda found: spelled(found[0], False, language), text)
    # letters, numbers and marks: a vowel of Hindi is a mark, which is none of re's \w
    heard = "".join(sign if sign == "'" or unicodedata.category(sign)[0] in "LNM" else " " for sign in text)
    words = [word for part in heard.split() if (word := part.strip("'"))]
    return list("".join(words)) if language in "jz" else words


@lru_cache(maxsize=1000)
def spelled(number: str, ordinal: bool, language: str) -> str:
    """A number in words, between spaces; as it is where num2words does not know the language.

    Args:
        number: such as ``3,497`` or ``1.5``.
        ordinal: whether it is ``first`` and not ``one``.
        language: Kokoro's letter.
    """
    from num2words import num2words

    names = {"a": "en", "b": "en", "e": "es", "f": "fr", "i": "it", "p": "pt_BR"}
    digits = number.replace(",", "")
    if language not in names or len(digits) > 30 or (ordinal and "." in digits):
        return f" {number} "
    words = num2words(digits, lang=names[language], to="ordinal" if ordinal else "cardinal")
    return f" {words.replace(' and ', ' ') if language in 'ab' else words} "


def word_errors(expected: Sequence[str], heard: Sequence[str]) -> int:
    """The fewest words that have to be replaced, left out or added to make one sequence the other (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(expected, start=1):
        before, row[0] = row[0], number
        for place, other in enumerate(heard, start=1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (word != other))
    return row[-1]


def error_rate(texts: Sequence[str], transcripts: Sequence[str], language: str) -> float:
    """The errors per word of all texts together; above 1 where more words are heard than the texts have.

    Args:
        texts: what was to be said, at least one with a word.
        transcripts: what was heard of each.
        language: Kokoro's letter.
    """
    expected = [heard_units(text, language) for text in texts]
    heard = [heard_units(text, language) for text in transcripts]
    errors = sum(word_errors(*pair) for pair in zip(expected, heard, strict=True))
    return errors / max(1, sum(map(len, expected)))

"""Cuts a text into segments of at most 510 phonemes: at ends of sentences, else of clauses, else of words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from kvw.errors import KvwError
from kvw.speech.normalisation import normalised
from kvw.speech.synthesizer import Script, Segment
from kvw.text import LINK
from kvw.types import MAX_PHONEMES

_MAX_CHARACTERS = 1000  # a longer text has over 510 phonemes for sure, and is cut before it is phonemised
_CLOSING = "\"'”’»)\\]」』）》】"

# a danda ends a Hindi sentence; a full-width mark includes its space
_SENTENCE_END = re.compile(rf"[.!?…:;।॥]+[{_CLOSING}]*\s+|[。！？：；…]+[{_CLOSING}]*|\n")
_CLAUSE_END = re.compile(rf",[{_CLOSING}]*\s+|[，、]")
_WORD_END = re.compile(r"\s+")

SHORTEST_SENTENCE = 25
"""Characters of a sentence that is spoken by itself: a shorter one sounds better with the next."""

LONGEST_SENTENCE = 300
"""Characters of a sentence that is spoken at once: a longer one is cut, so that nobody waits for all of it."""

_ABBREVIATED = re.compile(r"(?:^|[\s(])(?:[^\W\d_]|Mrs?|Ms|Dr|St|Prof|Sr|Jr|vs|No|[^\W\d_]\.[^\W\d_])\.\s*\Z")


class Unpronounceable(KvwError):
    """Nothing in a text can be pronounced."""


def to_script(text: str, phonemes: Callable[[str], str]) -> Script:
    """Phonemises ``text`` in segments of 1 to 510 phonemes, cut at ends of sentences, else of clauses, else of words.

    Args:
        text: of any length; :func:`~kvw.speech.normalisation.normalised` before it is phonemised.
        phonemes: gives the phonemes of a piece of the text; empty where nothing can be pronounced.

    Raises:
        Unpronounceable: nothing in the text can be pronounced.
    """
    text = normalised(text)
    segments = tuple(_segments(text, phonemes))
    if not segments:
        raise Unpronounceable(f"text: expected words that can be pronounced; got {text[:40]!r}; give at least one word")
    return Script(text, segments)


def _segments(text: str, phonemes: Callable[[str], str]) -> Iterator[Segment]:
    # a synthesiser might read a lone emoji or "!?" out by its name
    if not any(character.isalnum() for character in text):
        return
    symbols = phonemes(text) if len(text) <= _MAX_CHARACTERS else None
    if symbols is None or len(symbols) > MAX_PHONEMES:
        cut = _cut(text)
        yield from _segments(text[:cut], phonemes)
        yield from _segments(text[cut:], phonemes)
    elif symbols:
        yield Segment(text.strip(), symbols)


def _cut(text: str) -> int:
    """The index at which to cut ``text``: the sentence, clause or word end nearest to the middle, or the middle."""
    middle = len(text) // 2
    for boundary in (_SENTENCE_END, _CLAUSE_END, _WORD_END):
        if ends := [end for end in _ends(boundary, text) if end < len(text)]:
            return min(ends, key=lambda end: abs(end - middle))
    return middle


def sentences(text: str) -> Iterator[str]:
    """The sentences of a paragraph, in order, to be spoken one after the other.

    A sentence below :data:`SHORTEST_SENTENCE` comes with the next one, and one above :data:`LONGEST_SENTENCE` in
    pieces, cut at clauses or words. An initial or a title, as in "Dr. J. Smith", ends no sentence.
    """
    start = 0
    for end in _ends(_SENTENCE_END, text):
        piece = text[start:end]
        if len(piece.strip()) >= SHORTEST_SENTENCE and not _ABBREVIATED.search(piece):
            yield from _bounded(piece)
            start = end
    yield from _bounded(text[start:])


def _bounded(sentence: str) -> Iterator[str]:
    rest = sentence.strip()
    while rest:
        piece = opening(rest, LONGEST_SENTENCE)
        yield piece
        rest = rest[len(piece) :].strip()


def _ends(boundary: re.Pattern[str], text: str) -> list[int]:
    """Where ``boundary`` ends in ``text``, but for places within the markup for how a word is said."""
    links = [match.span() for match in LINK.finditer(text)]
    ends = (match.end() for match in boundary.finditer(text))
    return [end for end in ends if not any(start < end < stop for start, stop in links)]


def opening(text: str, most: int) -> str:
    """The first sentences of ``text`` that fit into ``most`` characters.

    Where sentences would use less than half of ``most``, the first clauses that fit, else the first words.
    """
    if len(text) <= most:
        return text
    for boundary in (_SENTENCE_END, _CLAUSE_END, _WORD_END):
        if ends := [end for end in _ends(boundary, text) if most / 2 <= end <= most]:
            return text[: ends[-1]].strip()
    return text[:most]

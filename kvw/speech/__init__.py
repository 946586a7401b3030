"""Speech: what a synthesiser is, and the script that it speaks.

:mod:`kvw.speech.kokoro` is the real thing; :mod:`kvw.speech.embedded` needs no download and has voices of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from kvw.types import MAX_PHONEMES, KvwError, Voice, Wave

_MAX_CHARACTERS = 1000  # longer texts are cut before they are phonemised: they surely have over 510 phonemes
_CLOSING = "\"'”’»)\\]」』）》】"
# a danda ends a Hindi sentence; a full-width mark has its space within itself
_SENTENCE_END = re.compile(rf"[.!?…:;।॥]+[{_CLOSING}]*\s+|[。！？：；…]+[{_CLOSING}]*|\n")
_CLAUSE_END = re.compile(rf",[{_CLOSING}]*\s+|[，、]")
_WORD_END = re.compile(r"\s+")


@dataclass(frozen=True)
class Segment:
    """A stretch of text that is spoken in one go.

    Attributes:
        text: the words.
        phonemes: what is pronounced, 1 to 510 symbols; its length picks the row of the voice that is heard.
    """

    text: str
    phonemes: str

    @property
    def row(self) -> int:
        """Index in [0, 509] of the voice's row that this segment is heard through."""
        return len(self.phonemes) - 1


@dataclass(frozen=True)
class Script:
    """A text, phonemised once, as the segments to speak one after the other (never none)."""

    text: str
    segments: tuple[Segment, ...]

    @property
    def phonemes(self) -> int:
        """Phonemes in the whole text."""
        return sum(len(segment.phonemes) for segment in self.segments)


class Synthesizer(Protocol):
    """Speaks scripts in voices: a pure function of (voice, script, seed) that leaves every random state as it was."""

    name: str
    """``kokoro`` or ``embedded``: which voices it understands. Every artefact carries it."""

    identity: str
    """Name and fingerprint of whatever the sound depends on (weights, tables): equal identities, equal audio."""

    batch: int
    """Voices that it speaks at once: no call is faster for having more. 1 on a CPU."""

    def script(self, text: str) -> Script:
        """Phonemises ``text``.

        Raises:
            KvwError: the text has nothing that can be pronounced.
        """

    def __call__(self, voices: Sequence[Voice], script: Script, seed: int, speed: float = 1.0) -> list[Wave]:
        """Speaks ``script`` in each voice, one wave a voice, in order, with one ``seed``, at ``speed`` in [0.5, 2].

        Waves are returned as they come: empty, silent or non-finite ones are for the fitness to name.
        """


def to_script(text: str, phonemes: Callable[[str], str]) -> Script:
    """Phonemises ``text`` in segments of 1 to 510 phonemes, cut at ends of sentences, else of clauses, else of words.

    Args:
        text: of any length.
        phonemes: what is pronounced of a piece of it; empty for nothing.

    Raises:
        KvwError: nothing in the text can be pronounced.
    """
    segments = tuple(_segments(text, phonemes))
    if not segments:
        raise KvwError(f"text: expected words that can be pronounced; got {text[:40]!r}; give at least one word")
    return Script(text, segments)


def _segments(text: str, phonemes: Callable[[str], str]) -> Iterator[Segment]:
    # a synthesiser might read out a lone emoji or "!?" by name, which nobody means by it
    if not any(character.isalnum() for character in text):
        return
    spoken = phonemes(text) if len(text) <= _MAX_CHARACTERS else None
    if spoken is None or len(spoken) > MAX_PHONEMES:
        cut = _cut(text)
        yield from _segments(text[:cut], phonemes)
        yield from _segments(text[cut:], phonemes)
    elif spoken:
        yield Segment(text.strip(), spoken)


def _cut(text: str) -> int:
    """Where to cut ``text``: at the sentence end nearest to its middle, else a clause's, else a word's; else there."""
    middle = len(text) // 2
    for boundary in (_SENTENCE_END, _CLAUSE_END, _WORD_END):
        ends = [match.end() for match in boundary.finditer(text) if match.end() < len(text)]
        if ends:
            return min(ends, key=lambda end: abs(end - middle))
    return middle


def opening(text: str, most: int) -> str:
    """The first sentences of ``text``, of ``most`` characters together.

    Where they leave more than half of that unused, the first clauses, else the first words.
    """
    if len(text) <= most:
        return text
    for boundary in (_SENTENCE_END, _CLAUSE_END, _WORD_END):
        ends = [match.end() for match in boundary.finditer(text) if most / 2 <= match.end() <= most]
        if ends:
            return text[: ends[-1]].strip()
    return text[:most]

"""The contract of a synthesiser, and the script that it speaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kvw.types import Voice, Wave


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

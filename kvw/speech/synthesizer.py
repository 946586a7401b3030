"""The contract of a synthesiser, and the script that it speaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kvw.types import Voice, Wave


@dataclass(frozen=True)
class Segment:
    """A stretch of text that is spoken at once.

    Attributes:
        text: the words.
        phonemes: 1 to 510 symbols; their number picks the row of the voice that is heard.
    """

    text: str
    phonemes: str

    @property
    def row(self) -> int:
        """Index in [0, 509] of the voice's row that this segment is heard through."""
        return len(self.phonemes) - 1


@dataclass(frozen=True)
class Script:
    """A text, phonemised, as one or more segments to speak in order."""

    text: str
    segments: tuple[Segment, ...]

    @property
    def phonemes(self) -> int:
        """Phonemes in the whole text."""
        return sum(len(segment.phonemes) for segment in self.segments)


class Synthesizer(Protocol):
    """Speaks scripts in voices: a pure function of (voice, script, seed, speed) that changes no random state.

    One whose speech can be differentiated also has :meth:`vjp`.
    """

    name: str
    """``kokoro`` or ``embedded``: whose voices can be spoken. Every artefact carries this name."""

    identity: str
    """Name and fingerprint of all that the sound depends on (weights, tables): equal identities mean equal audio."""

    model: str
    """What learnt the voices, such as ``kokoro-v1.0``: rounded weights, phonemisers and languages are one model."""

    batch: int
    """Voices that are spoken at once: more voices in a call make it no faster a voice. 1 on a CPU."""

    def in_language(self, language: str) -> Synthesizer:
        """The same for texts in another language, by Kokoro's letter.

        Raises:
            KvwError: there is no such language, or a package for it is missing.
        """

    def script(self, text: str) -> Script:
        """Phonemises ``text``.

        Raises:
            KvwError: nothing in the text can be pronounced.
        """

    def __call__(self, voices: Sequence[Voice], script: Script, seed: int, speed: float = 1.0) -> list[Wave]:
        """Speaks ``script`` in each voice: one wave a voice, in order, all with ``seed``, at ``speed`` in [0.5, 2].

        Waves are not checked: empty, silent or non-finite waves are failures that the fitness names.
        """

    def vjp(self, voice: Voice, script: Script, seed: int) -> tuple[Wave, Callable[[Wave], NDArray[np.float32]]]:
        """Speaks ``script`` in one voice, and can differentiate by an offset that moves all of its rows together.

        The names are those of ``jax.vjp``: of a function and its vector-Jacobian product.

        Returns:
            The wave, which may differ from that of a call by rounding and by what that moves; and the function that
            brings a cotangent, of the wave's shape, back to the gradient by the offset, float32 ``(256,)``.
        """

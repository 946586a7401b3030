"""What was measured of a voice speaking a text, so that it need not be spoken again.

Scores are no part of it: they are computed from measurements, whatever the target, the weights and the gates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kvw.speech import Script
from kvw.types import Embedding, Voice


@dataclass(frozen=True)
class Utterance:
    """The measurements of one voice speaking one text.

    Attributes:
        seconds: of audio.
        status: empty for sound audio, else the name of a failure, such as ``silent``.
        detail: what went wrong, for a failure.
        embedding: of the speaker; None for a failure.
        statistics: acoustic ones, float64 ``(n,)`` (see :mod:`kvw.features`); None where nobody has measured them.
    """

    seconds: float
    status: str = ""
    detail: str = ""
    embedding: Embedding | None = None
    statistics: NDArray[np.float64] | None = None


class Memory(Protocol):
    """Utterances that were measured before, by :func:`key`."""

    def recall(self, key: str) -> Utterance | None:
        """The utterance, None where it is not known."""

    def keep(self, utterances: Mapping[str, Utterance]) -> None:
        """Takes utterances in, all of them or none; one that is known by then has statistics now."""


class Notes(dict[str, Utterance]):
    """A memory for as long as it lives."""

    def recall(self, key: str) -> Utterance | None:
        """As :class:`Memory`."""
        return self.get(key)

    def keep(self, utterances: Mapping[str, Utterance]) -> None:
        """As :class:`Memory`."""
        self.update(utterances)


def key(voice: Voice, script: Script, seed: int, speaker: str) -> str:
    """What an utterance depends on, as 64 hex digits: equal keys, equal audio.

    Args:
        voice: of which the rows that the script is heard through count, bit for bit.
        script: what is pronounced.
        seed: of the noise.
        speaker: the synthesiser's identity and the kind of device that it runs on.
    """
    digest = hashlib.sha256(f"{speaker}\n{seed}\n{[(one.text, one.phonemes) for one in script.segments]}".encode())
    for segment in script.segments:
        digest.update(np.ascontiguousarray(voice[segment.row, 0], dtype="<f4").tobytes())
    return digest.hexdigest()

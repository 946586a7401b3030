"""What was measured of a voice speaking a text, so that it need not be spoken again.

Scores are no part of it: they are computed from measurements, whatever the target, the weights and the gates.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kvw.evaluation import Pullback, Utterance
from kvw.speech.synthesizer import Script

GRADIENT_VERSION = 1
"""Raised by every change after which a gradient differs by more than rounding, and by no other change."""


class DictCache(dict[str, Utterance]):
    """A :class:`kvw.evaluation.UtteranceCache` in memory."""

    def put(self, utterances: Mapping[str, Utterance]) -> None:
        """As :class:`kvw.evaluation.UtteranceCache`."""
        self.update(utterances)


def utterance_key(rows: Sequence[NDArray[np.float32]], script: Script, seed: int, identity_on_device: str) -> str:
    """What an utterance depends on, as 64 hex digits: equal keys, equal audio.

    Args:
        rows: of the voice, ``(256,)`` each, through which the script's segments are heard: they count bit for bit.
        script: what is pronounced.
        seed: of the search; that of the noise is made of it and the text, and the same for every voice.
        identity_on_device: the synthesiser's identity and the kind of device that it runs on.
    """
    spoken = [(segment.text, segment.phonemes) for segment in script.segments]
    digest = hashlib.sha256(f"{identity_on_device}\n{noise_seed(seed, script)}\n{spoken}".encode())
    for row in rows:
        digest.update(np.ascontiguousarray(row, dtype="<f4").tobytes())
    return digest.hexdigest()


def gradient_key(
    rows: Sequence[NDArray[np.float32]], script: Script, pullback: Pullback, identity_on_device: str
) -> str:
    """As :func:`utterance_key`, of a gradient: another renderer makes its wave, so that no utterance has its key."""
    digest = hashlib.sha256(f"gradient {GRADIENT_VERSION} ".encode())
    digest.update(utterance_key(rows, script, pullback.seed, identity_on_device).encode())
    digest.update(np.array(pullback.cotangent, dtype="<f8").tobytes())
    return digest.hexdigest()


def noise_seed(seed: int, script: Script) -> int:
    """The seed of the synthesiser's noise under a script, of a search's seed."""
    return seed ^ zlib.crc32(script.text.encode())

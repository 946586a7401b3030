"""What was measured of a voice speaking a text, so that it need not be spoken again.

Scores are no part of it: they are computed from measurements, whatever the target, the weights and the gates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from kvw.evaluation import Utterance
from kvw.speech.synthesizer import Script
from kvw.types import Voice


class DictCache(dict[str, Utterance]):
    """A :class:`kvw.evaluation.UtteranceCache` in memory."""

    def put(self, utterances: Mapping[str, Utterance]) -> None:
        """As :class:`kvw.evaluation.UtteranceCache`."""
        self.update(utterances)


def utterance_key(voice: Voice, script: Script, seed: int, identity_on_device: str) -> str:
    """What an utterance depends on, as 64 hex digits: equal keys, equal audio.

    Args:
        voice: of which the rows that the script is heard through count, bit for bit.
        script: what is pronounced.
        seed: of the noise.
        identity_on_device: the synthesiser's identity and the kind of device that it runs on.
    """
    spoken = [(segment.text, segment.phonemes) for segment in script.segments]
    digest = hashlib.sha256(f"{identity_on_device}\n{seed}\n{spoken}".encode())
    for segment in script.segments:
        digest.update(np.ascontiguousarray(voice[segment.row, 0], dtype="<f4").tobytes())
    return digest.hexdigest()

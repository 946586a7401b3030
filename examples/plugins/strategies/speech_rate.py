"""A judge of how fast a voice speaks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kvw import KvwError
from kvw.types import SAMPLE_RATE, Wave


class SpeechRate:
    """Characters of the text in a second of speech, the mean over recordings."""

    heading = "Characters a second"
    decimals = 1

    def __call__(
        self, waves: Sequence[Wave], texts: Sequence[str] | None, speaker: Sequence[Wave], language: str
    ) -> float:
        """The rate, above 0.

        Raises:
            KvwError: the words are not known.
        """
        if texts is None:
            raise KvwError("nobody typed what the recording says")
        rates = [len(text) / (len(wave) / SAMPLE_RATE) for text, wave in zip(texts, waves, strict=True)]
        return float(np.mean(rates))

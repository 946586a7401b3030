"""A prior on voices: how far a voice is from the bank, without a word spoken.

Two distances, each in units of the bank's own, because each misses what the other sees: a walk that tears the rows of
a voice apart leaves it near the bank's mean (0.35 after ten accepted steps, where stock voices have 1), but its rows
are 30 times as far from their neighbours; an offset shared by all rows is the reverse.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kvw.spaces.base import VOICE_STD, spread
from kvw.types import Voice

ROW_STEP = 0.0036
"""Standard deviation of the difference between neighbouring rows in Kokoro's 54 stock voices."""


class BankDistance:
    """What has to be known of a bank to say how far a voice is from it; a megabyte, and picklable.

    Args:
        bank: stock voices, at least one.
    """

    def __init__(self, bank: Sequence[Voice]) -> None:
        voices = np.asarray(bank, dtype=np.float64)
        self._mean = voices.mean(axis=0).astype(np.float32)
        # of few voices some numbers agree by chance, and nothing may be infinitely far; of Kokoro's, none is that near
        self._std = np.maximum(spread(list(voices)), VOICE_STD / 2).astype(np.float32)
        steps = np.sqrt(np.square(np.diff(voices, axis=1)).mean(axis=(0, 1)))
        self._step = np.maximum(steps, ROW_STEP / 10)

    def __call__(self, voice: Voice) -> float:
        """Distance of a finite voice from the bank: about 1 for a stock voice, less for a mean of several.

        It is the larger of two root mean squares: over all numbers, of the difference from the bank's mean, in its
        standard deviations; over all pairs of neighbouring rows, of their difference, in the bank's for that column.
        """
        numbers = (voice.astype(np.float64) - self._mean) / self._std
        steps = np.diff(voice.astype(np.float64), axis=0) / self._step
        return float(np.sqrt(max(np.square(numbers).mean(), np.square(steps).mean())))

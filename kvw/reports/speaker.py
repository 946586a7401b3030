"""A judge that recognises speakers by an encoder that no search heard, of another kind and trained on other speech.

An encoder that was optimised is no proof: a search fits its errors too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kvw.errors import KvwError
from kvw.fitness.campplus import CAMPPlus
from kvw.types import Wave, mean_embedding


class SameSpeaker:
    """The cosine of the speech to the target's recordings, the mean over waves, by :mod:`kvw.fitness.campplus`."""

    heading = "Same speaker, CAM++ ↑"
    decimals = 3
    recognises = True
    encoder = CAMPPlus.identity

    def __call__(
        self, waves: Sequence[Wave], texts: Sequence[str] | None, speaker: Sequence[Wave], language: str
    ) -> float:
        """The mean cosine, in [-1, 1].

        Raises:
            KvwError: a package is not installed, or there is no recording of the target.
        """
        if not speaker:
            raise KvwError("the run kept no recording of the target")
        embed = CAMPPlus()
        target = mean_embedding([embed(wave) for wave in speaker])
        return float(np.mean([embed(wave) @ target for wave in waves]))

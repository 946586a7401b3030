"""The embedded synthesiser's own stock voices, always the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kvw.speech.embedded.style import HALF, PROSODY_NUMBERS, STYLE_STD, TIMBRE_NUMBERS, projections
from kvw.speech.embedded.vocoder import GAIN_BANDS, WARP_KNOTS
from kvw.types import MAX_PHONEMES, STYLE_WIDTH, Voice

FEMALE = ("amber", "clara", "edith", "flora", "grace", "hazel", "iris", "laura", "martha", "olive", "petra", "vera")
MALE = ("arthur", "boris", "conrad", "dylan", "edgar", "felix", "hugo", "jasper", "martin", "oscar", "simon", "victor")


def stock_voices() -> dict[str, Voice]:
    """Returns the 24 voices to start from, by name: 12 female (``af_...``) and 12 male (``am_...``), always the same.

    Each voice is a random speaker projected back to a style row, plus noise in the projection's null space, which is
    not heard, plus two smooth drifts over the rows: so its statistics agree with those of Kokoro's own voices.
    """
    rng = np.random.default_rng(1)
    place = np.arange(MAX_PHONEMES) / MAX_PHONEMES
    settling = 1 / (1 + place * 20)  # steep for short texts, flat from some forty phonemes on
    drifts = np.stack([0.45 * (settling - settling[100]), 0.03 * np.sin(2 * np.pi * place)], 1)
    share = np.repeat([0.35, 1.0], HALF)  # timbre drifts less than prosody
    voices = {}
    for names in zip(FEMALE, MALE, strict=True):
        for prefix, name, pitch, formants in (("af_", names[0], 1.0, 1.0), ("am_", names[1], -0.5, -0.4)):
            timbre = 0.8 * rng.standard_normal(TIMBRE_NUMBERS)
            timbre[:GAIN_BANDS] = 1.4 * np.convolve(np.pad(timbre[:GAIN_BANDS], 1, "edge"), np.full(3, 1 / 3), "valid")
            warp = slice(GAIN_BANDS, GAIN_BANDS + WARP_KNOTS)
            timbre[warp] = 0.5 * timbre[warp] + formants + 0.4 * rng.standard_normal()
            prosody = 0.6 * rng.standard_normal(PROSODY_NUMBERS)
            prosody[0] += pitch
            style = np.concatenate(
                [_row(z, matrix, rng) for z, matrix in zip((timbre, prosody), projections(), strict=True)]
            )
            rows = style + drifts @ (share * rng.standard_normal((2, STYLE_WIDTH)))
            voices[prefix + name] = rows[:, None].astype(np.float32)
    return voices


def _row(z: NDArray[np.float64], matrix: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float64]:
    """Returns half a style row ``(128,)`` that projects to ``z``, with noise in the projection's null space."""
    unit = matrix.astype(np.float64) * STYLE_STD
    silent = rng.standard_normal(HALF)
    return STYLE_STD * (unit @ z + silent - unit @ (unit.T @ silent))

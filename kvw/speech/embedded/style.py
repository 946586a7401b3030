"""Decodes style rows into the parameters of the embedded synthesiser's speakers."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kvw.speech.embedded import vocoder
from kvw.speech.embedded.vocoder import BREATH_BANDS, GAIN_BANDS, SHAPE_MODES, WARP_KNOTS, Speakers
from kvw.types import STYLE_WIDTH

HALF = STYLE_WIDTH // 2  # columns: timbre, then prosody
TIMBRE_NUMBERS, PROSODY_NUMBERS = GAIN_BANDS + WARP_KNOTS + BREATH_BANDS + SHAPE_MODES, 4
STYLE_STD = 0.14  # of a style number between voices, as in Kokoro's own


def decode_style(rows: Tensor) -> Speakers:
    """Returns the speakers of style rows, float32 ``(B, 256)``; differentiable.

    Each half of a row is projected to as many numbers as it controls, of std 1 for stock voices, and tanh squashes each
    number to (-2, 2): every finite row is a valid speaker.
    """
    timbre, prosody = (torch.from_numpy(matrix).to(rows.device) for matrix in projections())
    z = _squashed(rows[:, :HALF] @ timbre)
    gains, warp, breath, shape = torch.split(z, [GAIN_BANDS, WARP_KNOTS, BREATH_BANDS, SHAPE_MODES], 1)
    f0, melody, rate, dynamics = _squashed(rows[:, HALF:] @ prosody).unbind(1)
    return Speakers(
        f0=135.0 * torch.exp(0.30 * f0),
        melody=torch.exp(0.35 * melody),
        rate=torch.exp(vocoder.MAX_LOG_RATE / 2 * rate),
        dynamics=1 + 0.12 * dynamics,
        gains=gains * (3.0 / 10 * math.log(10)),  # 3 dB a unit
        warp=0.09 * warp,
        breath=breath,
        shape=0.12 * shape,
    )


def _squashed(z: Tensor) -> Tensor:
    return 2 * torch.tanh(z / 2)


@cache
def projections() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns ``(128, 37)`` for timbre and ``(128, 4)`` for prosody: orthogonal columns of length ``1 / STYLE_STD``."""
    rng = np.random.default_rng(20240)

    def projection(numbers: int) -> NDArray[np.float32]:
        q, r = np.linalg.qr(rng.standard_normal((HALF, numbers)))
        # the signs of a QR decomposition differ between libraries: fix them
        return (q * np.sign(np.diag(r)) / STYLE_STD).astype(np.float32)

    return projection(TIMBRE_NUMBERS), projection(PROSODY_NUMBERS)

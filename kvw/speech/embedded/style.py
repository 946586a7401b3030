"""What the numbers of a style row mean to the embedded synthesiser."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kvw.speech.embedded import vocoder
from kvw.speech.embedded.vocoder import BANDS, BREATHS, KNOTS, MODES, Speakers
from kvw.types import STYLE_WIDTH

HALF = STYLE_WIDTH // 2  # columns: timbre, then prosody
TIMBRE_NUMBERS, PROSODY_NUMBERS = BANDS + KNOTS + BREATHS + MODES, 4
STYLE_STD = 0.14  # of a style number between voices, as in Kokoro's own


def decode_style(rows: Tensor) -> Speakers:
    """Returns the speakers that style rows, float32 ``(B, 256)``, stand for; differentiable.

    Each half of a row is projected to as many numbers as it steers, of std 1 for stock voices, and each number is
    squashed to (-2, 2) by tanh: every finite row is a valid speaker.
    """
    timbre, prosody = (torch.from_numpy(matrix).to(rows.device) for matrix in projections())
    z = _squashed(rows[:, :HALF] @ timbre)
    gains, warp, breath, shape = torch.split(z, [BANDS, KNOTS, BREATHS, MODES], 1)
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
    """Returns ``(128, 37)`` for timbre and ``(128, 4)`` for prosody: orthogonal columns of length ``1 / _STD``."""
    rng = np.random.default_rng(20240)

    def projection(numbers: int) -> NDArray[np.float32]:
        q, r = np.linalg.qr(rng.standard_normal((HALF, numbers)))
        # the signs of a QR decomposition are its library's choice: make them ours
        return (q * np.sign(np.diag(r)) / STYLE_STD).astype(np.float32)

    return projection(TIMBRE_NUMBERS), projection(PROSODY_NUMBERS)

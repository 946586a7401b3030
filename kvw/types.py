"""The array types that every room shares, each with its shape and unit, and the constants of Kokoro's voices.

Read this first, then :mod:`kvw.evaluation`, :mod:`kvw.search.loop` and :mod:`kvw.fitness.hybrid`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Voice: TypeAlias = NDArray[np.float32]
"""A Kokoro voice: float32 ``(510, 1, 256)``, finite. Row ``n - 1`` is heard for a text of ``n`` phonemes."""

Genome: TypeAlias = NDArray[np.float64]
"""What a strategy varies: float64 ``(space.dim,)``."""

Wave: TypeAlias = NDArray[np.float32]
"""Mono audio: float32 ``(samples,)`` at :data:`SAMPLE_RATE`, nominally in [-1, 1]."""

Embedding: TypeAlias = NDArray[np.float32]
"""A speaker embedding: float32 ``(256,)``, unit length, no negative entry."""

EMBEDDING_WIDTH = 256
"""Numbers of an :data:`Embedding`."""

SAMPLE_RATE = 24_000
"""Hz. Kokoro's output rate, and the rate of every :data:`Wave`."""

MAX_PHONEMES = 510
"""Rows of a voice: the longest text, in phonemes, that Kokoro speaks in one go."""

STYLE_WIDTH = 256
"""Columns of a voice: 0:128 steer timbre, 128:256 prosody (duration, pitch, energy)."""

VOICE_SHAPE = (MAX_PHONEMES, 1, STYLE_WIDTH)


def mean_voice(voices: Sequence[Voice]) -> Voice:
    """The elementwise mean of voices, computed in float64."""
    mean: Voice = np.asarray(np.mean(voices, axis=0, dtype=np.float64), dtype=np.float32)
    return mean


def mean_row(voice: Voice) -> NDArray[np.float64]:
    """The mean of a voice's rows, float64 ``(256,)``: what is common to texts of every length."""
    row: NDArray[np.float64] = voice[:, 0].mean(axis=0, dtype=np.float64)
    return row


def mean_embedding(embeddings: Sequence[Embedding]) -> Embedding:
    """The unit vector along the mean of embeddings; a single embedding is returned unchanged, to the last bit."""
    if len(embeddings) == 1:
        return embeddings[0]
    mean = np.mean(embeddings, axis=0)
    unit: Embedding = mean / np.linalg.norm(mean)
    return unit


KOKORO = "kokoro"
EMBEDDED = "embedded"
"""The two synthesisers, as files and configs name them."""

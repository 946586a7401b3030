"""The numbers of a voice: 522,240 bytes of little-endian float32, row after row. A ``.bin`` of kokoro.js is no more.

Every other format wraps these bytes, and reads and writes them here.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kvw.types import VOICE_SHAPE, Voice

VOICE_BYTES = 4 * math.prod(VOICE_SHAPE)
"""522,240 bytes."""

MAX_FILE = 2 << 20
"""Bytes of a file of one voice, so that one of float64 is read and refused for that. Kokoro's voices have 523 kB."""

MAX_VOICES = 256
"""Voices in a pack: Kokoro has 54, its Chinese successor 103."""

PLAUSIBLE = 1000.0
"""Bare bytes have no header that could say what they are: numbers beyond this, where Kokoro's stay within 3.2, tell
that they are no float32 voice."""

_LONGEST_NAME = 100  # characters


def is_name(name: str) -> bool:
    """Whether a pack may call a voice so: a line of text that is no path."""
    return 0 < len(name) <= _LONGEST_NAME and name.isprintable() and not {"/", "\\"} & set(name)


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, for ``json.loads(object_pairs_hook=unique)``.

    Raises:
        ValueError: it says a key twice, and programs differ in which of the two counts.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


class NotAVoice(ValueError):
    """Bytes that are no voice.

    Args:
        came: what they are instead, on one line.
        advice: what to do about it.
    """

    def __init__(self, came: str, advice: str) -> None:
        super().__init__(came)
        self.came = came
        self.advice = advice


def read(data: bytes, advice: str) -> Voice:
    """The voice of :data:`VOICE_BYTES` bytes: float32 ``(510, 1, 256)``, C-ordered, the caller's own.

    Raises:
        NotAVoice: another number of bytes; NaN or infinity.
    """
    if len(data) != VOICE_BYTES:
        raise NotAVoice(f"{len(data):,} bytes of numbers, not {VOICE_BYTES:,}", advice)
    voice = np.frombuffer(data, "<f4").reshape(VOICE_SHAPE).astype(np.float32)
    if not np.isfinite(voice).all():
        raise NotAVoice(f"{np.count_nonzero(~np.isfinite(voice))} numbers that are NaN or infinite", advice)
    return voice


def read_bare(data: bytes) -> list[Voice]:
    """The voices of bytes that nothing but their number says are voices.

    Raises:
        NotAVoice: as :func:`read`; or numbers beyond :data:`PLAUSIBLE`.
    """
    advice = "check that it is little-endian float32"
    found = [read(data[start : start + VOICE_BYTES], advice) for start in range(0, len(data), VOICE_BYTES)]
    largest = max(float(np.abs(voice).max()) for voice in found)
    if largest > PLAUSIBLE:
        raise NotAVoice(f"bytes that are no float32 voice: they would have numbers up to {largest:.3g}", advice)
    return found


def write(voice: Voice) -> bytes:
    """The :data:`VOICE_BYTES` bytes of a voice.

    Raises:
        ValueError: another shape or dtype; NaN or infinity.
    """
    if voice.shape != VOICE_SHAPE or voice.dtype != np.float32 or not np.isfinite(voice).all():
        raise ValueError(f"expected a finite float32 {VOICE_SHAPE}, got {voice.dtype} {voice.shape}")
    return np.ascontiguousarray(voice, dtype="<f4").tobytes()


def write_bare(voice: Voice) -> bytes:
    """As :func:`write`, for a file of bare numbers.

    Raises:
        ValueError: as :func:`write`; or numbers beyond :data:`PLAUSIBLE`, which :func:`read_bare` would refuse.
    """
    data = write(voice)
    if (largest := float(np.abs(voice).max())) > PLAUSIBLE:
        raise ValueError(f"expected numbers within {PLAUSIBLE:g} for bare bytes, got {largest:.3g}")
    return data

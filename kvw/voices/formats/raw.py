"""The numbers of a voice: 522,240 bytes of little-endian float32, row after row. kokoro.js's ``.bin`` is these bytes.

Every other format wraps the same bytes, and its module calls this one to read and write them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kvw.types import VOICE_SHAPE, Voice

VOICE_BYTES = 4 * math.prod(VOICE_SHAPE)
"""Bytes of a voice: 522,240."""

MAX_FILE = 2 << 20
"""Most bytes of a file of one voice: a float64 voice fits and is refused for its type. Kokoro's files have 523 kB."""

MAX_VOICES = 256
"""Most voices of a pack: Kokoro has 54, its Chinese successor 103."""

PLAUSIBLE = 1000.0
"""Largest number in bare bytes, which have no header to say what they are. A larger one shows that the bytes are no
float32 voice: Kokoro's numbers stay within 3.2."""

_LONGEST_NAME = 100  # characters


def is_name(name: str) -> bool:
    """Whether a pack may name a voice ``name``: a line of text that is no path."""
    return 0 < len(name) <= _LONGEST_NAME and name.isprintable() and not {"/", "\\"} & set(name)


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object without doubled keys, for ``json.loads(object_pairs_hook=unique)``.

    Raises:
        ValueError: a key occurs twice; programs differ in which of the two counts.
    """
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key is there twice")
    return values


class NotAVoice(ValueError):
    """The bytes of a file are no voice.

    Args:
        got: what the bytes are instead, on one line.
        advice: what a user can do.
    """

    def __init__(self, got: str, advice: str) -> None:
        super().__init__(got)
        self.got = got
        self.advice = advice


def check_rows(shape: Sequence[int]) -> None:
    """Refuses a voice of another number of rows.

    Raises:
        NotAVoice: ``shape`` is a voice's but for its rows.
    """
    if tuple(shape[1:]) == VOICE_SHAPE[1:] and shape[0] != VOICE_SHAPE[0]:
        raise NotAVoice(
            f"a voice of another model, with {shape[0]} rows (Kokoro v0.19's have 511)",
            "bring one of Kokoro v1.0 or v1.1",
        )


def read(data: bytes, advice: str) -> Voice:
    """The voice in :data:`VOICE_BYTES` bytes: float32 ``(510, 1, 256)``, C-ordered, a copy.

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
    """The voices in bare bytes, of which only the length says that they are voices.

    Raises:
        NotAVoice: as :func:`read`; or numbers beyond :data:`PLAUSIBLE`.
    """
    advice = "check that it is little-endian float32"
    voices = [read(data[start : start + VOICE_BYTES], advice) for start in range(0, len(data), VOICE_BYTES)]
    largest = max(float(np.abs(voice).max()) for voice in voices)
    if largest > PLAUSIBLE:
        raise NotAVoice(f"bytes that are no float32 voice: they would have numbers up to {largest:.3g}", advice)
    return voices


def write(voice: Voice) -> bytes:
    """The :data:`VOICE_BYTES` bytes of a voice.

    Raises:
        ValueError: another shape or dtype; NaN or infinity.
    """
    if voice.shape != VOICE_SHAPE or voice.dtype != np.float32 or not np.isfinite(voice).all():
        raise ValueError(f"expected a finite float32 {VOICE_SHAPE}, got {voice.dtype} {voice.shape}")
    return np.ascontiguousarray(voice, dtype="<f4").tobytes()


def write_bare(voice: Voice) -> bytes:
    """The same for a file of bare numbers.

    Raises:
        ValueError: as :func:`write`; or numbers beyond :data:`PLAUSIBLE`, which :func:`read_bare` would refuse.
    """
    data = write(voice)
    if (largest := float(np.abs(voice).max())) > PLAUSIBLE:
        raise ValueError(f"expected numbers within {PLAUSIBLE:g} for bare bytes, got {largest:.3g}")
    return data

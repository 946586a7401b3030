"""Kokoro v1.0's stock voices as kvw carries them, compressed to 0.2 MB, for where nobody fetched the real ones.

``kvw/data/stock_voices.npz`` has of each voice its mean row, and how far each of a few curves over the rows, which all
voices share, moves the row: the rest is a ten thousandth of the voice. ``tests/tools/compress_voices.py`` made the
file; ``kvw/data/README.md`` has its source, licence and error.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kvw.types import Voice

_FILE = Path(__file__).parents[1] / "data" / "stock_voices.npz"


def stock_voices() -> dict[str, Voice]:
    """The 54 stock voices by name, sorted."""
    with np.load(_FILE) as saved:
        names, means, curves, moves = (saved[key] for key in ("names", "means", "curves", "moves"))
    return {str(name): decompressed(mean, curves, move) for name, mean, move in zip(names, means, moves, strict=True)}


def decompressed(mean: np.ndarray, curves: np.ndarray, moves: np.ndarray) -> Voice:
    """A voice of its mean row and its moves.

    Args:
        mean: float16 ``(256,)``.
        curves: float16 ``(510, curves)``, shared by all voices.
        moves: float16 ``(curves, 256)``.
    """
    rows = mean.astype(np.float32) + curves.astype(np.float32) @ moves.astype(np.float32)
    return np.ascontiguousarray(rows[:, None], dtype=np.float32)

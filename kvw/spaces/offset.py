"""Spaces that move all rows of a voice together, which keeps the row curve that Kokoro was trained with."""

from __future__ import annotations

import numpy as np

from kvw.spaces.base import Array, FreeColumns, Voices, spread
from kvw.types import Genome, Voice


class Offset:
    """Moves all rows of the base voice together: its mean row becomes ``centre + genome @ directions``.

    Args:
        free: the columns to move.
        directions: ``(dim, width)``, orthogonal to each other, of any length above 0: one unit of their gene.
        centre: ``(width,)``, the mean row of genome 0.
    """

    def __init__(self, free: FreeColumns, directions: Array, centre: Array) -> None:
        self._free, self._directions, self._centre = free, directions, centre
        self._inverse = directions.T / np.sum(directions**2, axis=1)
        self._rows = free.read(free.base) + (centre - free.mean(free.base))
        self.dim = len(directions)
        self.scale = np.ones(self.dim)
        self.origin = self.encode(free.base)

    def decode(self, genome: Genome) -> Voice:
        """Adds the offset of ``(dim,)`` to each row: the row curve of the base voice stays as it was trained."""
        return self._free.write(self._rows + genome @ self._directions)

    def encode(self, voice: Voice) -> Genome:
        """The projection of the mean row, ``(dim,)``: the voice's own row curve is lost."""
        genome: Genome = (self._free.mean(voice) - self._centre) @ self._inverse
        return genome


class Coherent(Offset):
    """One number for each column, 256 or 128, added to every row of the base voice."""

    def __init__(self, *, bank: Voices, top: Voices, base: Voice, freeze: str | None = None) -> None:
        free = FreeColumns(base, freeze)
        super().__init__(free, np.eye(free.width), free.mean(base))
        self.scale = spread([self.encode(voice) for voice in top])

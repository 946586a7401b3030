"""Spaces that move all rows of a voice together: the row curve, the rows' differences, stays as Kokoro was trained."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kvw.spaces.base import Array, FreeColumns, Voices, spread
from kvw.types import Genome, Voice


class Offset:
    """Moves all rows of the base voice together: its mean row becomes ``centre + genome @ directions``.

    Args:
        free: the columns to move.
        directions: ``(dim, width)``, the step of each gene's unit: orthogonal to each other, of any length above 0.
        centre: ``(width,)``, the mean row of the genome of zeros.
    """

    def __init__(self, free: FreeColumns, directions: Array, centre: Array) -> None:
        self._free, self._directions, self._centre = free, directions, centre
        self._inverse = directions.T / np.sum(directions**2, axis=1)
        self._rows = free.read(free.base) + (centre - free.mean(free.base))
        self.dim = len(directions)
        self.scale = np.ones(self.dim)
        self.origin = self.encode(free.base)

    def decode(self, genome: Genome) -> Voice:
        """Adds one offset to each row of the base voice, whose row curve stays; the genome is ``(dim,)``."""
        return self._free.write(self._rows + genome @ self._directions)

    def pullback(self, gradient: NDArray[np.floating]) -> Genome:
        """The gradient by the genome, ``(dim,)``, of that by an offset which moves all rows together, ``(256,)``."""
        genome: Genome = self._directions @ gradient[self._free.columns]
        return genome

    def encode(self, voice: Voice) -> Genome:
        """The voice's mean row projected onto the directions, ``(dim,)``; the voice's own row curve is lost."""
        genome: Genome = (self._free.mean(voice) - self._centre) @ self._inverse
        return genome


class Coherent(Offset):
    """A gene for each free column, 256 or 128: the number added to the column in every row of the base voice."""

    def __init__(self, *, bank: Voices, top: Voices, base: Voice, freeze: str | None = None) -> None:
        free = FreeColumns(base, freeze)
        super().__init__(free, np.eye(free.width), free.mean(base))
        self.scale = spread([self.encode(voice) for voice in top])

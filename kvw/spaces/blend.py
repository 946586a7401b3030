"""The space of weighted means of the stock voices. A module of its own: it imports scipy, which takes a moment."""

from __future__ import annotations

import numpy as np
from scipy.linalg import helmert
from scipy.optimize import nnls
from scipy.special import softmax

from kvw.spaces.base import Array, FreeColumns, Voices, spread
from kvw.types import Genome, Voice

LEAST_WEIGHT = 1e-5
"""A stock voice of less weight is taken to be absent from a blend; below it float32 is rough."""

ABSENT = 0.05
"""The weight that a softmax blend gives to all of its absent voices together, at most: its logarithms need some."""


class Blend:
    """Weighted means of the stock voices, row by row: always a plausible voice, never one beyond them.

    Args:
        weights: what the genes are. ``softmax``: isometric log-ratio coordinates of the weights, one fewer than voices
            (Egozcue et al. 2003, doi:10.1023/A:1023818214614); softmax alone would have one gene too many, and no
            inverse. Weights below :data:`LEAST_WEIGHT` do not come back: they become :data:`ABSENT` / voices.
            ``simplex``: the weights themselves; decoding drops negative ones and makes the sum 1, so that only
            genomes like that come back.

    Raises:
        ValueError: another word; fewer than two voices.
    """

    def __init__(
        self, *, bank: Voices, top: Voices, base: Voice, freeze: str | None = None, weights: str = "softmax"
    ) -> None:
        if weights not in ("softmax", "simplex"):
            raise ValueError(f"weights: expected softmax or simplex; got {weights!r}")
        if len(bank) < 2:
            raise ValueError(f"expected at least two voices to blend; got {len(bank)}")
        self._free = FreeColumns(base, freeze)
        numbers = np.array([self._free.read(voice).reshape(-1) for voice in bank])
        self._products = numbers @ numbers.T
        self._bank = numbers.astype(np.float32)  # decoding is as fast as memory is
        self._contrasts = helmert(len(bank)) if weights == "softmax" else None
        pure = self._genes(np.eye(len(bank)))
        self.dim = pure.shape[1]
        self.scale = spread(list(pure))
        self.origin = self.encode(base)

    def decode(self, genome: Genome) -> Voice:
        """The voice of the weights that ``(dim,)`` stands for; equal weights where a simplex has none above 0."""
        if self._contrasts is not None:
            weights = softmax(genome @ self._contrasts)
        else:
            weights = np.maximum(genome, 0)
            weights = weights / weights.sum() if weights.any() else np.full(self.dim, 1 / self.dim)
        return self._free.write(weights.astype(np.float32) @ self._bank)

    def encode(self, voice: Voice) -> Genome:
        """The genome of the nearest blend (least squares), ``(dim,)``; of any such, if voices are blends of others."""
        numbers = self._free.read(voice).reshape(-1)
        along, count = self._bank @ numbers, len(self._bank)
        # A blend's squared distance is a quadratic form of its weights. Its root, with the sum of the weights as one
        # more equation, is a non-negative least squares problem: exact, once scaled, whatever that equation weighs.
        squares, axes = np.linalg.eigh(self._products - along[:, None] - along + numbers @ numbers)
        root = np.sqrt(np.maximum(squares, 0))[:, None] * axes.T
        weights, _ = nnls(np.vstack([root, np.ones(count)]), np.append(np.zeros(count), 1), 30 * count)
        return self._genes(weights / weights.sum())

    def _genes(self, weights: Array) -> Genome:
        """The genes of weights ``(..., voices)``."""
        if self._contrasts is None:
            return weights
        present = np.where(weights < LEAST_WEIGHT, ABSENT / weights.shape[-1], weights)
        genes: Genome = np.log(present) @ self._contrasts.T
        return genes

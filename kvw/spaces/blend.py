"""The space of weighted means of the stock voices: a module of its own, as scipy is slow to import."""

from __future__ import annotations

import numpy as np
from scipy.linalg import helmert
from scipy.optimize import nnls
from scipy.special import softmax

from kvw.spaces.base import Array, FreeColumns, Voices, spread
from kvw.types import Genome, Voice

LEAST_WEIGHT = 1e-5
"""Weight below which a stock voice counts as absent from a blend: float32 blurs smaller weights."""

ABSENT = 0.05
"""Most weight of all absent voices of a softmax blend together: they need some, as genes are logarithms of weights."""


class Blend:
    """Weighted means of the stock voices, row by row: always plausible voices, and none beyond the stock voices.

    Args:
        weights: the meaning of the genes. ``softmax``: isometric log-ratio coordinates of the weights, one fewer than
            voices (Egozcue et al. 2003, doi:10.1023/A:1023818214614); plain softmax would have one gene too many and no
            inverse. Encoding raises weights below :data:`LEAST_WEIGHT` to :data:`ABSENT` / voices.
            ``simplex``: the weights themselves; decoding drops negative weights and scales the sum to 1, so that
            ``encode(decode(genome))`` is the genome only for non-negative weights of sum 1.

    Raises:
        ValueError: ``weights`` is another word; the bank has fewer than two voices.
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
        self._bank = numbers.astype(np.float32)  # float32, as decoding is bound by memory
        self._contrasts = helmert(len(bank)) if weights == "softmax" else None
        pure = self._genes(np.eye(len(bank)))
        self.dim = pure.shape[1]
        self.scale = spread(list(pure))
        self.origin = self.encode(base)

    def decode(self, genome: Genome) -> Voice:
        """The voice of a genome ``(dim,)``; a simplex without positive weights means equal weights."""
        if self._contrasts is not None:
            weights = softmax(genome @ self._contrasts)
        else:
            weights = np.maximum(genome, 0)
            weights = weights / weights.sum() if weights.any() else np.full(self.dim, 1 / self.dim)
        return self._free.write(weights.astype(np.float32) @ self._bank)

    def encode(self, voice: Voice) -> Genome:
        """The genome of the nearest blend (least squares), ``(dim,)``; not unique if stock voices blend others."""
        numbers = self._free.read(voice).reshape(-1)
        along, count = self._bank @ numbers, len(self._bank)
        # The squared distance of a blend is a quadratic form of its weights. The root of this form, with the sum of the
        # weights as one more equation, is a non-negative least squares problem; scaling makes its solution exact.
        squares, axes = np.linalg.eigh(self._products - along[:, None] - along + numbers @ numbers)
        root = np.sqrt(np.maximum(squares, 0))[:, None] * axes.T
        weights, _ = nnls(np.vstack([root, np.ones(count)]), np.append(np.zeros(count), 1), 30 * count)
        return self._genes(weights / weights.sum())

    def _genes(self, weights: Array) -> Genome:
        """The genes that stand for weights ``(..., voices)``."""
        if self._contrasts is None:
            return weights
        present = np.where(weights < LEAST_WEIGHT, ABSENT / weights.shape[-1], weights)
        genes: Genome = np.log(present) @ self._contrasts.T
        return genes

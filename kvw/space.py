"""Spaces: how a genome becomes a voice.

Real Kokoro voices are smooth and nearly rank two across their 510 rows, and one text is heard through one row. A space
decides whether a search may tear the rows apart (:class:`Elementwise`, the documents' behaviour) or moves them together
(:class:`Coherent`), which is what makes a voice hold on texts that were never scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from kvw.types import STYLE_WIDTH, VOICE_SHAPE, Genome, Voice


class Space(Protocol):
    """Maps genomes to voices and back. ``encode(decode(genome))`` is the genome, to float32 accuracy.

    A constructor takes, keyword-only, ``bank`` (every stock voice), ``top`` (the best of them for this target, best
    first) and ``base`` (the voice to start from), then its own settings.

    Attributes:
        dim: length of a genome.
        scale: float64 ``(dim,)``, positive: the natural standard deviation of each gene, one unit of mutation.
        origin: float64 ``(dim,)``: the genome of ``base``, where a search starts.
    """

    dim: int
    scale: Genome
    origin: Genome

    def decode(self, genome: Genome) -> Voice:
        """The voice of a genome ``(dim,)``."""

    def encode(self, voice: Voice) -> Genome:
        """The genome whose voice comes nearest to ``voice``."""


VOICE_STD = 0.14
"""Elementwise standard deviation between Kokoro's 54 stock voices."""


def spread(genomes: Sequence[Genome]) -> Genome:
    """Sample standard deviation of each gene, ``(dim,)``; that of Kokoro's voices where the genomes have none."""
    deviation: Genome = np.std(genomes, axis=0, ddof=1) if len(genomes) > 1 else np.zeros_like(genomes[0])
    return np.where(deviation > 0, deviation, VOICE_STD)


class Elementwise:
    """The documents' space: every one of the 510 x 256 numbers is a gene of its own."""

    dim = int(np.prod(VOICE_SHAPE))

    def __init__(self, *, bank: Sequence[Voice], top: Sequence[Voice], base: Voice) -> None:
        self.scale = spread([self.encode(voice) for voice in top])
        self.origin = self.encode(base)

    def decode(self, genome: Genome) -> Voice:
        """Reshapes ``(130560,)`` to a voice, rounded to float32."""
        return genome.astype(np.float32).reshape(VOICE_SHAPE)

    def encode(self, voice: Voice) -> Genome:
        """Flattens a voice to ``(130560,)``; exact."""
        return voice.astype(np.float64).reshape(-1)


class Coherent:
    """One 256-number offset, added to every row of the base voice: its row curve stays as it was trained."""

    dim = STYLE_WIDTH

    def __init__(self, *, bank: Sequence[Voice], top: Sequence[Voice], base: Voice) -> None:
        self._rows = base.astype(np.float64)
        self._mean = self._rows.mean(axis=0)
        self.scale = spread([self.encode(voice) for voice in top])
        self.origin = np.zeros(self.dim)

    def decode(self, genome: Genome) -> Voice:
        """Adds the offset ``(256,)`` to each row of the base voice."""
        return (self._rows + genome).astype(np.float32)

    def encode(self, voice: Voice) -> Genome:
        """The difference of the mean rows, ``(256,)``: the voice's own row curve is lost."""
        offset: Genome = (voice.astype(np.float64).mean(axis=0) - self._mean)[0]
        return offset

"""The contract of a space, which maps genomes to voices, and what the spaces share.

Real Kokoro voices are smooth and nearly rank two across their 510 rows, and a text is spoken from a single row. A space
decides whether a search may tear the rows apart (:class:`kvw.spaces.elementwise.Elementwise`, KVoiceWalk's behaviour)
or moves them together, so that a voice also holds on texts that were never scored.
:class:`kvw.spaces.pca.PCA` and :class:`kvw.spaces.blend.Blend` reach only what lies among the stock voices;
:class:`kvw.spaces.pca.PCAOffset` and :class:`kvw.spaces.offset.Coherent` go beyond, as a target may lie elsewhere. In
every space timbre or prosody can be frozen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kvw.types import MAX_PHONEMES, STYLE_WIDTH, Genome, Voice

Array: TypeAlias = NDArray[np.float64]

Voices: TypeAlias = Sequence[Voice]

TIMBRE = slice(0, 128)
"""Columns of a voice that steer Kokoro's decoder."""

PROSODY = slice(128, STYLE_WIDTH)
"""Columns of a voice that steer duration, pitch and energy."""

VOICE_STD = 0.14
"""Elementwise standard deviation between Kokoro's 54 stock voices."""


class Space(Protocol):
    """Maps genomes to voices and back. ``encode(decode(genome))`` is the genome, to float32 accuracy.

    A constructor takes, keyword-only, ``bank`` (every stock voice), ``top`` (the best of them for this target, best
    first), ``base`` (the voice to start from) and ``freeze`` (``timbre`` or ``prosody``, whose columns keep the numbers
    of ``base`` in every decoded voice; or None), then the space's own settings. The constructor raises ValueError if an
    argument is out of range.

    A space that moves all rows together may also have ``pullback(gradient) -> Genome``, the gradient by the genome of
    one by such an offset (:meth:`kvw.spaces.offset.Offset.pullback`): gradients are searched in no other.

    Attributes:
        dim: length of a genome.
        scale: float64 ``(dim,)``, positive: the natural standard deviation of each gene, one unit of mutation.
        origin: float64 ``(dim,)``: the genome of ``base``, where a search starts.
    """

    dim: int
    scale: Genome
    origin: Genome

    def decode(self, genome: Genome) -> Voice:
        """The voice of a genome, which is ``(dim,)``."""

    def encode(self, voice: Voice) -> Genome:
        """The genome whose voice is nearest to ``voice``."""


def spread(genomes: Sequence[Genome]) -> Genome:
    """The sample standard deviation of each gene, ``(dim,)``; :data:`VOICE_STD` for genes that don't vary."""
    deviation: Genome = np.std(genomes, axis=0, ddof=1) if len(genomes) > 1 else np.zeros_like(genomes[0])
    return np.where(deviation > 0, deviation, VOICE_STD)


class FreeColumns:
    """The columns of the base voice that a genome may change.

    Args:
        base: the voice that gives the frozen columns.
        freeze: the columns that no genome may change: ``timbre``, ``prosody`` or None.

    Attributes:
        base: the same, float32.
        columns: the slice of the free columns.
        width: the number of free columns, 256 or 128.

    Raises:
        ValueError: ``freeze`` is neither ``timbre`` nor ``prosody`` nor None.
    """

    def __init__(self, base: Voice, freeze: str | None) -> None:
        free = {None: slice(0, STYLE_WIDTH), "timbre": PROSODY, "prosody": TIMBRE}
        if freeze not in free:
            raise ValueError(f"freeze: expected timbre, prosody or null; got {freeze!r}")
        self.base = base.astype(np.float32)
        self.columns = free[freeze]
        self.width = self.columns.stop - self.columns.start

    def read(self, voice: Voice) -> Array:
        """The free columns of a voice, ``(510, width)``; exact."""
        return voice[:, 0, self.columns].astype(np.float64)

    def mean(self, voice: Voice) -> Array:
        """The mean row of a voice's free columns, ``(width,)``."""
        row: Array = self.read(voice).mean(axis=0)
        return row

    def write(self, numbers: NDArray[np.floating]) -> Voice:
        """The base voice with ``numbers``, 510 x width in any shape, in its free columns, as float32."""
        voice = self.base.copy()
        voice[:, 0, self.columns] = numbers.reshape(MAX_PHONEMES, self.width)
        return voice

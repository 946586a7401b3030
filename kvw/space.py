"""Spaces: how a genome becomes a voice.

Real Kokoro voices are smooth and nearly rank two across their 510 rows, and one text is heard through one row. A space
decides whether a search may tear the rows apart (:class:`Elementwise`, the documents' behaviour) or moves them
together, which is what makes a voice hold on texts that were never scored. :class:`PCA` and :class:`kvw.blend.Blend`
stay among the stock voices; a target need not lie there, so :class:`PCAOffset` and :class:`Coherent` do not. In each of
them timbre or prosody can be frozen.
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

LEAST_STD = 1e-4
"""The smallest standard deviation, in a voice's own numbers, of a principal direction; below it float32 is rough."""


class Space(Protocol):
    """Maps genomes to voices and back. ``encode(decode(genome))`` is the genome, to float32 accuracy.

    A constructor takes, keyword-only, ``bank`` (every stock voice), ``top`` (the best of them for this target, best
    first), ``base`` (the voice to start from) and ``freeze`` (``timbre`` or ``prosody``: the columns that keep the
    numbers of ``base`` in every decoded voice; or None), then its own settings. It raises ValueError where one of
    them is out of its range.

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


def spread(genomes: Sequence[Genome]) -> Genome:
    """Sample standard deviation of each gene, ``(dim,)``; that of Kokoro's voices where the genomes have none."""
    deviation: Genome = np.std(genomes, axis=0, ddof=1) if len(genomes) > 1 else np.zeros_like(genomes[0])
    return np.where(deviation > 0, deviation, VOICE_STD)


class Free:
    """The columns of the base voice that a genome may change; ``width`` of them, 256 or 128.

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
        """Their mean row, ``(width,)``."""
        row: Array = self.read(voice).mean(axis=0)
        return row

    def write(self, numbers: NDArray[np.floating]) -> Voice:
        """The base voice with other numbers in its free columns, of any shape that has 510 x width, in float32."""
        voice = self.base.copy()
        voice[:, 0, self.columns] = numbers.reshape(MAX_PHONEMES, self.width)
        return voice


class Elementwise:
    """The documents' space: every one of the 510 x 256 numbers is a gene of its own."""

    def __init__(self, *, bank: Voices, top: Voices, base: Voice, freeze: str | None = None) -> None:
        self._free = Free(base, freeze)
        self.dim = MAX_PHONEMES * self._free.width
        self.scale = spread([self.encode(voice) for voice in top])
        self.origin = self.encode(base)

    def decode(self, genome: Genome) -> Voice:
        """Reshapes ``(130560,)``, or half of it, to the free columns, rounded to float32."""
        return self._free.write(genome)

    def encode(self, voice: Voice) -> Genome:
        """Flattens the free columns to ``(130560,)``, or half of it; exact."""
        return self._free.read(voice).reshape(-1)


class Offset:
    """Moves all rows of the base voice together: its mean row becomes ``centre + genome @ directions``.

    Args:
        free: the columns to move.
        directions: ``(dim, width)``, orthogonal to each other, of any length above 0: one unit of their gene.
        centre: ``(width,)``, the mean row of genome 0.
    """

    def __init__(self, free: Free, directions: Array, centre: Array) -> None:
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
        free = Free(base, freeze)
        super().__init__(free, np.eye(free.width), free.mean(base))
        self.scale = spread([self.encode(voice) for voice in top])


def principal(rows: Array, components: int) -> tuple[Array, Array, Array]:
    """Principal directions, by the SVD of the centred rows, each with its largest entry positive.

    Args:
        rows: ``(voices, width)``, the mean rows of voices.
        components: how many are wanted.

    Returns:
        The mean of the rows, ``(width,)``; the sample standard deviations along the first directions, largest first,
        ``(k,)``, where k is ``components`` or what the rows have above :data:`LEAST_STD`; and ``(width, width)``, an
        orthonormal basis that begins with those k directions.

    Raises:
        ValueError: fewer than one component is wanted.
    """
    if components < 1:
        raise ValueError(f"components: expected 1 or more; got {components}")
    centre = rows.mean(axis=0)
    _, singular, basis = np.linalg.svd(rows - centre)
    largest = np.abs(basis).argmax(axis=1, keepdims=True)
    basis *= np.sign(np.take_along_axis(basis, largest, axis=1))
    deviations = singular / np.sqrt(max(len(rows) - 1, 1))
    return centre, deviations[deviations > LEAST_STD][:components], basis


class PCA(Offset):
    """The main differences between the stock voices: the principal components of their mean rows, each of unit std.

    What lies outside of their span, the base voice's own mean row too, is projected onto it. Components of whole voices
    would move the row curve as well, beyond what any trained voice has.

    Args:
        components: how many; fewer where the bank has fewer, which is one less than voices at most.

    Raises:
        ValueError: fewer than one component; no two voices that differ.
    """

    def __init__(
        self, *, bank: Voices, top: Voices, base: Voice, freeze: str | None = None, components: int = 20
    ) -> None:
        free = Free(base, freeze)
        centre, deviations, basis = principal(np.array([free.mean(voice) for voice in bank]), components)
        if not len(deviations):
            raise ValueError(f"expected at least two voices that differ in their free columns; got {len(bank)}")
        super().__init__(free, deviations[:, None] * basis[: len(deviations)], centre)


class PCAOffset(Offset):
    """As :class:`PCA`, and a little of every other direction: a target need not lie among the stock voices.

    Args:
        components: how many directions have the bank's own standard deviation; fewer where the bank has fewer.
        remainder: the standard deviation of all others, over the mean one of a number of the mean row between voices.

    Raises:
        ValueError: fewer than one component; a remainder of 0 or less.
    """

    def __init__(
        self,
        *,
        bank: Voices,
        top: Voices,
        base: Voice,
        freeze: str | None = None,
        components: int = 20,
        remainder: float = 0.3,
    ) -> None:
        if not 0 < remainder < np.inf:
            raise ValueError(f"remainder: expected a number above 0, such as 0.3; got {remainder}")
        free = Free(base, freeze)
        rows = np.array([free.mean(voice) for voice in bank])
        centre, deviations, basis = principal(rows, components)
        typical = np.std(rows, axis=0, ddof=1).mean() if len(deviations) else VOICE_STD
        others = np.full(free.width - len(deviations), remainder * typical)
        super().__init__(free, np.append(deviations, others)[:, None] * basis, centre)

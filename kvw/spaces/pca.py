"""Spaces along the principal directions in which the stock voices differ."""

from __future__ import annotations

import numpy as np

from kvw.spaces.base import VOICE_STD, Array, FreeColumns, Voices
from kvw.spaces.offset import Offset
from kvw.types import Voice

LEAST_STD = 1e-4
"""The smallest standard deviation, in a voice's own numbers, of a principal direction; below it float32 is rough."""


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
        free = FreeColumns(base, freeze)
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
        free = FreeColumns(base, freeze)
        rows = np.array([free.mean(voice) for voice in bank])
        centre, deviations, basis = principal(rows, components)
        typical = np.std(rows, axis=0, ddof=1).mean() if len(deviations) else VOICE_STD
        others = np.full(free.width - len(deviations), remainder * typical)
        super().__init__(free, np.append(deviations, others)[:, None] * basis, centre)

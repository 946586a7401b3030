"""Spaces along the principal directions in which the stock voices differ."""

from __future__ import annotations

import numpy as np

from kvw.spaces.base import VOICE_STD, Array, FreeColumns, Voices
from kvw.spaces.offset import Offset
from kvw.types import Voice

LEAST_STD = 1e-4
"""Least standard deviation of a principal direction, in units of a voice's numbers: float32 blurs smaller ones."""


def principal(rows: Array, components: int) -> tuple[Array, Array, Array]:
    """The principal directions of rows, by the SVD of the centred rows, each with its largest entry positive.

    Args:
        rows: ``(voices, width)``, the mean rows of voices.
        components: the number of directions wanted.

    Returns:
        The mean of the rows, ``(width,)``; the sample standard deviations along the first k directions, largest first,
        ``(k,)``; and an orthonormal basis that begins with these directions, ``(width, width)``. k is ``components``,
        or fewer if the rows have fewer directions above :data:`LEAST_STD`.

    Raises:
        ValueError: ``components`` is less than 1.
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

    A mean row outside of their span, even the base voice's, is projected onto it. Components of whole voices instead of
    mean rows would move the row curve too, beyond any trained voice's.

    Args:
        components: the number of genes; fewer if the bank has fewer components: at most one less than voices.

    Raises:
        ValueError: ``components`` is less than 1; no two voices of the bank differ.
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
    """:class:`PCA` and, a little, every other direction: a target need not lie among the stock voices.

    Args:
        components: the number of directions that keep the bank's standard deviation; fewer if the bank has fewer.
        remainder: the standard deviation along each other direction, as a multiple of the mean standard deviation,
            between the voices of the bank, of the numbers of a mean row.

    Raises:
        ValueError: ``components`` is less than 1; ``remainder`` is not a finite number above 0.
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

"""An atlas at work: which styles and which stock voices should sound like a target that was never spoken for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kvw.atlas.forward import Array, Forward
from kvw.atlas.inversion import proposals
from kvw.atlas.samples import Samples
from kvw.errors import KvwError
from kvw.types import Embedding

FEWEST = 50
"""Samples below which nothing is predicted."""


class Predictor:
    """Predicts voices for one target.

    Args:
        samples: of the atlas.
        target: the target's embedding.
        where: names the atlas in messages.

    Raises:
        KvwError: there are too few samples.
    """

    def __init__(self, samples: Samples, target: Embedding, where: object) -> None:
        if len(samples) < FEWEST:
            raise KvwError(
                f"{where}: expected an atlas of {FEWEST} samples or more; got {len(samples)}; extend it with task=atlas"
            )
        self._samples, self._target = samples, target.astype(np.float64)
        self._proposed: dict[int, Array] = {}

    @cached_property
    def _forward(self) -> Forward:
        return fitted(self._samples)

    @cached_property
    def _stock(self) -> tuple[Array, Array]:
        """Mean rows of the stock voices, ``(voices, 256)``, and their cosines to the target, each over its texts."""
        numbers = np.unique(self._samples.stock[self._samples.stock >= 0])
        mine = [self._samples.stock == number for number in numbers]
        rows = np.array([self._samples.styles[own][0] for own in mine], dtype=np.float64)
        cosines = np.array([(self._samples.embeddings[own] @ self._target).mean() for own in mine])
        return rows, cosines

    def __call__(self, count: int) -> Array:
        """Styles that should sound like the target, ``(count, 256)``, the best guess first.

        Raises:
            ValueError: ``count`` is not in 1 to 8.
        """
        if count not in self._proposed:
            self._proposed[count] = proposals(self._forward, *self._stock, self._target, count)
        return self._proposed[count]

    def likeness(self, styles: Mapping[str, NDArray[np.floating]]) -> dict[str, float]:
        """The similarity to the target, in [0, 1], that is expected of mean rows, ``(256,)`` each, by name."""
        expected = self._forward(np.array(list(styles.values()), dtype=np.float64))
        cosines = np.clip(expected @ self._target / np.linalg.norm(expected, axis=1), 0, 1)
        return dict(zip(styles, cosines.tolist(), strict=True))


def fitted(samples: Samples) -> Forward:
    """The forward model of samples."""
    return Forward(samples.styles.astype(np.float64), samples.embeddings.astype(np.float64), samples.spoken)

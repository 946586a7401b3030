"""An atlas at work: which styles and which stock voices should sound like a target that was never spoken for."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from kvw.atlas.forward import Array, Forward
from kvw.atlas.inversion import Wanted, proposals
from kvw.atlas.samples import Samples
from kvw.types import Embedding


class Predictor:
    """Predicts voices for one target.

    Args:
        samples: of the atlas.
        target: the target's embedding.
        pitch: the natural logarithm of the target's mean pitch in Hz; None where that is not known.
    """

    def __init__(self, samples: Samples, target: Embedding, pitch: float | None) -> None:
        self._samples, self._wanted = samples, Wanted(target.astype(np.float64), pitch)
        self._proposed: dict[int, Array] = {}

    @cached_property
    def _forward(self) -> Forward:
        return fitted(self._samples)

    @cached_property
    def _stock(self) -> tuple[Array, Array]:
        """Mean rows of the stock voices, ``(voices, 256)``, and their cosines to the target, each over its texts."""
        said = self._samples.of_stock
        cosines = np.array([(self._samples.embeddings[own] @ self._wanted.embedding).mean() for own in said])
        return self._samples.bank, cosines

    def __call__(self, count: int) -> Array:
        """Styles that should sound like the target, ``(count, 256)``, the best guess first.

        Raises:
            ValueError: ``count`` is not in 1 to 8.
        """
        if count not in self._proposed:
            self._proposed[count] = proposals(self._forward, *self._stock, self._wanted, count)
        return self._proposed[count]

    def likeness(self, styles: Array) -> Array:
        """The similarity to the target, in [0, 1], that is expected of mean rows, ``(n, 256)``: ``(n,)``."""
        expected, _ = self._forward(styles)
        cosines: Array = expected @ self._wanted.embedding / np.linalg.norm(expected, axis=1)
        return np.clip(cosines, 0, 1)


def fitted(samples: Samples) -> Forward:
    """The forward model of samples."""
    styles, embeddings = samples.styles.astype(np.float64), samples.embeddings.astype(np.float64)
    return Forward(styles, embeddings, delivery(samples), samples.spoken)


def delivery(samples: Samples) -> Array:
    """The delivery of samples, ``(n, 4)``, as in :class:`kvw.atlas.forward.Expected`; NaN where that is not known.

    What a text adds to all voices that speak it is taken out: of the pace that is most of the variance.
    """
    pitch, _, voiced = samples.intonation.T.astype(np.float64)
    pace = samples.pace.astype(np.float64)
    pace[pace == 0] = np.nan
    timbre = samples.timbre.astype(np.float64)
    timbre[timbre[:, 0] == 0] = np.nan
    found = np.column_stack([np.where(voiced > 0, pitch, np.nan), np.log(pace), timbre])
    known = np.isfinite(found).all(axis=1)
    mean = found[known].mean(axis=0)
    for text in np.unique(samples.spoken[known]):
        own = samples.spoken == text
        found[own] += mean - found[own & known].mean(axis=0)
    return found

"""How well an atlas predicts samples that it was not fitted to, by the number of samples that it was."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from kvw.atlas.adjust import CHANGES
from kvw.atlas.forward import Array
from kvw.atlas.predictor import delivery, fitted
from kvw.atlas.samples import RANDOM, Samples

FOLDS = 4
"""Parts of the random voices, each of which is predicted from samples of the other parts."""

SMALLEST = 100


def curve(samples: Samples) -> list[tuple[str, ...]]:
    """A table for growing numbers of samples: how well the others are predicted, and the seconds of the fit.

    The figures are means over :data:`FOLDS` parts of the random voices: the explained variance of the embeddings, the
    cosine of an embedding to its prediction, 1 at most, and the explained variances of log pitch, log pace, log
    spectral centroid and cepstral peak prominence. A text colours what is heard, so that no model of the style alone
    explains all variance.
    """
    delivered = (f"of {name}" for name in CHANGES)
    rows: list[tuple[str, ...]] = [("samples", "explained variance", "cosine", *delivered, "fit, s")]
    for size in sizes(len(samples) - len(samples) // FOLDS):
        started = time.process_time()
        scores = np.mean([score(samples, fold, size) for fold in range(FOLDS)], axis=0)
        seconds = (time.process_time() - started) / FOLDS
        rows.append((str(size), *(f"{figure:.3f}" for figure in scores), f"{seconds:.1f}"))
    return rows


def sizes(most: int) -> Iterator[int]:
    """100, 200, 400 ... below ``most``, and ``most``."""
    size = SMALLEST
    while size < most:
        yield size
        size *= 2
    yield most


def score(samples: Samples, fold: int, size: int) -> tuple[float, ...]:
    """The figures of :func:`curve` for the random voices of a part, predicted from ``size`` other samples."""
    numbers = np.arange(len(samples))
    held = (numbers % FOLDS == fold) & (samples.stock == RANDOM)
    forward = fitted(samples.only(numbers[~held][:size]))
    test = samples.only(held)
    embeddings, expected = test.embeddings.astype(np.float64), forward(test.styles.astype(np.float64))
    lengths = np.linalg.norm(embeddings, axis=1) * np.linalg.norm(expected.embeddings, axis=1)
    cosine = float(np.mean((embeddings * expected.embeddings).sum(axis=1) / lengths))
    delivered = (explained(*pair) for pair in zip(delivery(samples)[held].T, expected.delivery.T, strict=True))
    return explained(embeddings, expected.embeddings), cosine, *delivered


def explained(truth: Array, expected: Array) -> float:
    """The share of the variance of ``truth`` that ``expected`` explains: 1 at most."""
    known = np.isfinite(truth)
    mean = np.nanmean(truth, axis=0)
    return float(1 - np.square(truth - expected)[known].sum() / np.square(truth - mean)[known].sum())

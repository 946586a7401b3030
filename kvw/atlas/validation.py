"""How well an atlas predicts samples that it was not fitted to, by the number of samples that it was."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from kvw.atlas.predictor import fitted
from kvw.atlas.samples import Samples

FOLDS = 4
"""Parts of the random voices, each of which is predicted from samples of the other parts."""

SMALLEST = 100


def curve(samples: Samples) -> list[tuple[str, ...]]:
    """A table: samples, explained variance, cosine, and seconds of the fit, for growing numbers of samples.

    The cosine is that of a sample to its prediction, 1 at most; both figures are means over :data:`FOLDS` parts of the
    random voices. A text colours what is heard, so that no model of the style alone explains all variance.
    """
    rows: list[tuple[str, ...]] = [("samples", "explained variance", "cosine", "fit, s")]
    for size in sizes(len(samples) - len(samples) // FOLDS):
        started = time.process_time()
        scores = np.mean([score(samples, fold, size) for fold in range(FOLDS)], axis=0)
        seconds = (time.process_time() - started) / FOLDS
        rows.append((str(size), f"{scores[0]:.3f}", f"{scores[1]:.3f}", f"{seconds:.1f}"))
    return rows


def sizes(most: int) -> Iterator[int]:
    """100, 200, 400 ... below ``most``, and ``most``."""
    size = SMALLEST
    while size < most:
        yield size
        size *= 2
    yield most


def score(samples: Samples, fold: int, size: int) -> tuple[float, float]:
    """Explained variance and mean cosine of the random voices of a part, predicted from ``size`` other samples."""
    numbers = np.arange(len(samples))
    held = (numbers % FOLDS == fold) & (samples.stock < 0)
    forward = fitted(samples.only(numbers[~held][:size]))
    test = samples.only(held)
    truth, expected = test.embeddings.astype(np.float64), forward(test.styles.astype(np.float64))
    explained = 1 - np.square(truth - expected).sum() / np.square(truth - truth.mean(axis=0)).sum()
    lengths = np.linalg.norm(truth, axis=1) * np.linalg.norm(expected, axis=1)
    return float(explained), float(np.mean((truth * expected).sum(axis=1) / lengths))

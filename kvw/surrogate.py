"""A guess at a candidate's target similarity before it is evaluated: Gaussian process regression on the voices so far.

Source: Rasmussen & Williams 2006, "Gaussian Processes for Machine Learning", algorithm 2.1 and equation 2.30. Inputs are
the mean rows of the voices, ``(256,)``, so that distances mean the same in every space.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

Array = NDArray[np.float64]

LENGTHS = (0.5, 1.0, 2.0, 4.0)
"""Tried, in units of the median distance between voices."""

NOISES = (0.01, 0.1, 0.3)
"""Tried: variance that the inputs do not explain, as a share of the whole."""


class Surrogate:
    """Predicts values at points from known ones.

    Args:
        points: ``(n, width)``, at least two.
        values: ``(n,)``.
    """

    def __init__(self, points: Array, values: Sequence[float]) -> None:
        self._points = points
        self._mean, self._std = np.mean(values), np.std(values) or 1.0
        wanted = (np.asarray(values) - self._mean) / self._std
        apart = distances(points, points)
        typical = np.median(apart[apart > 0]) if (apart > 0).any() else 1.0
        best = -np.inf
        for length in LENGTHS:
            near = np.exp(-apart / (2 * typical * length**2))
            for noise in NOISES:
                factor = cho_factor((1 - noise) * near + noise * np.eye(len(points)), lower=True)
                weights = cho_solve(factor, wanted)
                likelihood = -0.5 * wanted @ weights - np.log(np.diag(factor[0])).sum()
                if likelihood > best:
                    best, self._weights, self._scale = likelihood, (1 - noise) * weights, 2 * typical * length**2

    def __call__(self, points: Array) -> Array:
        """The expected values at ``(m, width)``."""
        near = np.exp(-distances(points, self._points) / self._scale)
        return np.asarray(self._mean + self._std * near @ self._weights)


def distances(one: Array, other: Array) -> Array:
    """Squared distances between the rows of two matrices."""
    squares = np.sum(one**2, axis=1)[:, None] + np.sum(other**2, axis=1) - 2 * one @ other.T
    return np.asarray(np.maximum(squares, 0))

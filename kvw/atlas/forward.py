"""The forward model: from a style row to the speaker embedding and the delivery that are heard of it.

A Gaussian process (Rasmussen and Williams 2006, chapter 2) with one kernel for all that is predicted: a linear part, a
smooth part, and a part that samples of the same text share, as a text colours every voice that speaks it. No library of
Gaussian processes gives the gradient of a prediction by its input, which an inversion needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from kvw.spaces.base import PROSODY, VOICE_STD
from kvw.types import EMBEDDING_WIDTH, STYLE_WIDTH

Array = NDArray[np.float64]

PROSODY_WEIGHT = 0.4
"""How much a number of the prosody half moves the embedding, as a share of one of the timbre half."""

RIDGE = 300.0
"""Penalty of the linear regression that finds the directions of style which move the embedding."""

SHARPNESS = 0.6
"""Power of a direction's share in that regression by which the direction counts in the distance between styles."""

DELIVERY = 4
"""Numbers of :attr:`Expected.delivery`."""

NORM = 16.0
"""Root mean square norm to which styles are scaled, the unit of :attr:`Kernel.length`."""


@dataclass(frozen=True)
class Kernel:
    """The covariance between samples; variances are relative to each other.

    Attributes:
        linear: variance of the part that is linear in the style.
        smooth: variance of the squared exponential part.
        length: of that part, in units in which the samples' styles have an rms norm of :data:`NORM`.
        text: variance that samples of one text share.
        noise: variance of a sample alone.
    """

    linear: float = 0.3
    smooth: float = 2.0
    length: float = 12.0
    text: float = 0.15
    noise: float = 0.5

    def __call__(self, one: Array, other: Array) -> Array:
        """The covariance of the predictions for styles, ``(n, 256)`` and ``(m, 256)``: ``(n, m)``."""
        products = one @ other.T
        squares = np.square(one).sum(axis=1)[:, None] + np.square(other).sum(axis=1) - 2 * products
        smooth = np.exp(squares.clip(0) / (-2 * self.length**2))
        covariance: Array = self.linear / NORM**2 * products + self.smooth * smooth
        return covariance


class Expected(NamedTuple):
    """What is expected of styles, averaged over texts.

    Attributes:
        embeddings: ``(n, 256)``; shorter than 1 where the model knows little.
        delivery: natural logarithms of the mean pitch in Hz, of the phonemes a second, and of the spectral centroid in
            Hz; and the cepstral peak prominence in dB, ``(n, 4)``.
    """

    embeddings: Array
    delivery: Array


class Forward:
    """Predicts how a style is heard.

    Args:
        styles: mean rows of the voices that were heard, ``(n, 256)``.
        embeddings: of each, unit vectors, ``(n, 256)``.
        delivery: of each, as :attr:`Expected.delivery`, ``(n, 4)``; NaN where it is not known.
        texts: which text each spoke, int ``(n,)``.
        kernel: covariances.
    """

    def __init__(
        self,
        styles: Array,
        embeddings: Array,
        delivery: Array,
        texts: NDArray[np.integer],
        kernel: Kernel | None = None,
    ) -> None:
        self._kernel = kernel or Kernel()
        heard = np.hstack([embeddings, delivery])
        self._centre, self._mean = styles.mean(axis=0), np.nanmean(heard, axis=0)
        scale = np.ones(STYLE_WIDTH)
        scale[PROSODY] = PROSODY_WEIGHT
        self._axes = np.diag(scale / VOICE_STD)
        moved = (styles - self._centre) @ self._axes
        responses = moved.T @ (embeddings - embeddings.mean(axis=0))
        responses = np.linalg.solve(moved.T @ moved + RIDGE * np.eye(STYLE_WIDTH), responses)
        # not numpy's driver, which now and then does not converge on one thread
        directions, strengths, _ = scipy.linalg.svd(responses, lapack_driver="gesvd")
        self._axes = self._axes @ (directions * (strengths / strengths[0]) ** SHARPNESS)
        self._axes *= NORM / np.sqrt(np.square((styles - self._centre) @ self._axes).sum(axis=1).mean())
        self._points = (styles - self._centre) @ self._axes
        covariance = self._kernel(self._points, self._points)
        covariance += self._kernel.text * (texts[:, None] == texts)
        covariance[np.diag_indices(len(styles))] += self._kernel.noise
        self._factor = scipy.linalg.cho_factor(covariance, lower=True)
        away = heard - self._mean
        self._weights = scipy.linalg.cho_solve(self._factor, np.nan_to_num(away))
        known = np.isfinite(delivery).all(axis=1)
        if not known.all():  # delivery by the samples alone that have it
            some = scipy.linalg.cho_factor(covariance[np.ix_(known, known)], lower=True)
            self._weights[:, EMBEDDING_WIDTH:] = 0
            self._weights[known, EMBEDDING_WIDTH:] = scipy.linalg.cho_solve(some, away[known, EMBEDDING_WIDTH:])

    def __call__(self, styles: Array) -> Expected:
        """What is expected of ``(n, 256)`` styles."""
        across = self._kernel((styles - self._centre) @ self._axes, self._points)
        heard = self._mean + across @ self._weights
        return Expected(heard[:, :EMBEDDING_WIDTH], heard[:, EMBEDDING_WIDTH:])

    def pullback(self, styles: Array, slopes: Expected) -> Array:
        """The gradients by the styles, ``(n, 256)``, of functions whose gradients by what is expected are given."""
        points = (styles - self._centre) @ self._axes
        linear = self._kernel.linear / NORM**2
        smooth = self._kernel(points, self._points) - linear * points @ self._points.T
        pull = np.hstack(slopes) @ self._weights.T  # by the covariances, (n, samples)
        drawn = pull * smooth / self._kernel.length**2
        by_points = linear * pull @ self._points + drawn @ self._points - drawn.sum(axis=1, keepdims=True) * points
        gradients: Array = by_points @ self._axes.T
        return gradients

    def variance(self, styles: Array) -> Array:
        """The variance of the predictions, ``(n,)``, over that of a style of which nothing is known: in [0, 1]."""
        points = (styles - self._centre) @ self._axes
        across = self._kernel(points, self._points)
        known = np.einsum("nm,mn->n", across, scipy.linalg.cho_solve(self._factor, across.T))
        prior = self._kernel.linear / NORM**2 * np.square(points).sum(axis=1) + self._kernel.smooth
        share: Array = np.clip(1 - known / prior, 0, 1)
        return share

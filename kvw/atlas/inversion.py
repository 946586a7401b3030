"""From a speaker's embedding back to styles: the proposals of an atlas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kvw.atlas.forward import Array, Expected, Forward
from kvw.spaces.base import PROSODY, TIMBRE
from kvw.spaces.pca import principal
from kvw.types import STYLE_WIDTH

REST = 0.3
"""Least standard deviation of a direction, as a share of the mean one of a number: what no stock voices differ in."""

PRIORS = (0.1, 0.3, 0.05, 0.2, 0.15, 0.4, 0.07, 0.6)
"""How strongly each proposal is drawn to the mean of the stock voices; the first is the best guess."""

PITCH = 0.5
"""What a pitch costs that is off by 1 in its natural logarithm (17 semitones), in units of a cosine: by the square."""

STEPS, RATE = 200, 0.1
"""Of Adam (Kingma and Ba 2015), with a rate that falls to 0."""


class Whitened:
    """Coordinates of styles in which stock voices differ by one unit in every direction, timbre and prosody apart.

    Args:
        rows: the mean rows of the stock voices, ``(voices, 256)``, of two or more that differ.

    Attributes:
        axes: the style of each coordinate's unit, ``(256, 256)``.
    """

    def __init__(self, rows: Array) -> None:
        self._centre = rows.mean(axis=0)
        self.axes = np.zeros((STYLE_WIDTH, STYLE_WIDTH))
        for half in (TIMBRE, PROSODY):
            _, deviations, basis = principal(rows[:, half], len(rows) - 1)
            scale = np.full(len(basis), REST * rows[:, half].std(axis=0, ddof=1).mean())
            scale[: len(deviations)] = np.maximum(deviations, scale[: len(deviations)])
            self.axes[half, half] = scale[:, None] * basis
        self._inverse = np.linalg.inv(self.axes)

    def encode(self, styles: Array) -> Array:
        """The coordinates of styles, ``(n, 256)`` or ``(256,)``."""
        coordinates: Array = (styles - self._centre) @ self._inverse
        return coordinates

    def decode(self, coordinates: Array) -> Array:
        """The styles of coordinates, ``(n, 256)`` or ``(256,)``."""
        styles: Array = self._centre + coordinates @ self.axes
        return styles


@dataclass(frozen=True)
class Wanted:
    """What a style should be heard as.

    Attributes:
        embedding: of the target, a unit vector, ``(256,)``.
        pitch: the natural logarithm of the target's mean pitch in Hz; None where that is not known.
    """

    embedding: Array
    pitch: float | None = None

    def slopes(self, expected: Expected) -> Expected:
        """The gradients by what is expected of how well it is what is wanted: a cosine, less what the pitch is off."""
        norms = np.linalg.norm(expected.embeddings, axis=1, keepdims=True)
        cosines = expected.embeddings @ self.embedding[:, None] / norms
        by_delivery = np.zeros_like(expected.delivery)
        if self.pitch is not None:
            by_delivery[:, 0] = 2 * PITCH * (self.pitch - expected.delivery[:, 0])
        return Expected((self.embedding - cosines * expected.embeddings / norms) / norms, by_delivery)


def invert(forward: Forward, whitened: Whitened, wanted: Wanted, start: Array, priors: Array) -> Array:
    """Styles, ``(n, 256)``, that are expected to be heard as wanted, and that stay near the stock voices.

    Args:
        forward: the model to invert.
        whitened: the coordinates in which near is measured.
        wanted: of the target.
        start: coordinates, ``(256,)``.
        priors: what a mean square coordinate of 1 costs each of them, twice, in units of a cosine, ``(n,)``.
    """
    points = np.tile(start, (len(priors), 1))
    momentum, spread = np.zeros_like(points), np.zeros_like(points)
    for step in range(1, STEPS + 1):
        styles = whitened.decode(points)
        slopes = forward.pullback(styles, wanted.slopes(forward(styles)))
        gradient = slopes @ whitened.axes.T - priors[:, None] / STYLE_WIDTH * points
        momentum = 0.9 * momentum + 0.1 * gradient
        spread = 0.99 * spread + 0.01 * gradient**2
        moved = momentum / (1 - 0.9**step) / (np.sqrt(spread / (1 - 0.99**step)) + 1e-10)
        points = points + RATE * (1 - step / (STEPS + 1)) * moved
    return whitened.decode(points)


def proposals(
    forward: Forward, rows: Array, likeness: Sequence[float] | NDArray[np.floating], wanted: Wanted, count: int
) -> Array:
    """Styles that should sound like a target, ``(count, 256)``, the best guess first.

    Args:
        forward: the model to invert.
        rows: the mean rows of the stock voices, ``(voices, 256)``.
        likeness: of each stock voice to the target; the inversion starts halfway to the most alike.
        wanted: of the target.
        count: 1 to 8.

    Raises:
        ValueError: ``count`` is out of its range.
    """
    if not 1 <= count <= len(PRIORS):
        raise ValueError(f"count: expected 1 to {len(PRIORS)}; got {count}")
    whitened = Whitened(rows)
    start = whitened.encode(rows[int(np.argmax(likeness))]) / 2
    return invert(forward, whitened, wanted, start, np.array(PRIORS[:count]))

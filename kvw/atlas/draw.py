"""The design of an atlas: which voices speak, each a pure function of a seed and a number."""

from __future__ import annotations

import numpy as np

from kvw.atlas.forward import Array
from kvw.spaces.base import PROSODY, TIMBRE
from kvw.spaces.pca import principal
from kvw.types import STYLE_WIDTH

BLENDED = (2, 4)
"""How many stock voices are blended, at least and at most."""

STRETCH = (0.8, 1.8)
"""How far a blend goes from the mean of the stock voices: beyond 1 it leaves what lies between them."""

ALONG = 0.4
"""Standard deviation added along the directions in which stock voices differ, as a share of their own."""

ANYWHERE = 0.3
"""The most standard deviation added to every number, as a share of the stock voices' own."""


class Design:
    """Draws styles near those of stock voices, denser where they are: timbre and prosody apart.

    Args:
        rows: the mean rows of the stock voices, ``(voices, 256)``, of four or more that differ.
        seed: of all draws.
    """

    def __init__(self, rows: Array, seed: int) -> None:
        self._rows, self._seed = rows, seed
        self._centre, deviations, basis = principal(rows, len(rows) - 1)
        self._directions = deviations[:, None] * basis[: len(deviations)]
        self._spread = rows.std(axis=0, ddof=1)

    def __call__(self, number: int) -> Array:
        """The style with a number, ``(256,)``."""
        rng = np.random.default_rng([self._seed, number])
        style = np.empty(STYLE_WIDTH)
        for half in (TIMBRE, PROSODY):
            style[half] = self._drawn(rng)[half]
        return style

    def _drawn(self, rng: np.random.Generator) -> Array:
        count = min(int(rng.integers(BLENDED[0], BLENDED[1] + 1)), len(self._rows))
        some = self._rows[rng.choice(len(self._rows), count, replace=False)]
        blend = rng.dirichlet(np.ones(count)) @ some
        style = self._centre + rng.uniform(*STRETCH) * (blend - self._centre)
        along = ALONG * rng.standard_normal(len(self._directions)) @ self._directions
        anywhere = rng.uniform(0, ANYWHERE) * self._spread * rng.standard_normal(STYLE_WIDTH)
        drawn: Array = style + along + anywhere
        return drawn

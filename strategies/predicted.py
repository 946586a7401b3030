"""Voices that an atlas predicts for the target: nothing of the target has been spoken for them."""

from __future__ import annotations

import numpy as np

from kvw import Candidate, Finished, Space
from kvw.search.strategy import Predictor
from kvw.types import mean_row


class Predicted:
    """One generation of proposals, the best guess first.

    Args:
        space: where to search; the proposals are moved as near to the prediction as it reaches.
        predictor: of an atlas.
        count: proposals, 1 to 8.
        optional: whether a search without an atlas goes on with the next strategy; else that is an error.

    Attributes:
        total: candidates altogether.

    Raises:
        ValueError: ``count`` is out of its range.
    """

    def __init__(self, *, space: Space, predictor: Predictor, count: int = 4, optional: bool = False) -> None:
        if not 1 <= count <= 8:
            raise ValueError(f"count: expected 1 to 8; got {count}")
        self._space, self._predictor, self._optional = space, predictor, optional
        self._count = self.total = count
        self.proposed: list[Candidate] = []

    def generate(self) -> list[Candidate]:
        """The proposals."""
        if self.proposed:
            raise Finished("all proposals of the atlas were heard")
        if self._optional and not self._predictor.here:
            self.total = 0
            raise Finished("there is no atlas of this model")
        base = self._space.decode(self._space.origin)
        row = mean_row(base)
        styles = self._predictor(self._count)
        return [Candidate(self._space.encode(base + (style - row).astype(np.float32))) for style in styles]

    def reference(self) -> None:
        """No proposal stops another: all are heard in full."""

    def keep(self) -> dict[str, list[Candidate]]:
        """The proposals that were heard to the end: what the next strategy begins with."""
        heard = [one for one in self.proposed if one.evaluation and one.evaluation.complete]
        return {"predicted": heard} if heard else {}

    def update(self, population: list[Candidate]) -> None:
        """Notes that they were heard."""
        self.proposed = population

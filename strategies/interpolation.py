"""KVoiceWalk's interpolated start: points on the lines through all pairs of the top voices, the best for each voice.

Source: KVoiceWalk's ``interpolate_search``: midpoint + difference x a / 2, so that a = 1 is one voice and a = -1 the
other. A point belongs to the voice that it is nearer to.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from kvw import Candidate, Finished, Space


class Interpolation:
    """A generation for each pair of the top voices.

    Args:
        space: where to interpolate.
        seeds: the top voices, at least two.
        limit: the largest a, above 0.
        step: between two a, above 0.

    Attributes:
        total: candidates altogether.

    Raises:
        ValueError: there are fewer than two seeds, or a setting is out of its range.
    """

    def __init__(self, *, space: Space, seeds: Sequence[Candidate], limit: float = 1.5, step: float = 0.1) -> None:
        if not 0 < step <= limit < np.inf:
            raise ValueError(f"expected numbers 0 < step <= limit, such as 0.1 and 1.5; got {step} and {limit}")
        if len(seeds) < 2:
            raise ValueError("expected two stock voices at least to interpolate between; got one; see population_limit")
        self._space, self._seeds = space, list(seeds)
        self._pairs = list(combinations(range(len(seeds)), 2))
        # rounded, so that 0 and 1 are among them exactly
        self._positions = np.arange(-limit, limit + step / 2, step).round(9).tolist()
        self.total = len(self._pairs) * len(self._positions)
        self.done = 0
        self.best: list[Candidate | None] = [None] * len(seeds)

    def reference(self) -> Candidate | None:
        """The weaker of the two voices' best candidates: a candidate far below it is the best of neither."""
        first, second = (self.best[voice] for voice in self._pairs[min(self.done, len(self._pairs) - 1)])
        return min(first, second, key=lambda candidate: candidate.fitness) if first and second else None

    def generate(self) -> list[Candidate]:
        """The points of the next pair."""
        if self.done == len(self._pairs):
            raise Finished(f"all {len(self._pairs)} pairs are interpolated")
        first, second = self._pairs[self.done]
        one, two = self._seeds[first].genome, self._seeds[second].genome
        return [
            Candidate((one + two) / 2 + (one - two) * a / 2, notes={"Voice": first, "Other": second, "Position": a})
            for a in self._positions
        ]

    def update(self, population: list[Candidate]) -> None:
        """Keeps each candidate that is the best of its voice."""
        for candidate in population:
            voice = int(candidate.notes["Voice" if candidate.notes["Position"] > 0 else "Other"])
            incumbent = self.best[voice]
            if incumbent is None or candidate.fitness > incumbent.fitness:
                self.best[voice] = candidate
        self.done += 1

    def keep(self) -> dict[str, list[Candidate]]:
        """The best candidate of each voice."""
        found = [candidate for candidate in self.best if candidate]
        return {"interpolated": [best for best in found if best.evaluation and best.evaluation.complete]}

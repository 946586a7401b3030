"""Steps along the gradient of the target similarity, from the start of its space.

The gradient of one short text says little of another one's (their cosine is .2), so that steps have a fixed length, go
along an average of gradients, and the mean of the latest points is what is offered to be heard in full.
"""

from __future__ import annotations

import numpy as np

from kvw import Candidate, Finished, Pullback, Space
from kvw.errors import KvwError
from kvw.search.strategy import Gradients
from kvw.types import Genome

LATEST = 6
"""Points of which the mean is offered."""


class Gradient:
    """Normalised gradient ascent with momentum, and a Gaussian prior on where it begins.

    Args:
        space: where to search, one that moves all rows of a voice together; steps are in units of ``space.scale``.
        rng: the only source of randomness.
        gradients: of the search.
        steps: how many, 1 or more.
        texts: short texts of each step, whose gradients are averaged, 1 or more.
        rate: length of the first step, above 0; later ones follow a cosine down to a tenth of it.
        momentum: weight of the earlier gradients, in [0, 1).
        prior: what a mean square of 1 over all genes costs, twice, in units of a cosine, of the way from the start; 0
            or more.
        every: steps between two offers, 1 or more.

    Attributes:
        most: candidates altogether.
        pullbacks: those of them that ask for a gradient.

    Raises:
        ValueError: a setting is out of its range.
        KvwError: the space tears rows apart, or the synthesiser or the encoder can't be differentiated.
    """

    def __init__(
        self,
        *,
        space: Space,
        rng: np.random.Generator,
        gradients: Gradients,
        steps: int = 24,
        texts: int = 1,
        rate: float = 0.5,
        momentum: float = 0.8,
        prior: float = 0.3,
        every: int = 8,
    ) -> None:
        if min(steps, texts, every) < 1 or not (0 < rate < np.inf and 0 <= momentum < 1 and 0 <= prior < np.inf):
            raise ValueError(
                "expected steps, texts and every of 1 or more, rate above 0, momentum in [0, 1), prior of 0 or more; "
                f"got {steps}, {texts}, {every}, {rate}, {momentum} and {prior}"
            )
        if not hasattr(space, "pullback"):
            raise KvwError(
                "strategy: expected a space that moves all rows of a voice together, for gradients; got "
                f"{type(space).__name__}; use space=pca_offset, pca or coherent"
            )
        self._space, self._rng, self._gradients = space, rng, gradients
        self._steps, self._texts, self._every = steps, texts, every
        self._rate, self._momentum, self._prior = rate, momentum, prior
        self.pullbacks = steps * min(texts, gradients.texts)
        self.most = self.pullbacks + -(-steps // every)
        self._cotangent = tuple(gradients.target.tolist())
        self.step = self.offered = 0
        self.start = self.point = space.origin / space.scale
        self.latest = self.point[None]
        self.velocity = np.zeros(space.dim)

    def generate(self) -> list[Candidate]:
        """Requests for the gradients at the current point, and now and then the mean of the latest points."""
        population = []
        if self.step > self.offered and (self.step % self._every == 0 or self.step == self._steps):
            self.offered = self.step
            population.append(self._candidate(self.latest.mean(axis=0)))
        if self.step < self._steps:
            texts = self._rng.permutation(self._gradients.texts)[: self._texts]
            for text, seed in zip(texts, self._rng.integers(2**31, size=len(texts)), strict=True):
                population.append(self._candidate(self.point, Pullback(int(text), int(seed), self._cotangent)))
        if not population:
            raise Finished(f"{self._steps} steps along the gradient were taken")
        return population

    def _candidate(self, point: Genome, pullback: Pullback | None = None) -> Candidate:
        return Candidate(point * self._space.scale, notes={"Step": float(self.step)}, pullback=pullback)

    def update(self, population: list[Candidate]) -> None:
        """Takes a step, unless no gradient could be measured."""
        seen = [one.evaluation.gradient for one in population if one.pullback and one.evaluation]
        found = [gradient for gradient in seen if gradient is not None]
        if not seen:
            return
        if found:
            slope = self._space.scale * self._space.pullback(np.mean(found, axis=0, dtype=np.float64))
            slope = slope - self._prior / len(self.point) * (self.point - self.start)
            old = self._momentum if self.velocity.any() else 0.0
            self.velocity = old * self.velocity + (1 - old) * slope
            length = self._rate * (0.55 + 0.45 * np.cos(np.pi * self.step / self._steps))
            self.point = self.point + length * self.velocity / np.linalg.norm(self.velocity)
            self.latest = np.vstack([self.latest, self.point])[-LATEST:]
        self.step += 1

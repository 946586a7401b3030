"""A voice on its way through the stages of the fitness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kvw.evaluation import OPEN, Evaluation, Gate, Utterance, UtteranceCache, harmonic_mean
from kvw.fitness.background import Measurement
from kvw.speech.synthesizer import Script
from kvw.types import Embedding, Voice, Wave


@dataclass
class Trial:
    """One voice on its way through the stages.

    ``heard`` and ``waves`` are by the script's text; an utterance from the cache has no wave. ``measuring`` is by the
    name of an attribute of :class:`kvw.evaluation.Utterance` and the script's text: what somebody measures in its wave.
    """

    voice: Voice
    gate: Gate = OPEN
    cache: UtteranceCache | None = None
    parts: dict[str, float] = field(default_factory=dict)
    heard: dict[str, Utterance] = field(default_factory=dict)
    waves: dict[str, Wave] = field(default_factory=dict)
    measuring: dict[tuple[str, str], Measurement[Any]] = field(default_factory=dict)
    synthesised: float = 0.0
    gradient: NDArray[np.float32] | None = None
    status: str = ""
    stage: str = ""
    detail: str = ""

    def fail(self, status: str, detail: str) -> None:
        """Ends the trial with a named failure."""
        self.status, self.detail = status, detail

    def drop_pending(self) -> None:
        """Keeps workers from what was submitted ahead: nobody needs it once the trial has ended."""
        for measurement in self.measuring.values():
            measurement.claim()

    def take(self, script: Script, utterance: Utterance) -> None:
        """Takes in what was measured of the voice speaking ``script``."""
        self.heard[script.text] = utterance
        self.synthesised += utterance.seconds
        if utterance.status:
            self.fail(utterance.status, utterance.detail)

    def embedding(self, script: Script) -> Embedding:
        """Of the voice speaking ``script``, which it does well."""
        found = self.heard[script.text].embedding
        assert found is not None
        return found

    def evaluation(self, weights: Mapping[str, float]) -> Evaluation:
        """What became of it.

        Where the target text was not reached, the target similarity is the probe's, and 0 where nothing was spoken: so
        those that were stopped are still ordered.
        """
        if self.status == "gradient":
            return Evaluation(
                self.status, 0.0, self.parts["target"], self.parts, self.synthesised, gradient=self.gradient
            )
        if self.status not in ("", "stopped"):
            return Evaluation(self.status, 0.0, -1.0, self.parts, self.synthesised, self.stage, self.detail)
        score = 0.0 if self.status else harmonic_mean(self.parts, weights)
        similarity = self.parts.get("target", self.parts.get("probe", 0.0))
        return Evaluation(self.status or "complete", score, similarity, self.parts, self.synthesised, self.stage)

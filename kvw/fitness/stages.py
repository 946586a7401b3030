"""The stages of the fitness: each measures one similarity of a voice that is being evaluated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kvw.fitness import acoustics
from kvw.fitness.background import take_all
from kvw.fitness.bank_distance import BankDistance
from kvw.fitness.listener import Listener
from kvw.fitness.speaker import cosine
from kvw.fitness.trial import Trial
from kvw.speech.synthesizer import Script
from kvw.types import Embedding


class Stage(Protocol):
    """Measures one similarity of each trial, or fails it; what another stage has heard is not spoken again.

    A stage may also have ``prefetch(trials)``: it has workers measure what earlier stages have spoken, ahead of the
    stage. It is called after each earlier stage with the trials that passed, and leaves alone what it has begun.
    """

    name: str

    def __call__(self, trials: Sequence[Trial]) -> None:
        """Sets ``parts[name]`` of each trial, in [0, 1]."""


class BankSimilarity:
    """1 for a voice no further from the bank than ``limit``, then ``limit / distance``; nothing is spoken."""

    name = "prior"

    def __init__(self, prior: BankDistance, limit: float) -> None:
        self.prior, self.limit = prior, limit

    def __call__(self, trials: Sequence[Trial]) -> None:
        """Looks at the voice."""
        for trial in trials:
            trial.parts[self.name] = self.limit / max(self.limit, self.prior(trial.voice))


class TargetSimilarity:
    """Cosine between the voice speaking and the target speaker, the mean over texts: of one, or of several."""

    def __init__(self, name: str, listener: Listener, scripts: Sequence[Script], target: Embedding) -> None:
        self.name, self.listener, self.scripts, self.target = name, listener, scripts, target

    def __call__(self, trials: Sequence[Trial]) -> None:
        """Speaks the texts."""
        for trial in self.listener.hear(trials, *self.scripts):
            cosines = [cosine(trial.embedding(script), self.target) for script in self.scripts]
            trial.parts[self.name] = float(np.mean(cosines))


class SelfSimilarity:
    """Cosine between the voice speaking the target text and the same voice speaking another, the mean over others.

    It is the voice's stability.
    """

    name = "self"

    def __init__(self, listener: Listener, script: Script, others: Sequence[Script]) -> None:
        self.listener, self.script, self.others = listener, script, others

    def __call__(self, trials: Sequence[Trial]) -> None:
        """Speaks the other texts."""
        for trial in self.listener.hear(trials, self.script, *self.others):
            own = trial.embedding(self.script)
            cosines = [cosine(own, trial.embedding(other)) for other in self.others]
            trial.parts[self.name] = float(np.mean(cosines))


class FeatureSimilarity:
    """Acoustic statistics of the voice speaking the target text against the target recording's."""

    name = "feature"

    def __init__(
        self,
        listener: Listener,
        script: Script,
        target: NDArray[np.float64],
        formula: Callable[[NDArray[np.float64], NDArray[np.float64]], float],
    ) -> None:
        self.listener, self.script, self.target, self.formula = listener, script, target, formula

    def prefetch(self, trials: Sequence[Trial]) -> None:
        """As :class:`Stage`: the wave of the target text; without workers nothing is measured yet."""
        text = self.script.text
        for trial in trials:
            if trial.statistics is None and text in trial.waves and trial.heard[text].statistics is None:
                trial.statistics = self.listener.scorers.submit(acoustics.statistics, trial.waves[text])

    def __call__(self, trials: Sequence[Trial]) -> None:
        """Measures the wave of the target text; it is spoken again where only its statistics are unknown."""
        sound = self.listener.hear(trials, self.script)
        unknown = [trial for trial in sound if trial.heard[self.script.text].statistics is None]
        for trial in unknown:
            if self.script.text not in trial.waves:
                (trial.waves[self.script.text],) = self.listener.speak([trial.voice], self.script)
        self.prefetch(unknown)
        measurements = [trial.statistics for trial in unknown if trial.statistics]
        take_all(measurements)
        for trial, measurement in zip(unknown, measurements, strict=True):
            try:
                statistics = measurement.result()
            except ValueError as error:
                trial.fail("unmeasurable", str(error))
                continue
            if not np.isfinite(statistics).all():
                trial.fail("not finite", "NaN or infinity in the statistics")
                continue
            utterance = replace(trial.heard[self.script.text], statistics=statistics)
            trial.heard[self.script.text] = utterance
            if trial.cache is not None:
                trial.cache.put({self.listener.key(trial.voice, self.script): utterance})
        for trial in sound:
            known = trial.heard[self.script.text].statistics
            if known is not None:
                trial.parts[self.name] = self.formula(known, self.target)

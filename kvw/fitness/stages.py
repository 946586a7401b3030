"""The stages of the fitness: each measures one similarity of a voice that is being evaluated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kvw.fitness import acoustics
from kvw.fitness.background import take_all
from kvw.fitness.bank_distance import BankDistance
from kvw.fitness.listener import Listener
from kvw.fitness.speaker import cosine
from kvw.fitness.trial import Trial
from kvw.speech.synthesizer import Script
from kvw.transcription.words import error_rate
from kvw.types import Embedding, Wave


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


class WaveStage:
    """A stage on what a function finds in the wave of the target text, which is kept in the utterance.

    Attributes:
        name: of the stage.
        kept: the attribute of :class:`kvw.evaluation.Utterance` that keeps what the function finds.
    """

    name: str
    kept: str

    def __init__(self, listener: Listener, script: Script) -> None:
        self.listener, self.script = listener, script

    def function(self) -> Callable[[Wave], Any]:
        """The function, pure and picklable; a ValueError of it is a named failure."""
        raise NotImplementedError

    def part(self, found: Any) -> float:
        """The similarity, in [0, 1], of what the function found."""
        raise NotImplementedError

    def usable(self, found: Any) -> bool:
        """Whether what the function found can be compared and kept."""
        return True

    def prefetch(self, trials: Sequence[Trial]) -> None:
        """As :class:`Stage`: the wave of the target text; without workers nothing is measured yet."""
        text = self.script.text
        for trial in trials:
            if self.kept not in trial.measuring and text in trial.waves and self._known(trial) is None:
                trial.measuring[self.kept] = self.listener.scorers.submit(self.function(), trial.waves[text])

    def __call__(self, trials: Sequence[Trial]) -> None:
        """Measures the wave of the target text; it is spoken again where only what is kept of it is unknown."""
        text = self.script.text
        sound = self.listener.hear(trials, self.script)
        unknown = [trial for trial in sound if self._known(trial) is None]
        for trial in unknown:
            if text not in trial.waves:
                (trial.waves[text],) = self.listener.speak([trial.voice], self.script)
        self.prefetch(unknown)
        take_all([trial.measuring[self.kept] for trial in unknown])
        for trial in unknown:
            try:
                found = trial.measuring[self.kept].result()
            except ValueError as error:
                trial.fail("unmeasurable", str(error))
                continue
            if not self.usable(found):
                trial.fail("not finite", f"NaN or infinity in the {self.kept}")
                continue
            trial.heard[text] = replace(trial.heard[text], **{self.kept: found})
            if trial.cache is not None:
                trial.cache.put({self.listener.key(trial.voice, self.script): trial.heard[text]})
        for trial in sound:
            if not trial.status:
                trial.parts[self.name] = self.part(self._known(trial))

    def _known(self, trial: Trial) -> Any:
        return getattr(trial.heard[self.script.text], self.kept)


class WordSimilarity(WaveStage):
    """The share of the target text's words that Whisper hears right: 1 - word errors / words, at least .01.

    A word that Whisper mishears from everybody costs every candidate and the stock voices the same: it moves no
    candidate past another, and the gate :class:`kvw.fitness.rules.KeepsUp` compares with the best stock voice's share.
    So the share is an absolute one, which needs no reference and is the same in every run.

    Args:
        hear: the text that Whisper hears in a wave.
        language: Kokoro's letter.
    """

    name, kept = "words", "transcript"

    def __init__(self, listener: Listener, script: Script, hear: Callable[[Wave], str], language: str) -> None:
        super().__init__(listener, script)
        self.hear, self.language = hear, language

    def function(self) -> Callable[[Wave], str]:
        """Whisper."""
        return self.hear

    def part(self, found: str) -> float:
        """The share of a transcript."""
        return max(acoustics.FLOOR, 1.0 - error_rate([self.script.text], [found], self.language))


class FeatureSimilarity(WaveStage):
    """Acoustic statistics of the voice speaking the target text against the target recording's."""

    name, kept = "feature", "statistics"

    def __init__(
        self,
        listener: Listener,
        script: Script,
        target: NDArray[np.float64],
        formula: Callable[[NDArray[np.float64], NDArray[np.float64]], float],
    ) -> None:
        super().__init__(listener, script)
        self.target, self.formula = target, formula

    def function(self) -> Callable[[Wave], NDArray[np.float64]]:
        """The statistics."""
        return acoustics.statistics

    def part(self, found: NDArray[np.float64]) -> float:
        """The similarity of statistics."""
        return self.formula(found, self.target)

    def usable(self, found: NDArray[np.float64]) -> bool:
        """Whether all statistics are finite."""
        return bool(np.isfinite(found).all())

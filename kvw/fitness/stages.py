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
    """A stage on what a function finds in the waves of some texts, which is kept in the utterances.

    Attributes:
        name: of the stage.
        kept: the attribute of :class:`kvw.evaluation.Utterance` that keeps what the function finds.
    """

    name: str
    kept: str

    def __init__(self, listener: Listener, scripts: Sequence[Script]) -> None:
        self.listener, self.scripts = listener, scripts

    def function(self) -> Callable[[Wave], Any]:
        """The function, pure and picklable; a ValueError of it is a named failure."""
        raise NotImplementedError

    def part(self, found: list[Any]) -> float:
        """The similarity, in [0, 1], of what the function found in each text."""
        raise NotImplementedError

    def usable(self, found: Any) -> bool:
        """Whether what the function found can be compared and kept."""
        return True

    def prefetch(self, trials: Sequence[Trial]) -> None:
        """As :class:`Stage`: the waves that have been spoken; without workers nothing is measured yet."""
        for trial in trials:
            for script in self.scripts:
                key, wave = (self.kept, script.text), trial.waves.get(script.text)
                if wave is not None and key not in trial.measuring and self._known(trial, script) is None:
                    trial.measuring[key] = self.listener.scorers.submit(self.function(), wave)

    def __call__(self, trials: Sequence[Trial]) -> None:
        """Measures the waves; a text is spoken again where only what is kept of it is unknown."""
        sound = self.listener.hear(trials, *self.scripts)
        unknown = [(trial, script) for trial in sound for script in self.scripts if self._known(trial, script) is None]
        for trial, script in unknown:
            if script.text not in trial.waves:
                (trial.waves[script.text],) = self.listener.speak([trial.voice], script)
        self.prefetch(sound)
        take_all([trial.measuring[self.kept, script.text] for trial, script in unknown])
        for trial, script in unknown:
            self._keep(trial, script)
        for trial in sound:
            if not trial.status:
                trial.parts[self.name] = self.part([self._known(trial, script) for script in self.scripts])

    def _keep(self, trial: Trial, script: Script) -> None:
        """Keeps what was found in the wave of a text, or fails the trial."""
        try:
            found = trial.measuring[self.kept, script.text].result()
        except ValueError as error:
            trial.fail("unmeasurable", str(error))
            return
        if not self.usable(found):
            trial.fail("not finite", f"NaN or infinity in the {self.kept}")
            return
        trial.heard[script.text] = replace(trial.heard[script.text], **{self.kept: found})
        if trial.cache is not None:
            trial.cache.put({self.listener.key(trial.voice, script): trial.heard[script.text]})

    def _known(self, trial: Trial, script: Script) -> Any:
        heard = trial.heard.get(script.text)
        return heard and getattr(heard, self.kept)


class WordSimilarity(WaveStage):
    """The share of the texts' words that Whisper hears right: 1 - word errors / words, at least .01.

    A word that Whisper mishears from everybody costs every candidate and the stock voices the same: it moves no
    candidate past another, and the gate :class:`kvw.fitness.rules.KeepsUp` compares with the best stock voice's share.
    So the share is an absolute one, which needs no reference and is the same in every run.

    Args:
        hear: the text that Whisper hears in a wave.
        language: Kokoro's letter.
    """

    name, kept = "words", "transcript"

    def __init__(
        self, listener: Listener, scripts: Sequence[Script], hear: Callable[[Wave], str], language: str
    ) -> None:
        super().__init__(listener, scripts)
        self.hear, self.language = hear, language

    def function(self) -> Callable[[Wave], str]:
        """Whisper."""
        return self.hear

    def part(self, found: list[str]) -> float:
        """The share of the transcripts of all texts together."""
        texts = [script.text for script in self.scripts]
        return max(acoustics.FLOOR, 1.0 - error_rate(texts, found, self.language))


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
        super().__init__(listener, [script])
        self.target, self.formula = target, formula

    def function(self) -> Callable[[Wave], NDArray[np.float64]]:
        """The statistics."""
        return acoustics.statistics

    def part(self, found: list[NDArray[np.float64]]) -> float:
        """The similarity of statistics."""
        return self.formula(found[0], self.target)

    def usable(self, found: NDArray[np.float64]) -> bool:
        """Whether all statistics are finite."""
        return bool(np.isfinite(found).all())

"""The stages of the fitness: each measures one similarity of a voice that is being evaluated."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kvw import features
from kvw.candidate import Evaluation
from kvw.gate import harmonic_mean
from kvw.prior import Prior
from kvw.scorers import Measurement, Scorers, take_all
from kvw.speaker import SpeakerEncoder, cosine
from kvw.speech import Script, Synthesizer
from kvw.types import SAMPLE_RATE, Embedding, Voice, Wave

SILENT_RMS = 1e-4
"""Below this level (full scale is 1) audio counts as silent: -80 dB."""

SHORTEST_SECONDS = 0.3
"""No text that can be scored is spoken in less."""

LONGEST_SECONDS_A_PHONEME = 1.0
"""Slower speech than this is a voice gone wrong; ordinary speech takes 0.07 s a phoneme."""


@dataclass
class Trial:
    """One voice on its way through the stages."""

    voice: Voice
    parts: dict[str, float] = field(default_factory=dict)
    waves: dict[str, Wave] = field(default_factory=dict)
    embeddings: dict[str, Embedding] = field(default_factory=dict)
    statistics: Measurement[NDArray[np.float64]] | None = None
    synthesised: float = 0.0
    status: str = ""
    stage: str = ""
    detail: str = ""

    def fail(self, status: str, detail: str) -> None:
        """Ends the trial with a named failure."""
        self.status, self.detail = status, detail

    def evaluation(self, weights: Mapping[str, float]) -> Evaluation:
        """What became of it.

        Where the target text was not reached, the target similarity is the probe's, and 0 where nothing was spoken: so
        those that were stopped are still ordered.
        """
        if self.status not in ("", "stopped"):
            return Evaluation(self.status, 0.0, -1.0, self.parts, self.synthesised, self.stage, self.detail)
        score = 0.0 if self.status else harmonic_mean(self.parts, weights)
        similarity = self.parts.get("target", self.parts.get("probe", 0.0))
        return Evaluation(self.status or "complete", score, similarity, self.parts, self.synthesised, self.stage)


def fault(wave: Wave, script: Script) -> tuple[str, str] | None:
    """Why ``wave`` can't be scored as ``script``, as (status, detail); None for sound audio.

    Resemblyzer gives silence, a click or a hum a valid embedding, so audio is checked before it is scored.
    """
    seconds = len(wave) / SAMPLE_RATE
    if len(wave) == 0:
        return "empty", "no audio"
    if not np.isfinite(wave).all():
        return "not finite", "NaN or infinity in the audio"
    if seconds < SHORTEST_SECONDS:
        return "too short", f"{seconds:.2f} s of audio for {script.phonemes} phonemes"
    if seconds > LONGEST_SECONDS_A_PHONEME * script.phonemes + 2:
        return "too long", f"{seconds:.1f} s of audio for {script.phonemes} phonemes"
    if float(np.sqrt(np.mean(np.square(wave, dtype=np.float64)))) < SILENT_RMS:
        return "silent", "the audio is silent"
    return None


class Ear:
    """Hears voices speak: synthesis, the audio's checks and speaker embeddings, once per voice and script.

    Attributes:
        scorers: what measures while it speaks on; without workers, unless an executor gives it some.
    """

    def __init__(self, synthesizer: Synthesizer, encoder: SpeakerEncoder, seed: int) -> None:
        self.synthesizer = synthesizer
        self.encoder = encoder
        self.seed = seed
        self.scorers = Scorers()

    def speak(self, voices: Sequence[Voice], script: Script) -> list[Wave]:
        """Speaks ``script`` with the noise seed that belongs to it: the same for every voice."""
        return self.synthesizer(voices, script, self.seed ^ zlib.crc32(script.text.encode()))

    def _spoken(self, voices: Sequence[Voice], script: Script) -> Iterator[Wave]:
        """As :meth:`speak`, each wave as soon as it is there."""
        batch = self.synthesizer.batch
        for start in range(0, len(voices), batch):
            yield from self.speak(voices[start : start + batch], script)

    def hear(self, trials: Sequence[Trial], *scripts: Script) -> list[Trial]:
        """Adds wave and embedding of each script to each trial, or fails it.

        Returns:
            The trials that are sound.
        """
        for script in scripts:
            fresh = [trial for trial in trials if not trial.status and script.text not in trial.waves]
            if not fresh:
                continue
            sound, measurements = [], []
            for trial, wave in zip(fresh, self._spoken([trial.voice for trial in fresh], script), strict=True):
                trial.waves[script.text] = wave
                trial.synthesised += len(wave) / SAMPLE_RATE
                wrong = fault(wave, script)
                if wrong:
                    trial.fail(*wrong)
                    continue
                sound.append(trial)
                # the last one is this process's own: with nothing more to speak it would only wait for a worker
                offered = self.scorers.submit if trial is not fresh[-1] else Measurement
                measurements.append(offered(self.encoder.measure, wave))
            take_all(measurements)
            embeddings = self.encoder.embed([measurement.result() for measurement in measurements])
            for trial, embedding in zip(sound, embeddings, strict=True):
                if embedding is None:
                    trial.fail("no speech", "the voice activity detector hears no speech in it")
                else:
                    trial.embeddings[script.text] = embedding
        return [trial for trial in trials if not trial.status]


class Stage(Protocol):
    """Measures one similarity of each trial, or fails it; what another stage has heard is not spoken again."""

    name: str

    def __call__(self, trials: Sequence[Trial]) -> None:
        """Sets ``parts[name]`` of each trial, in [0, 1]."""


class BankSimilarity:
    """1 for a voice no further from the bank than ``limit``, then ``limit / distance``; nothing is spoken."""

    name = "prior"

    def __init__(self, prior: Prior, limit: float) -> None:
        self.prior, self.limit = prior, limit

    def __call__(self, trials: Sequence[Trial]) -> None:
        """Looks at the voice."""
        for trial in trials:
            trial.parts[self.name] = self.limit / max(self.limit, self.prior(trial.voice))


class TargetSimilarity:
    """Cosine between the voice speaking and the target speaker, the mean over texts: of one, or of several."""

    def __init__(self, name: str, ear: Ear, scripts: Sequence[Script], target: Embedding) -> None:
        self.name, self.ear, self.scripts, self.target = name, ear, scripts, target

    def __call__(self, trials: Sequence[Trial]) -> None:
        """Speaks the texts."""
        for trial in self.ear.hear(trials, *self.scripts):
            cosines = [cosine(trial.embeddings[script.text], self.target) for script in self.scripts]
            trial.parts[self.name] = float(np.mean(cosines))


class SelfSimilarity:
    """Cosine between the voice speaking the target text and the same voice speaking another, the mean over others.

    It is the voice's stability.
    """

    name = "self"

    def __init__(self, ear: Ear, script: Script, others: Sequence[Script]) -> None:
        self.ear, self.script, self.others = ear, script, others

    def __call__(self, trials: Sequence[Trial]) -> None:
        """Speaks the other texts."""
        for trial in self.ear.hear(trials, self.script, *self.others):
            own = trial.embeddings[self.script.text]
            cosines = [cosine(own, trial.embeddings[other.text]) for other in self.others]
            trial.parts[self.name] = float(np.mean(cosines))


class FeatureSimilarity:
    """Acoustic statistics of the voice speaking the target text against the target recording's."""

    name = "feature"

    def __init__(
        self,
        ear: Ear,
        script: Script,
        target: NDArray[np.float64],
        formula: Callable[[NDArray[np.float64], NDArray[np.float64]], float],
    ) -> None:
        self.ear, self.script, self.target, self.formula = ear, script, target, formula

    def begin(self, trials: Sequence[Trial]) -> None:
        """Has workers measure what has been spoken, ahead of the stage; without workers nothing is measured yet."""
        for trial in trials:
            trial.statistics = self.ear.scorers.submit(features.statistics, trial.waves[self.script.text])

    def __call__(self, trials: Sequence[Trial]) -> None:
        """Measures the wave of the target text."""
        sound = self.ear.hear(trials, self.script)
        self.begin([trial for trial in sound if trial.statistics is None])
        measurements = [trial.statistics for trial in sound if trial.statistics]
        take_all(measurements)
        for trial, measurement in zip(sound, measurements, strict=True):
            try:
                statistics = measurement.result()
            except ValueError as error:
                trial.fail("unmeasurable", str(error))
            else:
                trial.parts[self.name] = self.formula(statistics, self.target)

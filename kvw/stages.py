"""The stages of the fitness: each measures one similarity of a voice that is being evaluated."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kvw import features
from kvw.candidate import Evaluation
from kvw.gate import OPEN, Gate, harmonic_mean
from kvw.prior import Prior
from kvw.scorers import Measurement, Scorers, take_all
from kvw.speaker import SpeakerEncoder, cosine
from kvw.speech import Script, Synthesizer
from kvw.types import SAMPLE_RATE, Embedding, Voice, Wave
from kvw.utterance import Memory, Utterance, key

SILENT_RMS = 1e-4
"""Below this level (full scale is 1) audio counts as silent: -80 dB."""

SHORTEST_SECONDS = 0.3
"""No text that can be scored is spoken in less."""

LONGEST_SECONDS_A_PHONEME = 1.0
"""Slower speech than this is a voice gone wrong; ordinary speech takes 0.07 s a phoneme."""

MOST_WAITING = 4
"""Batches that have been spoken and wait for a worker to measure them: so much is spoken again after a crash."""

Measured: TypeAlias = "Measurement[NDArray[np.float32] | None] | tuple[str, str]"
"""A wave that is being measured, or what is wrong with it: status and detail."""


@dataclass
class Trial:
    """One voice on its way through the stages.

    ``heard`` and ``waves`` are by the script's text; what comes from a memory has no wave.
    """

    voice: Voice
    gate: Gate = OPEN
    parts: dict[str, float] = field(default_factory=dict)
    heard: dict[str, Utterance] = field(default_factory=dict)
    waves: dict[str, Wave] = field(default_factory=dict)
    statistics: Measurement[NDArray[np.float64]] | None = None
    synthesised: float = 0.0
    status: str = ""
    stage: str = ""
    detail: str = ""

    def fail(self, status: str, detail: str) -> None:
        """Ends the trial with a named failure."""
        self.status, self.detail = status, detail

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
    if seconds > LONGEST_SECONDS_A_PHONEME * script.phonemes + 2:  # first: to look at hours takes memory
        return "too long", f"{seconds:.1f} s of audio for {script.phonemes} phonemes"
    if not np.isfinite(wave).all():
        return "not finite", "NaN or infinity in the audio"
    if seconds < SHORTEST_SECONDS:
        return "too short", f"{seconds:.2f} s of audio for {script.phonemes} phonemes"
    if float(np.sqrt(np.mean(np.square(wave, dtype=np.float64)))) < SILENT_RMS:
        return "silent", "the audio is silent"
    return None


class Ear:
    """Hears voices speak: synthesis, the audio's checks and speaker embeddings, once per voice and script.

    Attributes:
        scorers: what measures while it speaks on; without workers, unless an executor gives it some.
        memory: what need not be spoken again; None for nothing.
        speaker: what utterances depend on beside voice, script and noise: the synthesiser, and the kind of its device.
    """

    def __init__(self, synthesizer: Synthesizer, encoder: SpeakerEncoder, seed: int) -> None:
        self.synthesizer = synthesizer
        self.encoder = encoder
        self.seed = seed
        self.scorers = Scorers()
        self.memory: Memory | None = None
        self.speaker = f"{synthesizer.identity} {encoder.device.type}"

    def speak(self, voices: Sequence[Voice], script: Script) -> list[Wave]:
        """Speaks ``script`` with the noise seed that belongs to it: the same for every voice."""
        return self.synthesizer(voices, script, self._noise(script))

    def key(self, voice: Voice, script: Script) -> str:
        """By which the utterance is remembered."""
        return key(voice, script, self._noise(script), self.speaker)

    def _noise(self, script: Script) -> int:
        return self.seed ^ zlib.crc32(script.text.encode())

    def hear(self, trials: Sequence[Trial], *scripts: Script) -> list[Trial]:
        """Adds the utterance of each script to each trial, or fails it; new ones are remembered as they come.

        Returns:
            The trials that are sound.
        """
        for script in scripts:
            fresh = []
            for trial in trials:
                if trial.status or script.text in trial.heard:
                    continue
                known = self.memory.recall(self.key(trial.voice, script)) if self.memory is not None else None
                if known:
                    trial.take(script, known)
                else:
                    fresh.append(trial)
            self._hear(fresh, script)
        return [trial for trial in trials if not trial.status]

    def _hear(self, trials: Sequence[Trial], script: Script) -> None:
        """Speaks ``script`` and measures it, batch by batch; what is spoken may be measured while it speaks on."""
        waiting: list[list[tuple[Trial, Measured]]] = []
        batch = self.synthesizer.batch
        for start in range(0, len(trials), batch):
            some = trials[start : start + batch]
            waves = self.speak([trial.voice for trial in some], script)
            waiting.append([])
            for trial, wave in zip(some, waves, strict=True):
                trial.waves[script.text] = wave
                # the last one is this process's own: with nothing more to speak it would only wait for a worker
                offered = self.scorers.submit if trial is not trials[-1] else Measurement
                measured = fault(wave, script) or offered(self.encoder.measure, wave)
                waiting[-1].append((trial, measured))
            while waiting and (len(waiting) > MOST_WAITING or self._is_measured(waiting[0])):
                self._remember(waiting.pop(0), script)
        take_all([measured for some in waiting for _, measured in some if isinstance(measured, Measurement)])
        for one in waiting:
            self._remember(one, script)

    def _is_measured(self, spoken: Sequence[tuple[Trial, Measured]]) -> bool:
        """Whether nothing is gained by waiting for a worker."""
        return not self.scorers.working or all(
            measured.found.done() for _, measured in spoken if isinstance(measured, Measurement)
        )

    def _remember(self, spoken: Sequence[tuple[Trial, Measured]], script: Script) -> None:
        """Ends the measurements of a batch; together, so that one that goes on after a crash has the same batches."""
        found = [measured.result() for _, measured in spoken if isinstance(measured, Measurement)]
        embeddings = iter(self.encoder.embed(found))
        utterances = []
        for trial, measured in spoken:
            seconds = len(trial.waves[script.text]) / SAMPLE_RATE
            if not isinstance(measured, Measurement):
                utterances.append(Utterance(seconds, *measured))
            elif (embedding := next(embeddings)) is None:
                utterances.append(Utterance(seconds, "no speech", "the voice activity detector hears no speech in it"))
            elif not np.isfinite(embedding).all():
                utterances.append(Utterance(seconds, "not finite", "NaN or infinity in the embedding"))
            else:
                utterances.append(Utterance(seconds, embedding=embedding))
        voices = [trial.voice for trial, _ in spoken]
        if self.memory is not None:
            keys = [self.key(voice, script) for voice in voices]
            self.memory.keep(dict(zip(keys, utterances, strict=True)))
        for (trial, _), utterance in zip(spoken, utterances, strict=True):
            trial.take(script, utterance)


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
            cosines = [cosine(trial.embedding(script), self.target) for script in self.scripts]
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
            own = trial.embedding(self.script)
            cosines = [cosine(own, trial.embedding(other)) for other in self.others]
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
            if trial.heard[self.script.text].statistics is None and self.script.text in trial.waves:
                trial.statistics = self.ear.scorers.submit(features.statistics, trial.waves[self.script.text])

    def __call__(self, trials: Sequence[Trial]) -> None:
        """Measures the wave of the target text; it is spoken again where only its statistics are unknown."""
        sound = self.ear.hear(trials, self.script)
        unknown = [trial for trial in sound if trial.heard[self.script.text].statistics is None]
        for trial in unknown:
            if self.script.text not in trial.waves:
                (trial.waves[self.script.text],) = self.ear.speak([trial.voice], self.script)
        self.begin([trial for trial in unknown if trial.statistics is None])
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
            if self.ear.memory is not None:
                self.ear.memory.keep({self.ear.key(trial.voice, self.script): utterance})
        for trial in sound:
            known = trial.heard[self.script.text].statistics
            if known is not None:
                trial.parts[self.name] = self.formula(known, self.target)

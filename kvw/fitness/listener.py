"""Hears voices speak: synthesis, checks of the audio, and speaker embeddings, once per voice and script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kvw.evaluation import Pullback, Utterance
from kvw.fitness.background import Measurement, Scorers, take_all
from kvw.fitness.speaker import SpeakerEncoder
from kvw.fitness.trial import Trial
from kvw.fitness.utterances import gradient_key, noise_seed, utterance_key
from kvw.speech.synthesizer import Script, Synthesizer
from kvw.types import SAMPLE_RATE, Voice, Wave

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


class Listener:
    """Hears voices speak: synthesis, the audio's checks and speaker embeddings, once per voice and script.

    Attributes:
        scorers: measure waves while the next are spoken; without processes, unless an executor gives some.
        identity_on_device: the synthesiser's identity and the kind of device that it runs on: with voice, script and
            noise it is all that an utterance depends on.
    """

    def __init__(self, synthesizer: Synthesizer, encoder: SpeakerEncoder, seed: int) -> None:
        self.synthesizer = synthesizer
        self.encoder = encoder
        self.seed = seed
        self.scorers = Scorers()
        self.identity_on_device = f"{synthesizer.identity} {encoder.device.type}"

    def speak(self, voices: Sequence[Voice], script: Script) -> list[Wave]:
        """Speaks ``script`` with the noise seed that belongs to it: the same for every voice."""
        return self.synthesizer(voices, script, noise_seed(self.seed, script))

    def key(self, voice: Voice, script: Script, pullback: Pullback | None = None) -> str:
        """The key of the utterance in a cache; with ``pullback``, of that gradient."""
        rows = [voice[segment.row, 0] for segment in script.segments]
        if pullback:
            return gradient_key(rows, script, pullback, self.identity_on_device)
        return utterance_key(rows, script, self.seed, self.identity_on_device)

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
                known = None if trial.cache is None else trial.cache.get(self.key(trial.voice, script))
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
        cache = spoken[0][0].cache  # the trials of one call have the same
        if cache is not None:
            keys = [self.key(trial.voice, script) for trial, _ in spoken]
            cache.put(dict(zip(keys, utterances, strict=True)))
        for (trial, _), utterance in zip(spoken, utterances, strict=True):
            trial.take(script, utterance)

"""What a candidate gets that asks for a gradient: see :class:`kvw.evaluation.Pullback`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kvw.evaluation import Pullback, Utterance
from kvw.fitness.listener import Listener, fault
from kvw.fitness.speaker import cosine
from kvw.fitness.trial import Trial
from kvw.fitness.utterances import noise_seed
from kvw.speech.synthesizer import Script
from kvw.types import SAMPLE_RATE, Embedding, Voice

COST = 3
"""What a gradient costs, in evaluations of the same audio: 2.0 to 2.5 were measured on a CPU thread."""


class Gradient:
    """A :class:`kvw.fitness.stages.Stage`, in place of all others, of candidates that ask for a gradient.

    Args:
        listener: whose synthesiser and encoder can be differentiated.
        scripts: the short texts.
        target: embedding of the target.
    """

    name = "target"

    def __init__(self, listener: Listener, scripts: Sequence[Script], target: Embedding) -> None:
        self.listener, self.scripts, self.target = listener, scripts, target

    def __call__(self, trials: Sequence[Trial]) -> None:
        """Measures the gradients; the similarity to the target comes with them."""
        for trial in trials:
            pullback = trial.gate.pullback
            assert pullback is not None
            script = self.scripts[pullback.text]
            key = self.listener.key(trial.voice, script, pullback)
            found = None if trial.cache is None else trial.cache.get(key)
            if found is None:
                found = self._measured(trial.voice, script, pullback)
                if trial.cache is not None:
                    trial.cache.put({key: found})
            trial.take(script, found)
            trial.synthesised += (COST - 1) * found.seconds
            if not trial.status:
                trial.parts[self.name] = cosine(trial.embedding(script), self.target)
                trial.gradient = found.gradient

    def _measured(self, voice: Voice, script: Script, pullback: Pullback) -> Utterance:
        """The gradient as an utterance, or a named failure."""
        wave, by_offset = self.listener.synthesizer.vjp(voice, script, noise_seed(pullback.seed, script))
        seconds = len(wave) / SAMPLE_RATE
        if wrong := fault(wave, script):
            return Utterance(seconds, *wrong)
        heard = self.listener.encoder.vjp(wave)
        if heard is None:
            return Utterance(seconds, "no speech", "the voice activity detector hears no speech in it")
        embedding, by_wave = heard
        gradient = by_offset(by_wave(np.array(pullback.cotangent, dtype=np.float32)))
        if not np.isfinite(gradient).all() or not gradient.any():
            return Utterance(seconds, "no gradient", "the gradient is zero, or has NaN or infinity")
        return Utterance(seconds, embedding=embedding, gradient=gradient)

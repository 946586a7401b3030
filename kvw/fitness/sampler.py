"""Voices that speak one of several texts, for an atlas: what an executor runs in the place of a fitness."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kvw.audio.pitch import intonation
from kvw.audio.timbre import timbre
from kvw.evaluation import OPEN, Evaluation, Gate, UtteranceCache, gates_for
from kvw.fitness.hybrid import attempt
from kvw.fitness.listener import Listener
from kvw.fitness.speaker import SpeakerEncoder
from kvw.fitness.stages import WaveStage
from kvw.fitness.trial import Trial
from kvw.speech.synthesizer import Script, Synthesizer
from kvw.types import Voice, Wave


class Sampler:
    """Lets each voice speak the text that its gate names: the utterances in the cache are what is wanted.

    Args:
        synthesizer: what speaks.
        encoder: what hears who speaks.
        texts: short ones.
        seed: of the synthesiser's noise.

    Attributes:
        listener: what speaks and hears.
        scripts: the texts, in their order.
        measures: the functions of a wave that the listener's scorers are asked for.

    Raises:
        KvwError: a text has nothing that can be pronounced.
    """

    def __init__(self, *, synthesizer: Synthesizer, encoder: SpeakerEncoder, texts: Sequence[str], seed: int) -> None:
        self.listener = Listener(synthesizer, encoder, seed)
        self.scripts: tuple[Script, ...] = tuple(map(synthesizer.script, texts))
        self.measures: tuple[Callable[[Wave], Any], ...] = (encoder.measure, manner)

    def __call__(
        self, voices: Sequence[Voice], gate: Gate | Sequence[Gate] = OPEN, cache: UtteranceCache | None = None
    ) -> list[Evaluation]:
        """Speaks and measures; an evaluation says no more than whether that went well.

        Args:
            voices: to speak.
            gate: whose ``only`` is the number of the text, one for all or one for each.
            cache: gives and stores utterances.
        """
        trials = [Trial(voice, one, cache) for voice, one in zip(voices, gates_for(gate, len(voices)), strict=True)]
        for number, script in enumerate(self.scripts):
            some = [trial for trial in trials if trial.gate.only == str(number)]
            attempt(Spoken(self.listener, [script]), some)
            for trial in some:
                trial.status = trial.status or "stopped"
        return [trial.evaluation({}) for trial in trials]


def manner(wave: Wave) -> NDArray[np.float64]:
    """How a wave is spoken: :func:`kvw.audio.pitch.intonation`, then :func:`kvw.audio.timbre.timbre`, ``(5,)``."""
    return np.concatenate([intonation(wave), timbre(wave)])


class Spoken(WaveStage):
    """The stage in which voices speak one text: their manner is kept as the utterance's statistics."""

    name = "spoken"
    kept = "statistics"

    def __call__(self, trials: Sequence[Trial]) -> None:
        """Speaks the text, and measures the speech; nothing is compared."""
        for trial in trials:
            if not np.isfinite(trial.voice).all():
                trial.fail("not finite", "NaN or infinity in the voice")
        super().__call__(trials)

    def function(self) -> Callable[[Wave], Any]:
        """As :class:`kvw.fitness.stages.WaveStage`."""
        return manner

    def part(self, found: list[Any]) -> float:
        """1: every voice that speaks is welcome."""
        return 1.0

    def usable(self, found: Any) -> bool:
        """Whether the manner is numbers."""
        return bool(np.isfinite(found).all())

"""KVoiceWalk's loop, and how a bench compares with it: both take turns in one run, so that noise disturbs both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from resemblyzer import VoiceEncoder

from kvw.evaluation import OPEN, Gate
from kvw.fitness import acoustics
from kvw.fitness.speaker import SpeakerEncoder
from kvw.speech.synthesizer import Script, Segment
from kvw.text import aligned
from kvw.types import VOICE_SHAPE, Voice, Wave
from tests.conftest import default_fitness
from tests.support.reference import own_embedding, separate_calls

SCORING_ROUNDS = 7
UNBEATABLE = Gate(99.0, {"target": 1.0})

Speak = Callable[[Voice, str], Wave]


class KVoiceWalk:
    """One candidate at a time, everything anew for each: synthesis, Resemblyzer's and librosa's functions as they are.

    Args:
        speak: the synthesis of a text.
        target: the recording.
        texts: the target text and the other one.
    """

    def __init__(self, speak: Speak, target: Wave, texts: tuple[str, str], device: str) -> None:
        self.speak, self.texts = speak, texts
        self.encoder = VoiceEncoder(device, verbose=False)
        self.target, self.statistics = own_embedding(self.encoder, target), acoustics.statistics(target)

    def rejected(self, voice: Voice) -> None:
        """Target similarity alone."""
        self.compare(self.speak(voice, self.texts[0]))

    def accepted(self, voice: Voice) -> None:
        """Every similarity."""
        wave = self.speak(voice, self.texts[0])
        self.compare(wave)
        self.score(wave, self.speak(voice, self.texts[1]))

    def compare(self, wave: Wave) -> None:
        """Target similarity."""
        np.inner(own_embedding(self.encoder, wave), self.target)

    def score(self, wave: Wave, other: Wave) -> None:
        """Self similarity, for which the original embeds the first wave once more, and feature similarity."""
        np.inner(own_embedding(self.encoder, wave), own_embedding(self.encoder, other))
        values = np.array(list(separate_calls(wave).values()))
        acoustics.kvoicewalk_similarity(values, self.statistics)


class Replay:
    """A synthesiser that has spoken already: what is left is scoring."""

    name = identity = "replay"
    batch = 1

    def __init__(self, waves: dict[str, Wave]) -> None:
        self.waves = waves

    def script(self, text: str) -> Script:
        """So many phonemes that no wave is too long for them."""
        return Script(text, (Segment(text, "a" * 400),))

    def __call__(self, voices: Sequence[Voice], script: Script, seed: int, speed: float = 1.0) -> list[Wave]:
        """The wave of the text."""
        return [self.waves[script.text]] * len(voices)


Row = tuple[str, Callable[[], object], Callable[[], object]]


def interleaved(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median seconds of two functions that take turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for round_ in range(rounds + 1):
        for function, kept in zip((ours, theirs), times, strict=True):
            started = time.perf_counter()
            function()
            if round_:  # the first one warms caches up
                kept.append(time.perf_counter() - started)
    return statistics.median(times[0]), statistics.median(times[1])


def compared(rows: Sequence[Row], rounds: int, per: int = 1) -> list[tuple[float, float]]:
    """Seconds of each row: of a candidate, where the first function does ``per`` of them at once."""
    times = [interleaved(ours, theirs, rounds) for _, ours, theirs in rows]
    return [(mine / per, reference) for mine, reference in times]


def table(rows: Sequence[Row], found: Sequence[tuple[float, float]], theirs: str = "KVoiceWalk") -> str:
    """Both sides' seconds, their ratio, and how many kvw does in a minute."""
    lines = [("", "kvw", theirs, "ratio", "a minute")]
    for (name, _, _), (mine, reference) in zip(rows, found, strict=True):
        lines.append((name, f"{mine:.3f} s", f"{reference:.3f} s", f"{reference / mine:.2f}", f"{60 / mine:.0f}"))
    return "\n".join(aligned(lines, 1))


def scoring_table(encoder: SpeakerEncoder, reference: KVoiceWalk, waves: dict[str, Wave], given: dict[str, Any]) -> str:
    """What is spent besides synthesis.

    Args:
        encoder: of speakers.
        reference: the loop to compare with.
        waves: the target text's and the other's, by text.
        given: what the fitness is made of, but for the synthesiser.
    """
    fitness, voice = default_fitness(synthesizer=Replay(waves), **given), np.zeros(VOICE_SHAPE, np.float32)
    wave, other = waves.values()

    def all_of_it() -> None:
        reference.compare(wave)
        reference.score(wave, other)

    rows: list[Row] = [
        ("similarity", lambda: encoder([wave]), lambda: own_embedding(reference.encoder, wave)),
        ("features", lambda: acoustics.statistics(wave), lambda: separate_calls(wave)),
        ("scoring, accepted", lambda: fitness([voice], OPEN), all_of_it),
    ]
    return table(rows, compared(rows, SCORING_ROUNDS))

"""A world so small that a whole run takes milliseconds: six genes for a space, numbers for speech.

The search, the strategies and the record of a run in it are the real ones (:mod:`tests.stress.cases`).
"""

from __future__ import annotations

import dataclasses
import functools
import mmap
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kvw.evaluation import Evaluation, Gate, Pullback, Utterance, UtteranceCache, gates_for, harmonic_mean
from kvw.fitness.utterances import gradient_key, utterance_key
from kvw.speech.synthesizer import Script, Segment
from kvw.types import STYLE_WIDTH, Genome, Voice

SEED = 7


LIMIT = 4
"""Stock voices that the search starts from."""


GENES = 6


COLUMNS = np.arange(STYLE_WIDTH) * GENES // STYLE_WIDTH
"""Which gene moves a column."""


LEVELS = np.random.default_rng(3).integers(-32, 33, (6, GENES)) / 64
"""Of the stock voices: numbers whose means and differences are exact, so that the space holds each of them."""


@functools.cache
def bank(rows: int) -> dict[str, Voice]:
    """Six stock voices of so many rows: nothing but the files of real voices needs 510."""
    curve = (np.arange(rows, dtype=np.float32) / 4096)[:, None, None]
    return {
        f"af_{name}": curve + level[COLUMNS].astype(np.float32) for name, level in zip("abcdef", LEVELS, strict=True)
    }


GOAL = np.linspace(-0.4, 0.6, GENES)[COLUMNS]


SCRIPTS = [Script(text, (Segment(text, phonemes),)) for text, phonemes in (("one", "w" * 5), ("two", "w" * 9))]


ROWS = [segment.row for script in SCRIPTS for segment in script.segments]


class Blocks:
    """A space of six genes, each of which moves a block of columns in all rows."""

    def __init__(self, *, bank: Sequence[Voice], top: Sequence[Voice], base: Voice) -> None:
        self._base = base
        self.dim = GENES
        self.origin = np.zeros(GENES)
        self.scale = np.std([self.encode(voice) for voice in top], axis=0) + 0.05

    def decode(self, genome: Genome) -> Voice:
        """The base voice, moved."""
        voice: Voice = self._base + genome.astype(np.float32)[COLUMNS]
        return voice

    def encode(self, voice: Voice) -> Genome:
        """How far a voice is from the base voice."""
        away = voice[0, 0].astype(np.float64) - self._base[0, 0]
        return np.array([away[gene == COLUMNS].mean() for gene in range(GENES)])

    def pullback(self, gradient: NDArray[np.floating]) -> Genome:
        """The gradient by the genome of that by an offset of all rows."""
        return np.array([gradient[gene == COLUMNS].sum() for gene in range(GENES)])


class Count:
    """Numbers that a child counts up and its parent reads, also if the child was killed."""

    def __init__(self, size: int = 2) -> None:
        self.values = np.frombuffer(mmap.mmap(-1, 8 * size), dtype=np.int64)


WORK = Count()
"""Utterances spoken; statistics measured."""


def work(*values: int) -> tuple[int, int]:
    """What :data:`WORK` says, and is from now on if that is given."""
    if values:
        WORK.values[:] = values
    spoken, measured = (int(value) for value in WORK.values)
    return spoken, measured


def key_of(voice: Voice, script: Script) -> str:
    """The key of an utterance."""
    return utterance_key([voice[segment.row, 0] for segment in script.segments], script, SEED, "stress")


class Speech:
    """An executor: a voice "speaks" two texts, the nearer to :data:`GOAL` the better; one utterance of seven fails.

    Args:
        pause: seconds that an utterance takes.
    """

    batch = 1

    def __init__(self, pause: float = 0.0) -> None:
        self._pause = pause

    def __call__(
        self, voices: Sequence[Voice], gate: Gate | Sequence[Gate], cache: UtteranceCache | None = None
    ) -> list[Evaluation]:
        """Evaluates voices one by one; it needs a cache."""
        assert cache is not None
        gates = gates_for(gate, len(voices))
        return [self._evaluate(voice, own, cache) for voice, own in zip(voices, gates, strict=True)]

    def close(self) -> None:
        """Nothing to let go."""

    def _evaluate(self, voice: Voice, gate: Gate, cache: UtteranceCache) -> Evaluation:
        if gate.pullback:
            return self._climb(voice, gate.pullback, cache)
        parts: dict[str, float] = {}
        spoken, first = 0.0, None
        for part, script in zip(("target", "self"), SCRIPTS, strict=True):
            heard = self._hear(voice, script, cache)
            first = first or heard
            spoken += heard.seconds
            if heard.status:
                return Evaluation(heard.status, stage=part, detail=heard.detail, synthesised=spoken)
            assert heard.embedding is not None
            parts[part] = 1 / (1 + float(np.abs(heard.embedding - GOAL).mean()))
            if gate.only or parts["target"] < 0.98 * gate.parts.get("target", 0.0):
                return Evaluation("stopped", 0.0, parts["target"], parts, spoken, stage=part)
        parts["feature"] = 1 / (1 + float(self._statistics(voice, first, cache).mean()))
        score = harmonic_mean(parts, {"target": 1.0, "self": 1.0, "feature": 0.1})
        return Evaluation("complete", score, parts["target"], parts, spoken)

    def _climb(self, voice: Voice, pullback: Pullback, cache: UtteranceCache) -> Evaluation:
        """The way to the goal as a gradient, which a text bends; one of seven fails."""
        script = SCRIPTS[pullback.text % 2]
        (row,) = (voice[segment.row, 0] for segment in script.segments)
        name = gradient_key([row], script, pullback, "stress")
        heard = cache.get(name)
        if heard is None:
            WORK.values[0] += 1
            if self._pause:
                time.sleep(self._pause)
            gradient = (GOAL - row + 0.1 * pullback.text).astype(np.float32)
            failed = int(name[:8], 16) % 7 == 0
            heard = (
                Utterance(0.0, "no gradient", "as foretold")
                if failed
                else Utterance(3.0, embedding=row * np.float32(1.01), gradient=gradient)
            )
            cache.put({name: heard})
        if heard.status:
            return Evaluation(heard.status, stage="target", detail=heard.detail)
        return Evaluation("gradient", 0.0, 0.5, {"target": 0.5}, heard.seconds, gradient=heard.gradient)

    def _hear(self, voice: Voice, script: Script, cache: UtteranceCache) -> Utterance:
        name = key_of(voice, script)
        heard = cache.get(name)
        if heard is None:
            WORK.values[0] += 1
            if self._pause:
                time.sleep(self._pause)
            (row,) = (segment.row for segment in script.segments)
            number = int(name[:8], 16)
            seconds = 1 + number / 3e9
            if number % 7:
                heard = Utterance(seconds, embedding=voice[row, 0] * np.float32(1.01))
            else:
                heard = Utterance(0.0, "silent", "as foretold")
            cache.put({name: heard})
        return heard

    def _statistics(self, voice: Voice, heard: Utterance, cache: UtteranceCache) -> NDArray[np.float64]:
        """Of the first text, measured where nobody has."""
        assert heard.embedding is not None
        if heard.statistics is None:
            WORK.values[1] += 1
            heard = dataclasses.replace(heard, statistics=np.abs(heard.embedding[::32].astype(np.float64) - 0.1))
            cache.put({key_of(voice, SCRIPTS[0]): heard})
        assert heard.statistics is not None
        return heard.statistics

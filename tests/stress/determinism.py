"""The same evaluations to the last bit, on a CPU with one thread: whoever evaluates, in which order, and how often.

The models are the real ones: the embedded synthesiser, Resemblyzer and the statistics.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from kvw.audio.recordings import read_recording
from kvw.config.paths import DEMO
from kvw.evaluation import OPEN, Evaluation, Executor, Gate, Utterance, UtteranceCache
from kvw.executors.local import LocalExecutor
from kvw.executors.processes import ProcessExecutor
from kvw.fitness.hybrid import HybridFitness
from kvw.fitness.speaker import SpeakerEncoder
from kvw.fitness.utterances import DictCache
from kvw.runtime.workers import limit_threads
from kvw.speech.embedded.stock_voices import stock_voices
from kvw.speech.embedded.synthesizer import EmbeddedSynthesizer
from kvw.types import Voice
from tests.conftest import SHORT, default_fitness
from tests.stress.deaths import kill
from tests.stress.rows import Row, row
from tests.support.measures import ready


@lru_cache
def _models() -> tuple[EmbeddedSynthesizer, SpeakerEncoder]:
    return EmbeddedSynthesizer(), SpeakerEncoder("cpu")


def fitness() -> HybridFitness:
    """The default fitness with short texts; workers make it too."""
    limit_threads(1)
    synthesizer, encoder = _models()
    demo = read_recording(DEMO)
    short = ("The kettle began to sing.",)
    return default_fitness(synthesizer=synthesizer, encoder=encoder, target=[demo], short_texts=short, **SHORT)


def candidates(count: int, seed: int = 0) -> list[Voice]:
    """Blends of stock voices, moved; one of ten has gone wrong."""
    draw, stock = np.random.default_rng(seed), list(stock_voices().values())
    found = []
    for number in range(count):
        one, other = (stock[index] for index in draw.choice(len(stock), 2, replace=False))
        share, moved = draw.uniform(-0.2, 1.2), draw.normal(0, 0.05 * np.std(one), (1, 1, one.shape[2]))
        voice = (share * one + (1 - share) * other + moved).astype(np.float32)
        if number % 10 == 5:
            voice = (voice * (np.inf, 0.0, 1e4)[number // 10 % 3]).astype(np.float32)
        found.append(voice)
    return found


class Dying(DictCache):
    """A cache that ends a worker process when it is told the third thing."""

    def __init__(self, known: Mapping[str, Utterance], executor: ProcessExecutor) -> None:
        super().__init__(known)
        self._executor, self._left = executor, 3

    def put(self, utterances: Mapping[str, Utterance]) -> None:
        """As :class:`kvw.evaluation.UtteranceCache`."""
        super().put(utterances)
        self._left -= 1
        if self._left == 0:
            kill(self._executor, 1)

    @property
    def has_killed(self) -> bool:
        """Whether it did."""
        return self._left <= 0


def half(known: Mapping[str, Utterance], seed: int) -> dict[str, Utterance]:
    """Some of what is known, without its statistics here and there."""
    draw = random.Random(seed)
    kept = {key: one for key, one in known.items() if draw.random() < 0.5}
    return {key: one if draw.random() < 0.5 else replace(one, statistics=None) for key, one in kept.items()}


@contextmanager
def closing(executor: Executor) -> Iterator[Any]:
    """Closes it."""
    try:
        yield executor
    finally:
        executor.close()


def evaluations(
    executor: Executor,
    voices: Sequence[Voice],
    order: Sequence[int],
    size: int,
    gate: Gate,
    cache: UtteranceCache | None = None,
) -> list[Evaluation]:
    """The evaluations of voices, in their order, that are handed over in another and so many at once."""
    found: dict[int, Evaluation] = {}
    for at in range(0, len(order), size):
        some = order[at : at + size]
        found |= dict(zip(some, executor([voices[number] for number in some], gate, cache), strict=True))
    return [found[number] for number in range(len(voices))]


def bit_equal(count: int = 100, workers: Sequence[int] = (1, 2)) -> list[Row]:
    """Every executor, order, company, memory and death.

    Args:
        count: of candidates.
        workers: numbers of processes, each of which is tried; in the last one of them dies.
    """
    rows = []
    voices = candidates(count)
    ahead = list(range(count))
    back, mixed = ahead[::-1], random.Random(1).sample(ahead, count)
    with closing(LocalExecutor(fitness=fitness, scorers=0)) as executor:
        known = DictCache()
        expected = {"open": evaluations(executor, voices, ahead, count, OPEN, known)}
    heard = sorted(seen.target_similarity for seen in expected["open"] if seen.complete)
    gates = {"open": OPEN, "gated": Gate(20.0, {"target": heard[len(heard) // 2] / 0.98})}
    with closing(LocalExecutor(fitness=fitness, scorers=0)) as executor:
        expected["gated"] = evaluations(executor, voices, ahead, count, gates["gated"])

    def judge(
        what: str, executor: Executor, order: Sequence[int], size: int, gate: str, cache: UtteranceCache | None = None
    ) -> Row:
        with row(f"bit-equal: {what}") as found:
            seen = evaluations(executor, voices, order, size, gates[gate], cache)
            for number, (one, same) in enumerate(zip(seen, expected[gate], strict=True)):
                found.add(f"candidate {number}", "" if repr(one) == repr(same) else f"{one} instead of {same}")
            found.note = ", ".join(sorted({one.status for one in seen}))
        rows.append(found)
        return found

    for what, order, size, gate in (
        ("local, reversed, one by one", back, 1, "open"),
        ("local, shuffled, by sevens", mixed, 7, "gated"),
    ):
        with closing(LocalExecutor(fitness=fitness, scorers=0)) as executor:
            judge(what, executor, order, size, gate)
    with closing(LocalExecutor(fitness=fitness, scorers=0)) as executor:
        cache = DictCache(half(known, 2))
        judge("local, shuffled, half is known", executor, mixed, 7, "open", cache)
        judge("local, all is known", executor, back, 1, "gated", cache)
    with closing(LocalExecutor(fitness=fitness, scorers=1)) as executor:
        ready(executor._fitness.listener.scorers)
        judge("local, a process that measures", executor, ahead, count, "open")
    for number in workers:
        with closing(ProcessExecutor(fitness=fitness, workers=number)) as executor:
            last = number == workers[-1]
            dying = Dying(half(known, 3), executor) if last else None
            found = judge(f"processes, workers {number}{', one dies' * last}", executor, mixed, 7, "open", dying)
            if dying:
                found.add("death", "" if dying.has_killed else "nobody died")
                judge(f"processes, workers {number}, afterwards", executor, back, count, "gated", dying)
    return rows

"""The embedded synthesiser: whole evaluations, many of them, and what is spent outside them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from kvw.audio.recordings import read_recording
from kvw.config.paths import DEMO
from kvw.evaluation import OPEN, Executor
from kvw.executors.local import LocalExecutor
from kvw.executors.processes import ProcessExecutor
from kvw.fitness.hybrid import HybridFitness
from kvw.fitness.speaker import SpeakerEncoder
from kvw.runs.store import Store
from kvw.search.budget import Budget
from kvw.search.loop import search
from kvw.search.stage import SearchStage
from kvw.spaces.elementwise import Elementwise
from kvw.speech.embedded.stock_voices import stock_voices
from kvw.speech.embedded.synthesizer import EmbeddedSynthesizer
from kvw.speech.synthesizer import Script
from kvw.types import SAMPLE_RATE, Voice
from strategies.random_walk import RandomWalk
from tests.benchmarks.kvoicewalk import UNBEATABLE, KVoiceWalk, Row, compared, interleaved, scoring_table, table
from tests.conftest import default_fitness
from tests.support.measures import ready

ROUNDS = 7
SCALED_ROUNDS = 3
BATCH = 10
"""Candidates of a generation."""


def make(texts: tuple[str, str]) -> HybridFitness:
    """The default fitness of the demo."""
    return default_fitness(
        synthesizer=EmbeddedSynthesizer(),
        encoder=SpeakerEncoder(),
        target=[read_recording(DEMO)],
        target_text=texts[0],
        other_text=texts[1],
    )


def tables(texts: tuple[str, str]) -> Iterator[str]:
    """Costs of candidates and scoring, the framework's share, and what processes gain."""
    fitness, bank = make(texts), stock_voices()
    synthesizer, voice, scripts = fitness.listener.synthesizer, bank["af_grace"], fitness.scripts
    demo = read_recording(DEMO)

    def speak(voice: Voice, text: str) -> np.ndarray:
        return synthesizer([voice], scripts[text != texts[0]], 0)[0]

    reference = KVoiceWalk(speak, demo, texts, "cpu")
    waves = {text: speak(voice, text) for text in texts}
    seconds = len(waves[texts[0]]) / SAMPLE_RATE
    yield f"Embedded synthesiser, target text of {seconds:.1f} s, {ROUNDS} rounds; both sides speak by it\n"
    rows: list[Row] = [
        ("rejected candidate", lambda: fitness([voice], UNBEATABLE), lambda: reference.rejected(voice)),
        ("accepted candidate", lambda: fitness([voice], OPEN), lambda: reference.accepted(voice)),
    ]
    yield table(rows, compared(rows, ROUNDS))
    given = {"encoder": fitness.listener.encoder, "target": [demo], "target_text": texts[0], "other_text": texts[1]}
    yield "\n" + scoring_table(fitness.listener.encoder, reference, waves, given)
    speaking, _ = interleaved(lambda: speak(voice, texts[0]), lambda: None, ROUNDS)
    yield f"\nsynthesis: {seconds / speaking:.0f} s of audio a second"
    share, outside = framework(fitness, scripts, bank)
    yield f"framework, time of a walk outside evaluations: {share:.1%}, {1000 * outside:.1f} ms a candidate\n"
    yield scaling(partial(make, texts), list(bank.values())[:BATCH])


def scaling(fitness: Callable[[], HybridFitness], voices: Sequence[Voice]) -> str:
    """A generation in one process, with another that scores, and in two."""
    helped = LocalExecutor(fitness=fitness, scorers=1)
    executors: dict[str, Executor] = {
        "one process": LocalExecutor(fitness=fitness, scorers=0),
        "with a scorer": helped,
        "two processes": ProcessExecutor(fitness=fitness, workers=2),
    }
    try:
        for executor in executors.values():
            executor(voices, OPEN)
        ready(helped._fitness.listener.scorers)
        alone, *others = executors.items()
        rows: list[Row] = [
            (name, partial(executor, voices, OPEN), partial(alone[1], voices, OPEN)) for name, executor in others
        ]
        return table(rows, compared(rows, SCALED_ROUNDS, per=1), alone[0])
    finally:
        for executor in executors.values():
            executor.close()


def framework(fitness: HybridFitness, scripts: Sequence[Script], bank: dict[str, Voice]) -> tuple[float, float]:
    """Of a walk, the share and the seconds a candidate that are not spent in evaluations.

    They are the space's, the strategy's, DEAP's and the record's.
    """
    spent = 0.0

    class TimedCache:
        """A cache whose time, which is spent within the fitness, counts as the framework's."""

        def get(self, key):  # type: ignore[no-untyped-def]
            return self.timed(record.get, key)

        def put(self, utterances):  # type: ignore[no-untyped-def]
            self.timed(record.put, utterances)

        def timed(self, action, given):  # type: ignore[no-untyped-def]
            nonlocal spent
            started = time.perf_counter()
            found = action(given)
            spent -= time.perf_counter() - started
            return found

    class Timed:
        batch = 1

        def __call__(self, voices, gate, cache=None):  # type: ignore[no-untyped-def]
            nonlocal spent
            started = time.perf_counter()
            found = fitness(voices, gate, cache)
            spent += time.perf_counter() - started
            return found

        def close(self) -> None:
            pass

    steps = 40
    with tempfile.TemporaryDirectory() as folder:
        record = Store.create(Path(folder) / "run.db", {})
        record.heard_through([script.segments[0].row for script in scripts])
        started = time.perf_counter()
        search(
            bank=dict(list(bank.items())[:4]),
            executor=Timed(),
            stages=[SearchStage("random_walk", Elementwise, RandomWalk)],
            rng=np.random.default_rng(0),
            budget=Budget(step_limit=steps),
            population_limit=4,
            observers=[record],
            record=record,
            cache=TimedCache(),
        )
        outside = time.perf_counter() - started - spent
        record.close()
    return outside / (outside + spent), outside / steps

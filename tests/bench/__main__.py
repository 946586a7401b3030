"""What an evaluation costs, against the documents' way of scoring: ``python -m tests.bench``.

Both sides of a row take turns in one run, on one thread, so that a noisy machine disturbs both: believe the ratios.
The texts are the search's defaults for the demo, spoken by the embedded synthesiser.
"""

from __future__ import annotations

import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from resemblyzer import VoiceEncoder

from kvw import audio, features, store
from kvw.executor import limit_threads
from kvw.fitness import HybridFitness
from kvw.gate import OPEN, Gate
from kvw.search import Budget, search
from kvw.space import Elementwise
from kvw.speaker import SpeakerEncoder
from kvw.speech import Script
from kvw.speech.embedded import EmbeddedSynthesizer, stock_voices
from kvw.types import SAMPLE_RATE
from strategies.random_walk import RandomWalk
from tests.conftest import ROOT, default_fitness
from tests.reference import own_embedding, separate_calls

ROUNDS = 7
TARGET_TEXT = (ROOT / "kvw" / "data" / "demo.txt").read_text("utf-8")
OTHER_TEXT = (
    "If you mix vinegar, baking soda, and a bit of dish soap in a tall cylinder, the resulting eruption is both a "
    "visual and tactile delight, often used in classrooms to simulate volcanic activity on a miniature scale."
)


def main() -> None:
    """Prints the table."""
    limit_threads(1)
    synthesizer, encoder, own = EmbeddedSynthesizer(), SpeakerEncoder(), VoiceEncoder("cpu", verbose=False)
    bank = stock_voices()
    voice = bank["af_grace"]
    demo = audio.read_target(ROOT / "kvw" / "data" / "demo.flac")
    target, target_statistics = own_embedding(own, demo), features.statistics(demo)
    texts = {"target_text": TARGET_TEXT, "other_text": OTHER_TEXT}
    fitness = default_fitness(synthesizer=synthesizer, encoder=encoder, target=[demo], **texts)
    scripts = script, other = tuple(synthesizer.script(text) for text in texts.values())
    wave = fitness.ear.speak([voice], script)[0]

    def documents(complete: bool) -> None:
        spoken = synthesizer([voice], script, 0)[0]
        np.inner(own_embedding(own, spoken), target)
        if complete:  # the original embeds the first wave once more for the self similarity
            second = synthesizer([voice], other, 0)[0]
            np.inner(own_embedding(own, spoken), own_embedding(own, second))
            values = np.array(list(separate_calls(spoken).values()))
            features.kvoicewalk_similarity(values, target_statistics)

    rows: list[tuple[str, Callable[[], object], Callable[[], object]]] = [
        ("embedding", lambda: encoder([wave]), lambda: own_embedding(own, wave)),
        ("statistics", lambda: features.statistics(wave), lambda: separate_calls(wave)),
        ("stopped candidate", lambda: fitness([voice], Gate(99.0, {"target": 1.0})), lambda: documents(complete=False)),
        ("complete candidate", lambda: fitness([voice], OPEN), lambda: documents(complete=True)),
    ]
    seconds = len(wave) / SAMPLE_RATE
    say(f"{platform.platform()}, Python {platform.python_version()}, torch {torch.__version__}, 1 thread")
    say(f"target text {seconds:.1f} s of audio; medians of {ROUNDS} rounds in turns\n")
    say(f"{'':20}{'kvw':>10}{'documents':>12}{'ratio':>8}")
    for name, ours, theirs in rows:
        mine, reference = interleaved(ours, theirs)
        say(f"{name:20}{1000 * mine:7.0f} ms{1000 * reference:9.0f} ms{reference / mine:8.2f}")
    speaking, _ = interleaved(lambda: synthesizer([voice], script, 0), lambda: None)
    say(f"\nembedded synthesiser: {seconds / speaking:.0f} s of audio a second")
    say(f"framework share of a walk (time outside evaluations): {framework_share(fitness, scripts, bank):.1%}")


def interleaved(ours: Callable[[], object], theirs: Callable[[], object]) -> tuple[float, float]:
    """Median seconds of two functions that take turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for round_ in range(ROUNDS + 1):
        for function, kept in zip((ours, theirs), times, strict=True):
            started = time.perf_counter()
            function()
            if round_:  # the first one warms caches up
                kept.append(time.perf_counter() - started)
    return statistics.median(times[0]), statistics.median(times[1])


def framework_share(fitness: HybridFitness, scripts: Sequence[Script], bank: dict[str, np.ndarray]) -> float:
    """Share of a walk's time that is not spent in evaluations: space, strategy, DEAP and the record."""
    spent = 0.0

    class Timed:
        def __call__(self, voices, gate):  # type: ignore[no-untyped-def]
            nonlocal spent
            started = time.perf_counter()
            found = fitness(voices, gate)
            spent += time.perf_counter() - started
            return found

        def close(self) -> None:
            pass

    with tempfile.TemporaryDirectory() as folder:
        record = store.Store(Path(folder) / "run.db", {}, [script.segments[0].row for script in scripts])
        started = time.perf_counter()
        search(
            bank=dict(list(bank.items())[:4]),
            executor=Timed(),
            space=Elementwise,
            strategy=RandomWalk,
            rng=np.random.default_rng(0),
            budget=Budget(step_limit=40),
            population_limit=4,
            observers=[record],
        )
        whole = time.perf_counter() - started
        record.close()
    return 1 - spent / whole


def say(line: str) -> None:
    """Prints a line of the table."""
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()

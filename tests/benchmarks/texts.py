"""How long a text has to be to say which voice is near: what ``quick`` speaks, and what a ranking begins with.

``python -m tests.benchmarks.texts`` lets the stock voices speak texts of several lengths (ten minutes on one core),
and prints how well the similarities to a target by one text agree with those by other texts, over the targets.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kvw.audio.recordings import read_recording
from kvw.fitness.listener import Listener
from kvw.fitness.speaker import SpeakerEncoder
from kvw.runtime.workers import limit_threads
from kvw.speech.kokoro.synthesizer import KokoroSynthesizer
from kvw.text import aligned
from kvw.types import SAMPLE_RATE
from kvw.voices.stock import stock_voices
from tests.benchmarks.compare import TARGETS
from tests.conftest import SHARED

TEXTS = (
    "Hello there.",
    "Could you pass the salt?",
    "The ships are at sea tonight.",
    "A cold wind came over the hill, and nobody spoke.",
    "We walked along the river until the lights of the town were far behind us.",
    "Nothing moved in the orchard except a thin grey cat that followed the wall.",
)
LONG = slice(3, None)
"""The texts that the others are compared with."""


def spoken() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Embeddings of every stock voice speaking every text, ``(texts, voices, 256)``, and mean seconds by text."""
    listener = Listener(KokoroSynthesizer(), SpeakerEncoder(), seed=0)
    embeddings, seconds = [], []
    for text in TEXTS:
        script = listener.synthesizer.script(text)
        waves = [listener.speak([voice], script)[0] for voice in stock_voices().values()]
        embeddings.append(listener.encoder(waves))
        seconds.append(np.mean([len(wave) for wave in waves]) / SAMPLE_RATE)
    return np.array(embeddings, dtype=np.float64), np.array(seconds)


def rows(
    embeddings: NDArray[np.float64], seconds: NDArray[np.float64], targets: Mapping[str, NDArray[np.float64]]
) -> Iterator[tuple[str, ...]]:
    """A line a text: its length, its agreement with the mean of other texts, and where it puts the best voice."""
    yield ("characters", "seconds", "correlation, median", "worst", "rank of the best voice, median", "worst")
    for number, text in enumerate(TEXTS):
        agreements, ranks = [], []
        for target in targets.values():
            similarities = embeddings @ target
            others = [other for other in range(len(TEXTS))[LONG] if other != number]
            truth = similarities[others].mean(axis=0)
            agreements.append(np.corrcoef(similarities[number], truth)[0, 1])
            best = similarities[number][np.argmax(truth)]
            ranks.append(1 + int((similarities[number] > best).sum()))
        middle, worst = np.median(agreements), min(agreements)
        yield (
            *(str(len(text)), f"{seconds[number]:.1f}", f"{middle:.2f}", f"{worst:.2f}"),
            *(f"{np.median(ranks):.0f}", str(max(ranks))),
        )


def main() -> None:
    """Prints the table."""
    limit_threads(1)
    encoder = SpeakerEncoder()
    recordings = {name: read_recording(Path(SHARED / "targets" / files[0])) for name, files in TARGETS.items()}
    targets = {name: np.asarray(encoder([wave])[0], dtype=np.float64) for name, wave in recordings.items()}
    sys.stdout.write("\n".join(aligned(list(rows(*spoken(), targets)), 1)) + "\n")


if __name__ == "__main__":
    main()

"""How long a client of ``task=serve`` waits for the first sound, against kvw's own synthesis of that sentence.

python -m tests.benchmarks.serve [WEIGHTS CONFIG]
"""

from __future__ import annotations

import http.client
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from kvw.runtime.workers import every_core
from kvw.speech.kokoro.synthesizer import KokoroSynthesizer
from kvw.speech.narrate import narrate
from kvw.types import KOKORO, SAMPLE_RATE
from kvw.voices.stock import stock_voices
from tests.serve.conftest import serving

ANIMALS = ("dog", "cat", "fox", "hare", "mole", "crow", "goat", "wolf", "bear", "lamb", "duck")
SENTENCES = [f"The {animal} went down to the sea on a cold morning." for animal in ANIMALS]
"""Of ten words and more; each is new to the synthesiser, which remembers what it encoded of a text."""

REST = " Nobody had seen it leave the house, and nobody saw it again before the end of that week."


def first_sound(port: int, text: str) -> tuple[float, int]:
    """Seconds until the first samples of a text arrive, and bytes in all."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    body = json.dumps({"input": text, "voice": "af_heart", "response_format": "pcm"})
    started = time.monotonic()
    connection.request("POST", "/v1/audio/speech", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    begin = answer.read(2)
    waited = time.monotonic() - started
    return waited, len(begin) + len(answer.read())


def main() -> None:
    model, config = sys.argv[1:] or (None, None)
    speaker, voice = KokoroSynthesizer(model=model, config=config), stock_voices()["af_heart"]
    for text in ("We begin with a sentence that warms it up.", SENTENCES[0]):
        narrate(speaker, voice, text, 0)
    own, served = [], []
    with (
        every_core(),
        tempfile.TemporaryDirectory() as folder,
        serving(lambda _: speaker, {"af_heart": voice}, Path(folder), owner=KOKORO) as client,
    ):
        first_sound(client.port, SENTENCES[0])
        for mine, theirs in zip(SENTENCES[1::2], SENTENCES[2::2], strict=True):  # in turn: other work hits both
            started = time.monotonic()
            narrate(speaker, voice, mine, 0)
            own.append(time.monotonic() - started)
            served.append(first_sound(client.port, theirs + REST)[0])
        started = time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda text: first_sound(client.port, text + REST), SENTENCES[:4]))
        took = time.monotonic() - started
    # the least of each: other work on the machine only adds
    figures = f"{min(own):.2f} s, first sound after {min(served):.2f} s, {min(served) / min(own):.2f} x"
    sys.stdout.write(f"own synthesis {figures}; of medians {median(served) / median(own):.2f} x\n")
    audio = sum(size for _, size in answers) / 2 / SAMPLE_RATE
    waits = ", ".join(f"{waited:.1f}" for waited, _ in sorted(answers))
    sys.stdout.write(f"4 clients: {audio:.1f} s of audio in {took:.1f} s; first sounds after {waits} s\n")


if __name__ == "__main__":
    main()

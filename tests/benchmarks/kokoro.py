"""Kokoro at its full size, with random weights: this, and KVoiceWalk's loop over kokoro's own model."""

from __future__ import annotations

import multiprocessing
import tempfile
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from kokoro import KModel

from kvw.audio.recordings import read_recording
from kvw.config.paths import DEMO
from kvw.evaluation import OPEN, Gate, Pullback
from kvw.fitness.speaker import SpeakerEncoder
from kvw.runtime.environment import pick_device
from kvw.runtime.workers import limit_threads
from kvw.speech.kokoro.g2p import grapheme_to_phoneme
from kvw.speech.kokoro.synthesizer import KokoroSynthesizer
from kvw.speech.segmentation import opening
from kvw.types import SAMPLE_RATE, VOICE_SHAPE, Voice, Wave
from tests.benchmarks.kvoicewalk import UNBEATABLE, KVoiceWalk, Row, compared, interleaved, scoring_table, table
from tests.conftest import default_fitness
from tests.support import random_kokoro
from tests.support.reference import snr

ROUNDS = 3
SEED = 0
CHARACTERS = 200
"""Of each text: some 10 s of audio."""

SHORT, GRADIENTS = "The kettle began to sing.", 4

WALK_STEPS, QUICK_STEPS, STOCK_VOICES, SEEDS = 10_000, 450, 54, 10

STOPPED = {"walk": 0.35, "quick": 0.44}
"""Shares of candidates that the gates stop, as ``make compare`` prints them."""


def voices(count: int) -> list[Voice]:
    """Random ones, whose numbers are as large as those of real voices."""
    rows = 0.3 * np.random.default_rng(SEED).standard_normal((count, 1, 1, VOICE_SHAPE[2]))
    return [np.broadcast_to(row, VOICE_SHAPE).astype(np.float32) for row in rows]


class Stock:
    """Kokoro's own model, by its own forward pass; the text is phonemised each time."""

    def __init__(self, weights: Path, architecture: Path, device: str) -> None:
        self.model = KModel(repo_id="hexgrad/Kokoro-82M", config=str(architecture), model=str(weights))
        self.model.to(device).eval()
        self.phonemes, _ = grapheme_to_phoneme("a")

    def __call__(self, voice: Voice, text: str) -> Wave:
        phonemes = self.phonemes(text).strip()
        torch.manual_seed(SEED)
        wave: Wave = self.model(phonemes, torch.from_numpy(voice[len(phonemes) - 1])).numpy()
        return wave


def tables(texts: tuple[str, str]) -> Iterator[str]:
    """Parity, costs of synthesis, scoring and whole candidates, memory, and what a search comes to; on a GPU if any."""
    device = pick_device("auto")
    text, other = (opening(whole, CHARACTERS) for whole in texts)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about how Kokoro is written
        files = random_kokoro.make(Path(folder))
        stock = Stock(*files, device)
        synthesizer = KokoroSynthesizer(device=device, model=str(files[0]), config=str(files[1]))
        many = voices(synthesizer.batch)
        one, script = many[0], synthesizer.script(text)
        waves = {spoken: stock(one, spoken) for spoken in (text, other)}
        seconds = [len(wave) / SAMPLE_RATE for wave in waves.values()]
        yield (
            f"Kokoro with random weights on {device}, {len(many)} at once; texts of {seconds[0]:.1f} and "
            f"{seconds[1]:.1f} s, {ROUNDS} rounds"
        )
        ratios = [snr(stock(voice, text), synthesizer([voice], script, SEED)[0]) for voice in voices(3)]
        yield f"parity with kokoro's own model: {min(ratios):.0f} dB\n"
        demo, encoder = read_recording(DEMO), SpeakerEncoder(device)
        reference = KVoiceWalk(stock, demo, (text, other), device)
        given = {"encoder": encoder, "target": [demo], "target_text": text, "other_text": other}
        fitness = default_fitness(synthesizer=synthesizer, **given)
        if {fitness([one], gate)[0].status for gate in (OPEN, UNBEATABLE)} != {"complete", "stopped"}:
            raise RuntimeError("expected a voice that can be scored")
        rows: list[Row] = [
            ("synthesis", lambda: synthesizer(many, script, SEED), lambda: stock(one, text)),
            ("rejected candidate", lambda: fitness(many, UNBEATABLE), lambda: reference.rejected(one)),
            ("accepted candidate", lambda: fitness(many, OPEN), lambda: reference.accepted(one)),
        ]
        found = compared(rows, ROUNDS, per=len(many))
        yield table(rows, found)
        yield "\n" + scoring_table(encoder, reference, waves, given)
        yield "\n" + gradient_line(synthesizer, encoder, demo, one)
        (_, (rejected, their_rejected), (accepted, their_accepted)) = found
        walk = WALK_STEPS * mixture(their_rejected, their_accepted, STOPPED["walk"])
        ranking = STOCK_VOICES * rejected + SEEDS * accepted
        quick = ranking + QUICK_STEPS * mixture(rejected, accepted, STOPPED["quick"])
        yield (
            f"\n{WALK_STEPS} steps of KVoiceWalk's walk: {walk / 3600:.1f} h; quick, ranking included: "
            f"{quick / 60:.0f} min, {walk / quick:.0f} times less"
        )
        for name, side in (("kvw", "synthesizer"), ("KVoiceWalk", "stock")):
            yield f"peak memory, {name}: {peak(side, files, device, text):.1f} GB"


def gradient_line(synthesizer: KokoroSynthesizer, encoder: SpeakerEncoder, target: Wave, voice: Voice) -> str:
    """What a gradient costs, in evaluations of the same short text on the same device."""
    texts = {"target_text": SHORT, "other_text": "A cold wind came over the hill.", "short_texts": [SHORT]}
    fitness = default_fitness(synthesizer=synthesizer, encoder=encoder, target=[target], **texts)
    cotangent = tuple(encoder.speaker([target], "target").tolist())
    gates = [Gate(pullback=Pullback(0, SEED, cotangent))] * GRADIENTS, [Gate(only="target")] * GRADIENTS
    if {fitness([voice], side[0])[0].status for side in gates} != {"gradient", "stopped"}:
        raise RuntimeError("expected a voice that can be scored")
    same = [voice] * GRADIENTS
    gradients, evaluations = interleaved(*(lambda side=side: fitness(same, side) for side in gates), ROUNDS)
    seconds = len(synthesizer([voice], synthesizer.script(SHORT), SEED)[0]) / SAMPLE_RATE
    return (
        f"gradient of {seconds:.1f} s of audio, {GRADIENTS} in a call: {gradients / GRADIENTS:.2f} s each, "
        f"{gradients / evaluations:.1f} evaluations"
    )


def mixture(rejected: float, accepted: float, stopped: float) -> float:
    """Seconds of a candidate, on average."""
    return stopped * rejected + (1 - stopped) * accepted


def peak(side: str, files: tuple[Path, Path], device: str, text: str) -> float:
    """Most memory, in GB, of a process of its own that speaks once; on a GPU, that of the GPU."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_peak, side, files, device, text).result()


def _peak(side: str, files: tuple[Path, Path], device: str, text: str) -> float:
    limit_threads(1)
    if side == "stock":
        Stock(*files, device)(voices(1)[0], text)
    else:
        synthesizer = KokoroSynthesizer(device=device, model=str(files[0]), config=str(files[1]))
        synthesizer(voices(synthesizer.batch), synthesizer.script(text), SEED)
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 1e9
    import resource  # which Windows lacks

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6

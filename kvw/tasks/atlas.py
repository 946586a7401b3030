"""``task=atlas``: makes an atlas, or extends one: which voices of a synthesiser sound like whom."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from kvw.atlas.draw import Design
from kvw.atlas.samples import ARRAYS, RANDOM, Origin, Samples, none_of, read_samples
from kvw.atlas.validation import curve
from kvw.config.fitness import SamplerSpec
from kvw.config.inputs import check_numbers, short_texts
from kvw.config.invocation import Invocation
from kvw.config.nodes import maker
from kvw.config.problems import Problems
from kvw.config.schema import plain
from kvw.errors import KvwError
from kvw.evaluation import Executor, Gate
from kvw.fitness.utterances import DictCache
from kvw.runs.reader import open_runs
from kvw.runtime.environment import pick_device
from kvw.runtime.files import write_whole
from kvw.tasks.atlas_of_runs import with_runs
from kvw.tasks.bank import load_bank_of
from kvw.tasks.prepare import synth_node
from kvw.text import aligned, duration
from kvw.types import Voice, mean_row, mean_voice

log = logging.getLogger(__name__)

STOCK_TEXTS = 3
"""Texts that each stock voice speaks: they are what the random voices lie between."""

FEWEST_TO_JUDGE = 20
"""Random voices below which nothing is said of how well they are predicted."""

CHUNK = 40
"""Voices between two writes of the file, at least."""


def atlas(invocation: Invocation) -> float:
    """Makes ``atlas.file``, or extends what is there; one that was killed goes on where it was.

    Returns:
        how many samples there are.

    Raises:
        KvwError: bad input; or the file is of another model, encoder, language, bank or seed.
    """
    cfg = invocation.cfg
    problems = Problems()
    check_numbers(cfg, problems)
    make_executor = problems.attempt(maker, plain(cfg.executor), "executor")
    problems.raise_any()
    synth = synth_node(cfg)
    bank = load_bank_of(cfg, synth)
    spec = SamplerSpec(synth, pick_device(cfg.device), cfg.language.letter, cfg.seed, tuple(short_texts(cfg)))
    log.info("Loading the models")
    with closing(make_executor(fitness=spec)) as executor:
        sampling = Sampling(spec, bank, executor)
        origin = sampling.origin
        path = Path(cfg.atlas.file or invocation.outputs / "atlas" / f"{origin.model}-{origin.language}.safetensors")
        samples = sampling(begun(path, origin), cfg.atlas.samples, path)
        if cfg.atlas.runs:
            runs, unreadable = open_runs(invocation.outputs)
            for _, why in unreadable:
                log.warning("%s", why)
            samples = with_runs(samples, runs, sampling.listener.synthesizer.identity, sampling.mean)
            write_whole(path, samples.file())
    log.info("%s: %d samples", path, len(samples))
    if np.sum(samples.stock == RANDOM) >= FEWEST_TO_JUDGE:
        log.info("\n%s", "\n".join(aligned(curve(samples), 1)))
    return float(len(samples))


class Sampling:
    """Lets the voices of an atlas speak: first each stock voice a few texts, then random voices one text each.

    Args:
        spec: of what speaks and hears.
        bank: the stock voices by name.
        executor: evaluates voices by that.

    Attributes:
        listener: what speaks and hears.
        mean: of the stock voices.
        origin: of the samples.
    """

    def __init__(self, spec: SamplerSpec, bank: Mapping[str, Voice], executor: Executor) -> None:
        sampler = spec()
        self.listener, self._scripts, self._executor = sampler.listener, sampler.scripts, executor
        self._stock = [bank[name] for name in sorted(bank)]
        self.mean = mean_voice(self._stock)
        rows = np.array([mean_row(voice) for voice in self._stock])
        self._design = Design(rows, spec.seed)
        synthesizer, encoder = self.listener.synthesizer, self.listener.encoder
        digest = hashlib.sha256(rows.astype("<f4").tobytes()).hexdigest()
        self.origin = Origin(synthesizer.model, encoder.identity, spec.language, spec.texts, digest, spec.seed)

    def __call__(self, samples: Samples, count: int, path: Path) -> Samples:
        """Extends ``samples`` until ``count`` random voices were asked, and writes each extension to ``path``."""
        total = STOCK_TEXTS * len(self._stock) + count
        chunk = max(CHUNK, 4 * self._executor.batch)
        path.parent.mkdir(parents=True, exist_ok=True)
        started, begun_at = time.monotonic(), samples.asked
        while samples.asked < total:
            numbers = range(samples.asked, min(samples.asked + chunk, total))
            samples = samples.extended(len(numbers), **self._heard(numbers))
            write_whole(path, samples.file())
            left = (time.monotonic() - started) / (samples.asked - begun_at) * (total - samples.asked)
            log.info("atlas: %d of %d voices, %s left", samples.asked, total, duration(left))
        return samples

    def voice(self, number: int) -> tuple[Voice, int, int]:
        """The voice that is asked as the ``number``th: it, its text's index, its number in the bank or -1."""
        stock, further = divmod(number, STOCK_TEXTS)
        if stock < len(self._stock):
            return self._stock[stock], (stock + further) % len(self._scripts), stock
        drawn = number - STOCK_TEXTS * len(self._stock)
        style = self._design(drawn)
        moved = self.mean + (style - self.mean[:, 0].mean(axis=0)).astype(np.float32)
        return moved, drawn % len(self._scripts), RANDOM

    def _heard(self, numbers: Sequence[int]) -> dict[str, list[Any]]:
        """The arrays of :class:`Samples` for the voices with these numbers that spoke well."""
        voices, texts, stock = zip(*map(self.voice, numbers), strict=True)
        cache = DictCache()
        self._executor(voices, [Gate(only=str(text)) for text in texts], cache)
        found: dict[str, list[Any]] = {name: [] for name in ARRAYS}
        for voice, text, number in zip(voices, texts, stock, strict=True):
            script = self._scripts[text]
            utterance = cache.get(self.listener.key(voice, script))
            if utterance and not utterance.status and utterance.statistics is not None:
                found["styles"].append(mean_row(voice))
                found["embeddings"].append(utterance.embedding)
                found["spoken"].append(text)
                found["stock"].append(number)
                found["intonation"].append(utterance.statistics[:3])
                found["timbre"].append(utterance.statistics[3:])
                found["pace"].append(script.phonemes / utterance.seconds)
        return found


def begun(path: Path, origin: Origin) -> Samples:
    """The samples that are in a file already, none where there is no file.

    Raises:
        KvwError: they have another origin.
    """
    if not path.exists():
        return none_of(origin)
    samples = read_samples(path)
    differing = [
        field.name for field in fields(Origin) if getattr(samples.origin, field.name) != getattr(origin, field.name)
    ]
    if differing:
        raise KvwError(
            f"{path}: expected an atlas of the same {', '.join(differing)}, to go on with; got another; give "
            "another atlas.file="
        )
    return samples

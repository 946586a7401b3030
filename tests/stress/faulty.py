"""A fitness whose parts meet faults: read :class:`Plan` first.

Fitness, strategies and record are the real ones; speech is noise that a voice's numbers mix. A quarter of the
candidates, chosen by a hash of the voice, meet a fault. Above 300 lines, because its parts refer to one another.
"""

from __future__ import annotations

import functools
import hashlib
import math
import random
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from kvw.audio.recordings import read_recording
from kvw.config.paths import DEMO
from kvw.errors import EXIT_TOO_MANY_FAILURES, KvwError
from kvw.evaluation import Gate
from kvw.executors.local import LocalExecutor
from kvw.fitness import acoustics
from kvw.fitness.hybrid import HybridFitness
from kvw.fitness.rules import Lossless, Margin, Rule
from kvw.fitness.speaker import SpeakerEncoder
from kvw.fitness.stages import Stage
from kvw.fitness.trial import Trial
from kvw.runs.folders import RECORD
from kvw.runs.store import Store
from kvw.runtime.workers import limit_threads
from kvw.search.archive import Archive
from kvw.search.budget import Budget
from kvw.search.candidate import Candidate
from kvw.search.loop import SearchResult, search
from kvw.search.observer import Observer
from kvw.speech.synthesizer import Script
from kvw.types import SAMPLE_RATE, STYLE_WIDTH, Voice, Wave
from tests.stress.cases import Case
from tests.stress.fault_kinds import ERRORS, FAULTS, WAVES, Fault
from tests.stress.world import COLUMNS, GENES, LIMIT, ROWS, SCRIPTS, SEED, bank

SHARE = 4
"""One candidate of so many meets a fault."""


ROWS_OF_VOICE = 16


class Plan:
    """Who meets which fault.

    Args:
        bad: candidates that would meet a fault are merely bad instead, at the same place: silent, or unmeasurable.

    Attributes:
        broken: everybody but the stock voices meets this one fault.
    """

    def __init__(self, bad: bool = False) -> None:
        self.bad = bad
        self.broken: Fault | None = None
        self._stock = {voice.tobytes() for voice in bank(ROWS_OF_VOICE).values()}
        self._marked: dict[object, tuple[Fault | None, str]] = {}

    def fault(self, voice: Voice) -> Fault | None:
        """That a voice meets."""
        if voice.tobytes() in self._stock:
            return None
        if self.broken:
            return self.broken
        number = int.from_bytes(hashlib.sha256(voice[ROWS].tobytes()).digest()[:8], "big")
        return FAULTS[number // SHARE % len(FAULTS)] if number % SHARE == 0 else None

    def mark(self, thing: object, voice: Voice, stage: str) -> None:
        """Remembers whose something is, and the stage that it comes from."""
        self._marked[thing] = self.fault(voice), stage

    def met(self, thing: object, place: str) -> str:
        """What happens to something that was marked; empty for nothing."""
        fault, stage = self._marked.get(thing, (None, ""))
        if self.bad or fault is None or fault.place != place:
            return ""
        return fault.what if place == "statistics" or fault.stage == stage else ""


def sign(wave: Wave) -> bytes:
    """By which a wave is known again."""
    return np.ascontiguousarray(wave[:32]).tobytes()


class Speech:
    """A synthesiser: a voice's genes mix noises."""

    name = "embedded"
    identity = "faults"

    def __init__(self, plan: Plan, batch: int, real: bool) -> None:
        self.plan, self.batch, self.real = plan, batch, real

    def script(self, text: str) -> Script:
        """One of two."""
        return next(script for script in SCRIPTS if script.text == text)

    def __call__(self, voices: Sequence[Voice], script: Script, seed: int) -> list[Wave]:
        """Speaks, or does what the plan says."""
        waves = [self._speak(voice, script) for voice in voices]
        return [wave for wave in waves if not isinstance(wave, str)]

    def _speak(self, voice: Voice, script: Script) -> Any:
        stage = "target" if script is SCRIPTS[0] else "self"
        wave = mixed(voice, script, self.real)
        self.plan.mark(sign(wave), voice, stage)
        fault = self.plan.fault(voice)
        if self.plan.bad and fault and fault.stage == stage:
            return np.zeros_like(wave)
        what = self.plan.met(sign(wave), "speech")
        if what in ERRORS:
            raise ERRORS[what]()
        if what == "no wave":
            return what
        return WAVES[what](wave) if what else wave


def mixed(voice: Voice, script: Script, real: bool) -> Wave:
    """What a voice without a fault says."""
    (row,) = (segment.row for segment in script.segments)
    genes = voice[row, 0, np.searchsorted(COLUMNS, np.arange(GENES))]
    wave: Wave = np.einsum("g,gt->t", genes, noises(script.text, real))
    return wave


@functools.cache
def noises(text: str, real: bool) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A noise for each gene: half a second; or slices of real speech, of two seconds."""
    if real:
        demo = read_recording(DEMO)
        size, start = 2 * SAMPLE_RATE, 0 if text == "one" else SAMPLE_RATE // 2
        step = (len(demo) - start - size) // GENES
        return np.array([demo[start + step * gene :][:size] for gene in range(GENES)])
    draw = np.random.default_rng(zlib.crc32(text.encode()))
    return draw.normal(0, 0.1, (GENES, SAMPLE_RATE // 2)).astype(np.float32)


class Hearing(SpeakerEncoder):
    """A speaker encoder that hears how loud parts of a wave are; or the real one."""

    def __init__(self, plan: Plan, real: bool) -> None:
        if real:
            super().__init__("cpu")
        else:
            self.device, self.joined = torch.device("cpu"), False
        self.plan, self.real = plan, real

    def embedding(self, wave: Wave) -> Any:
        """As the real one, or what the plan says."""
        what = self.plan.met(sign(wave), "hearing")
        if what in ERRORS:
            raise ERRORS[what]()
        if what:
            return np.full(STYLE_WIDTH, np.nan, np.float32) if what == "NaN" else None
        if self.real:
            return super().embedding(wave)
        parts = wave[: len(wave) // 256 * 256].reshape(256, -1)
        level = np.sqrt(np.mean(parts**2, axis=1))
        return level / np.linalg.norm(level)


class Plugin:
    """A stage as somebody else may write one."""

    def __init__(self, stage: Stage, plan: Plan) -> None:
        self.name, self._stage, self._plan = stage.name, stage, plan

    def __call__(self, trials: Sequence[Trial]) -> None:
        """As the stage, or what the plan says."""
        self._stage(trials)
        for trial in trials:
            if trial.status:
                continue
            self._plan.mark(id(trial.parts), trial.voice, self.name)  # two voices may have equal parts
            what = self._plan.met(id(trial.parts), "stage")
            if what in ERRORS:
                raise ERRORS[what]()
            given: dict[str, Any] = {"NaN": math.nan, "infinity": math.inf, "text": "much"}
            if what == "no part":
                del trial.parts[self.name]
            elif what:
                trial.parts[self.name] = given[what]


class Gated:
    """A rule as somebody else may write one."""

    def __init__(self, rule: Rule, plan: Plan) -> None:
        self._rule, self._plan = rule, plan

    def __call__(self, stage: str, parts: Mapping[str, float], weights: Mapping[str, float], gate: Gate) -> bool:
        """As the rule, or what the plan says."""
        what = self._plan.met(id(parts), "gate")
        if what:
            raise ERRORS[what]()
        return self._rule(stage, parts, weights, gate)


@contextmanager
def made(plan: Plan, batch: int = 1, real: bool = False) -> Iterator[HybridFitness]:
    """The fitness of this world; statistics are its own meanwhile."""
    measure = acoustics.statistics

    def statistics(wave: Wave) -> Any:
        what = plan.met(sign(wave), "statistics")
        fault, _ = plan._marked.get(sign(wave), (None, ""))
        if plan.bad and fault and fault.stage == "feature":
            raise ValueError("merely bad")
        if what in ERRORS:
            raise ERRORS[what]()
        found = measure(wave) if real else np.std(wave[:8000].reshape(20, -1), axis=1, dtype=np.float64)
        return np.where(np.arange(len(found)) == 7, np.nan, found) if what else found

    with mock.patch("kvw.fitness.acoustics.statistics", statistics):
        yield fitness_of(plan, batch, real)


def fitness_of(plan: Plan, batch: int = 1, real: bool = False) -> HybridFitness:
    """The fitness of this world, with whatever statistics there are."""
    goal = np.broadcast_to(np.linspace(-0.4, 0.6, GENES)[COLUMNS].astype(np.float32), (ROWS_OF_VOICE, 1, STYLE_WIDTH))
    fitness = HybridFitness(
        synthesizer=Speech(plan, batch, real),
        encoder=Hearing(plan, real),
        target=[mixed(goal, script, real) for script in SCRIPTS],
        target_text=SCRIPTS[0].text,
        other_text=SCRIPTS[1].text,
        seed=SEED,
        weights={"target": 0.48, "self": 0.5, "feature": 0.02},
        gates={"target": Gated(Margin(0.9), plan), "self": Gated(Lossless(), plan)},
    )
    fitness.stages = [Plugin(stage, plan) if stage.name != "feature" else stage for stage in fitness.stages]
    return fitness


@dataclass
class Watch(Observer):
    """Says what each candidate met."""

    plan: Plan
    met: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __call__(self, generation: int, population: Sequence[Candidate], archive: Archive) -> None:
        """Looks at each candidate."""
        for candidate in population:
            seen = candidate.evaluation
            assert seen is not None and candidate.voice is not None
            fault = self.plan.fault(candidate.voice)
            early = ("target",) if fault and fault.stage != "target" else ()
            early += ("self",) if fault and fault.stage == "feature" else ()
            if fault is None or (seen.status == "stopped" and seen.stage in early):
                good = not seen.failed
            else:
                self.met[fault.name] += 1
                good = (seen.status, seen.stage) == (fault.status, fault.stage) and seen.detail.isprintable()
            if not good and len(self.wrong) < 5:
                self.wrong.append(f"{fault and fault.name} is {seen}")


def run(
    inside: Path, case: Case, steps: int, plan: Plan, batch: int = 1, real: bool = False, watch: Any = None
) -> SearchResult:
    """A search in ``inside``, or what is left of the one that is there."""
    limit_threads(1)
    torch.manual_seed(SEED)
    random.seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002 - as a run does
    path = inside / RECORD
    record = Store(path) if path.is_file() else Store.create(path, {"case": case.name})
    try:
        record.heard_through(ROWS)
        with made(plan, batch, real) as fitness:
            executor = LocalExecutor(fitness=lambda: fitness, scorers=0)
            return search(
                bank=bank(ROWS_OF_VOICE),
                executor=executor,
                stages=case.stages,
                rng=np.random.default_rng(SEED),
                budget=Budget(step_limit=steps),
                population_limit=LIMIT,
                observers=[record, *([watch] if watch else [])],
                record=record,
                cache=record,
            )
    except KvwError as error:
        if error.code == EXIT_TOO_MANY_FAILURES:  # as a run does
            record.forget_failures()
        raise
    finally:
        record.close()

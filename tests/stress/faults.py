"""Evaluations that go wrong in every way there is: each is a named failure, and the search goes on as if merely bad.

Read :data:`FAULTS` first, then :class:`World`. Fitness, strategies and record are the real ones; speech is noise that a
voice's numbers mix. A quarter of the candidates, told by a hash of the voice, meet a fault.

For spawned processes: :func:`deaths`, in which the fitness ends its process.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import multiprocessing
import os
import random
import re
import signal
import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

import kvw.executors.local
import kvw.executors.processes
import kvw.search.loop
from kvw.audio.recordings import read_recording
from kvw.config.paths import DEMO
from kvw.errors import EXIT_TOO_MANY_FAILURES, KvwError
from kvw.evaluation import OPEN, Evaluation, Gate
from kvw.executors.base import known_utterances
from kvw.executors.local import LocalExecutor
from kvw.executors.processes import ProcessExecutor
from kvw.executors.rounds import MOST_DEATHS
from kvw.fitness import acoustics
from kvw.fitness.hybrid import HybridFitness
from kvw.fitness.rules import Lossless, Margin, Rule
from kvw.fitness.speaker import SpeakerEncoder
from kvw.fitness.stages import Stage
from kvw.fitness.trial import Trial
from kvw.fitness.utterances import DictCache
from kvw.runs.folders import RECORD
from kvw.runs.schema import read_rows
from kvw.runs.store import Store
from kvw.runtime.workers import limit_threads
from kvw.search.archive import Archive
from kvw.search.budget import Budget
from kvw.search.candidate import Candidate
from kvw.search.loop import MOST_FAILING, SearchResult, search
from kvw.search.observer import Observer
from kvw.speech.synthesizer import Script
from kvw.types import SAMPLE_RATE, STYLE_WIDTH, Voice, Wave
from tests.stress.harness import (
    COLUMNS,
    GENES,
    LIMIT,
    ROWS,
    SCRIPTS,
    SEED,
    Case,
    Row,
    bank,
    chosen,
    folder,
    row,
)

SHARE = 4
"""One candidate of so many meets a fault."""

ROWS_OF_VOICE = 16

# ---------------------------------------------------------------------------------------------- faults


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        what: happens.
        place: ``speech``, ``hearing``, ``statistics``, ``stage`` or ``gate``.
        stage: of the fitness that it happens in, or behind which, for a gate.
        status: of the evaluation then.
    """

    what: str
    place: str
    stage: str
    status: str

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.place} {self.what} ({self.stage})"


SPEECH = {
    "NaN": "not finite",
    "infinity": "not finite",
    "silence": "silent",
    "nothing": "empty",
    "10 ms": "too short",
    "hours": "too long",
    "hours of NaN": "too long",
    "no wave": "raised",
    "None": "raised",
    "RuntimeError": "raised",
    "MemoryError": "raised",
    "OutOfMemoryError": "raised",
}
HEARING = {"RuntimeError": "raised", "MemoryError": "raised", "NaN": "not finite", "no speech": "no speech"}
STATISTICS = {
    "RuntimeError": "raised",
    "OutOfMemoryError": "raised",
    "ValueError": "unmeasurable",
    "NaN": "not finite",
}
STAGE = {
    "RuntimeError": "raised",
    "NaN": "not finite",
    "infinity": "not finite",
    "no part": "not finite",
    "text": "not finite",
}
GATE = {"RuntimeError": "raised", "KeyError": "raised"}

FAULTS = [
    *(Fault(what, "speech", stage, status) for what, status in SPEECH.items() for stage in ("target", "self")),
    *(Fault(what, "hearing", stage, status) for what, status in HEARING.items() for stage in ("target", "self")),
    *(Fault(what, "stage", stage, status) for what, status in STAGE.items() for stage in ("target", "self")),
    *(Fault(what, "gate", stage, status) for what, status in GATE.items() for stage in ("target", "self")),
    *(Fault(what, "statistics", "feature", status) for what, status in STATISTICS.items()),
]

ERRORS: dict[str, Callable[[], Exception]] = {
    "RuntimeError": lambda: RuntimeError("as foretold:\nin two lines"),
    "MemoryError": MemoryError,
    "OutOfMemoryError": lambda: torch.OutOfMemoryError("CUDA out of memory, as foretold"),
    "ValueError": lambda: ValueError("as foretold"),
    "KeyError": lambda: KeyError("as foretold"),
}

HOURS = 2 * 3600 * SAMPLE_RATE

WAVES: dict[str, Callable[[Wave], Any]] = {
    "NaN": lambda wave: np.where(np.arange(len(wave)) == 77, np.float32(np.nan), wave),
    "infinity": lambda wave: np.where(np.arange(len(wave)) == 77, np.float32(-np.inf), wave),
    "silence": np.zeros_like,
    "nothing": lambda wave: wave[:0],
    "10 ms": lambda wave: wave[: SAMPLE_RATE // 100],
    "hours": lambda wave: np.broadcast_to(np.float32(0.1), (HOURS,)),  # which take no memory
    "hours of NaN": lambda wave: np.broadcast_to(np.float32(np.nan), (HOURS,)),
    "None": lambda wave: None,
}

# ---------------------------------------------------------------------------------------------- the world


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
            self._plan.mark(trial.parts[self.name], trial.voice, self.name)
            what = self._plan.met(trial.parts[self.name], "stage")
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
        what = self._plan.met(parts[stage], "gate")
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


# ---------------------------------------------------------------------------------------------- what has to hold


def failed(status: object) -> bool:
    """Whether it is that of a failure."""
    return status not in ("complete", "stopped")


def plainly(state: Any) -> Any:
    """A state in which a failure is like any other: how it is named, and what was measured before, is left out."""
    if isinstance(state, list):
        return [plainly(one) for one in state]
    if not isinstance(state, dict):
        return state
    if "status" in state and failed(state["status"]):
        return {name: state[name] for name in ("score", "target_similarity")}
    return {name: plainly(value) for name, value in state.items()}


def tables(path: Path) -> dict[str, Any]:
    """All of a record in which a run with faults and one that is merely bad have to be equal."""
    with closing(sqlite3.connect(path)) as db:
        found: dict[str, Any] = {"stock": list(read_rows(path, db, "stock", "ORDER BY 1, 2"))}
        found["candidates"] = []
        for step, generation, status, score, similarity, *more, notes, rows in read_rows(
            path, db, "candidates", "ORDER BY 1"
        ):
            kept = ("failed",) if failed(status) else (status, *more)
            found["candidates"].append((step, generation, score, similarity, *kept, notes, rows))
        ((generation, text),) = read_rows(path, db, "checkpoints", "ORDER BY 1 DESC LIMIT 1")
    state = json.loads(text)
    archive = state["archive"]
    del state["seconds"], archive["synthesised"]
    archive["failures"] = sum(archive["failures"].values())
    found["state"] = plainly(state)
    return found


def not_finite(path: Path) -> list[str]:
    """Where in a record there are numbers that are none."""
    wrong = []
    figures = ("score", "target_similarity", "synthesised")
    with closing(sqlite3.connect(path)) as db:
        for table in ("candidates", "stock"):
            for name in figures:
                bad = f"{name} IS NULL OR typeof({name}) != 'real' OR abs({name}) > 1e30"
                (count,) = db.execute(f"SELECT count(*) FROM {table} WHERE {bad}").fetchone()
                wrong += [f"{count} of {table}.{name}"] if count else []
        for table, column in (("candidates", "parts"), ("candidates", "notes"), ("checkpoints", "state")):
            texts = [text for (text,) in db.execute(f"SELECT {column} FROM {table}")]
            wrong += [f"{table}.{column}"] * any(re.search(r"NaN", text) for text in texts)
        for column, dtype in (("embedding", "<f4"), ("statistics", "<f8")):
            blobs = db.execute(f"SELECT {column} FROM utterances WHERE {column} IS NOT NULL").fetchall()
            count = sum(not np.isfinite(np.frombuffer(blob, dtype)).all() for (blob,) in blobs)
            wrong += [f"{count} of utterances.{column}"] if count else []
    return wrong


def bad_evaluations(
    names: Sequence[str] = (), steps: int = 2000, batch: int = 1, real: bool = False, every: bool = False
) -> list[Row]:
    """A quarter of the candidates meets a fault; the search is that in which they are merely bad.

    Args:
        names: of cases, all if empty.
        steps: candidates of each.
        batch: voices that are spoken at once.
        real: hears and measures with the real models.
        every: whether every fault must have been met.
    """
    rows = []
    met: Counter[str] = Counter()
    for case in chosen(names):
        what = f"bad evaluations{', real models' * real}{f', batch {batch}' * (batch > 1)}: {case.name}"
        with row(what) as found, folder() as one, folder() as other:
            watch = Watch(Plan())
            try:
                result = run(one, case, steps, watch.plan, batch, real, watch)
            except Exception as error:
                found.add("ends", f"{type(error).__name__}: {error}")
                continue
            finally:
                rows.append(found)
            twin = run(other, case, steps, Plan(bad=True), batch, real)
            seen, same = tables(one / RECORD), tables(other / RECORD)
            for part in seen:
                found.add(part, "" if seen[part] == same[part] else "differs from a run with merely bad ones")
            best, another = (each.archive.best for each in (result, twin))
            alike = best is not None and another is not None and best.evaluation == another.evaluation
            alike = alike and best.voice.tobytes() == another.voice.tobytes() and best.step == another.step
            found.add("best", "" if alike else f"{best and best.step} instead of {another and another.step}")
            found.add("finite", ", ".join(not_finite(one / RECORD)))
            found.add("named", "; ".join(watch.wrong))
            met += watch.met
            found.note = (
                f"{sum(watch.met.values())} of {result.archive.steps} candidates met one of {len(watch.met)} faults"
            )
    if every:
        with row("bad evaluations: every fault was met") as found:
            for fault in FAULTS:
                found.add(fault.name, "" if met[fault.name] else "never")
        rows.append(found)
    return rows


class Sound(Plan):
    """Nobody meets a fault, until everybody does; the stock voices too, if that is wanted."""

    def __init__(self, broken: Fault | None = None) -> None:
        super().__init__()
        self.broken, self._all = broken, broken is not None

    def fault(self, voice: Voice) -> Fault | None:
        """The one that is broken."""
        return self.broken if self._all or voice.tobytes() not in self._stock else None


class Outage(Observer):
    """Breaks everything once there are so many candidates, and mends it when :data:`MOST_FAILING` have failed."""

    def __init__(self, plan: Plan, begin: int, fault: Fault) -> None:
        self.plan, self.begin, self.fault, self.over = plan, begin, fault, False

    def __call__(self, generation: int, population: Sequence[Candidate], archive: Archive) -> None:
        """Looks at the counts."""
        self.over = self.over or archive.failing >= MOST_FAILING
        self.plan.broken = self.fault if archive.steps >= self.begin and not self.over else None


KINDS = ("speech NaN (target)", "speech RuntimeError (target)", "stage NaN (self)", "hearing MemoryError (target)")
"""Names of faults that everybody meets."""


def all_fail(names: Sequence[str] = (), steps: int = 300, begin: int = 40) -> list[Row]:
    """From some step on every candidate fails: the search ends and says so, and goes on once that is mended.

    It has to end as a search that nobody stopped, and that was mended at that moment.

    Args:
        names: of cases, all if empty.
        steps: candidates of each.
        begin: step at which it begins.
    """
    rows = []
    for number, case in enumerate(chosen(names)):
        fault = next(one for one in FAULTS if one.name == KINDS[number % len(KINDS)])
        with row(f"everything fails: {case.name}, {fault.name}") as found, folder() as one, folder() as other:
            rows.append(found)
            plan = Sound()
            with mock.patch.object(kvw.search.loop, "MOST_FAILING", 10**9):
                outage = Outage(plan, begin, fault)
                whole = run(other, case, steps, plan, watch=outage)
            if not outage.over:
                found.note = f"over after {whole.archive.steps} candidates, without so many in a row"
                continue
            plan = Sound()
            code = told = None
            try:
                run(one, case, steps, plan, watch=Outage(plan, begin, fault))
            except KvwError as error:
                code, told = error.code, str(error)
            good = code == EXIT_TOO_MANY_FAILURES and told and "\n" not in told and fault.status in told
            found.add("ends", "" if good else f"{code}, {told}")
            found.add("finite", ", ".join(not_finite(one / RECORD)))
            run(one, case, steps, Sound())
            seen, same = tables(one / RECORD), tables(other / RECORD)
            for part in seen:
                found.add(part, "" if seen[part] == same[part] else "differs from a search that was mended at work")
    return rows


def at_first(names: Sequence[str] = ("genetic",), steps: int = 40) -> list[Row]:
    """On a machine where nothing can be scored the ranking ends, and says so; where that is mended the run goes on.

    Args:
        names: of cases, all if empty.
        steps: candidates of each.
    """
    rows = []
    for case in chosen(names):
        with row(f"nothing can be scored at first: {case.name}") as found, folder() as other:
            run(other, case, steps, Sound())
            for fault in (one for one in FAULTS if one.name in KINDS):
                with folder() as one:
                    code = 0
                    try:
                        run(one, case, steps, Sound(fault))
                    except KvwError as error:
                        code = error.code
                    found.add(f"{fault.name} ends", "" if code == EXIT_TOO_MANY_FAILURES else f"with {code}")
                    try:
                        run(one, case, steps, Sound())
                        wrong = "" if tables(one / RECORD) == tables(other / RECORD) else "differs"
                    except KvwError as error:
                        wrong = f"does not go on: {error}"
                    found.add(f"{fault.name} mended", wrong)
        rows.append(found)
    return rows


# ---------------------------------------------------------------------------------------------- dead workers


@dataclass(frozen=True)
class Deadly:
    """Makes a fitness that ends worker processes.

    Attributes:
        folder: for what it wants to be remembered.
        once: key of a voice that ends the first process that it meets.
        always: of one that ends each.
        starts: whether it can be made in a worker.
    """

    folder: Path
    once: str = ""
    always: str = ""
    starts: bool = True

    name = "ending"

    def __call__(self, trials: Sequence[Trial] | None = None) -> Any:
        """Makes the fitness; also a stage of it, ahead of the others."""
        works = multiprocessing.parent_process() is not None
        if trials is None:
            if works and not self.starts:
                os._exit(3)
            fitness = fitness_of(Plan())
            fitness.stages = [self, *fitness.stages]
            return fitness
        for trial in trials:
            trial.parts[self.name] = 1.0
            if not works:
                continue
            mark = self.folder / named(trial.voice)
            if mark.name == self.always or (mark.name == self.once and not mark.exists()):
                with mark.open("a") as file:
                    file.write("x")
                os.kill(os.getpid(), signal.SIGKILL) if mark.name == self.once else os._exit(0)
        return None


def named(voice: Voice) -> str:
    """A voice's key."""
    return hashlib.sha256(voice.tobytes()).hexdigest()[:16]


def voices(count: int, seed: int = 0) -> list[Voice]:
    """Some that no fault meets."""
    draw, plan = np.random.default_rng(seed), Plan()
    found: list[Voice] = []
    while len(found) < count:
        genes = draw.uniform(-0.5, 0.5, GENES).astype(np.float32)
        one = np.broadcast_to(genes[COLUMNS], (ROWS_OF_VOICE, 1, STYLE_WIDTH)).copy()
        found += [one] if plan.fault(one) is None else []
    return found


def deaths(workers: Sequence[int] = (1, 2), start: bool = True, most: int = MOST_DEATHS) -> list[Row]:
    """Worker processes die: their company is evaluated again, who ends three of them is a failure with a name.

    Args:
        workers: numbers of them.
        start: also workers that die at rest or can't start, and a first voice that ends each.
        most: processes that one voice may end; each takes seconds to start.
    """
    with mock.patch.object(kvw.executors.processes, "MOST_DEATHS", most):
        return _deaths(workers, start, most)


def _deaths(workers: Sequence[int], start: bool, most: int) -> list[Row]:
    rows = []
    for count in workers:
        with row(f"dead workers: executor=processes, workers {count}") as found, folder() as inside:
            rows.append(found)
            one, once, always, another = voices(4)
            deadly = Deadly(inside, named(once), named(always))
            company = [one, once, always, another]
            local = LocalExecutor(fitness=deadly, scorers=0)
            expected = local(company, OPEN)
            executor = ProcessExecutor(fitness=deadly, workers=count)
            cache = DictCache()
            seen = executor(company, OPEN, cache)
            found.add("company", "" if seen[:2] + seen[3:] == expected[:2] + expected[3:] else f"{seen}")
            crashed = Evaluation("crashed", detail=f"it ended {most} worker processes")
            found.add("who ends all", "" if seen[2] == crashed and crashed.failed else f"{seen[2]}")
            ended = len((inside / named(always)).read_text())
            found.add("deaths", "" if ended in (most, most + 1) else f"{ended}")
            known = known_utterances(cache, executor._own.listener, executor._own.scripts, [one])
            found.add("remembered", "" if len(known) == len(SCRIPTS) else f"{known}")
            if start:
                for process in (executor._pool._processes or {}).values():
                    process.kill()
                again = executor([another, one], OPEN)
                found.add("killed while idle", "" if again == [expected[3], expected[0]] else f"{again}")
            executor.close()
    if not start:
        return rows
    with row("dead workers: a first voice that ends each") as found, folder() as inside:
        rows.append(found)
        one, _, always, _ = voices(4)
        executor = ProcessExecutor(fitness=Deadly(inside, always=named(always)), workers=1)
        try:
            seen = executor([always, one], OPEN)
            found.add("company", "" if [each.status for each in seen] == ["crashed", "complete"] else f"{seen}")
        except KvwError as error:
            found.add("company", f"{error}")
        executor.close()
    with row("dead workers: none can start") as found, folder() as inside:
        rows.append(found)
        found.add("one line", cannot_start(inside))
    return rows


def cannot_start(inside: Path) -> str:
    """What is wrong with the end of a search whose workers can't start."""
    executor = ProcessExecutor(fitness=Deadly(inside, starts=False), workers=1)
    try:
        return f"evaluated: {executor(voices(2), OPEN)}"
    except KvwError as error:
        return "" if "every worker process died" in str(error) and "\n" not in str(error) else str(error)
    finally:
        executor.close()

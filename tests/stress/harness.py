"""A world so small that a whole run takes milliseconds: it can be killed, damaged and starved at every point.

Read :func:`run` first, which is what a run does with its folder. The search, the strategies and the record are the real
ones; the space and the speech are not. One process, without torch, forks a child for every case (:func:`fork`); in the
child :func:`watch` lets a scenario act ahead of every call that touches the storage.
"""

from __future__ import annotations

import dataclasses
import functools
import gc
import hashlib
import json
import logging
import mmap
import os
import pickle
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import kvw.cli.main  # registers the schema of the configuration
import kvw.runs.store
import kvw.runtime.files
import kvw.runtime.locks
from kvw.config.invocation import compose
from kvw.config.schema import plain
from kvw.config.stages import make_stage, with_members
from kvw.errors import KvwError
from kvw.evaluation import Evaluation, Gate, Utterance, UtteranceCache, gates_for, harmonic_mean
from kvw.fitness.utterances import utterance_key
from kvw.runs.folders import RECORD, held
from kvw.runs.schema import read_rows
from kvw.runs.store import Store
from kvw.runtime import signals
from kvw.runtime.locks import LOCK
from kvw.search.archive import Archive
from kvw.search.budget import Budget
from kvw.search.candidate import Candidate
from kvw.search.islands import Archipelago
from kvw.search.loop import search
from kvw.search.observer import Observer
from kvw.search.stage import SearchStage
from kvw.speech.synthesizer import Script, Segment
from kvw.testing import strategies
from kvw.types import MAX_PHONEMES, STYLE_WIDTH, Genome, Voice

SEED = 7
LIMIT = 4
"""Stock voices that the search starts from."""

GENERATIONS = 4
"""Of most runs."""

LONGEST = 60
"""Seconds after which a child hangs."""

# ---------------------------------------------------------------------------------------------- the world


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

    def _hear(self, voice: Voice, script: Script, cache: UtteranceCache) -> Utterance:
        name = utterance_key(voice, script, SEED, "soak")
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
            cache.put({utterance_key(voice, SCRIPTS[0], SEED, "soak"): heard})
        assert heard.statistics is not None
        return heard.statistics


class Saved(Observer):
    """Writes improvements as files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen = 0

    def resumed(self, archive: Archive, uncounted: int) -> None:
        """What was being written when the run was stopped is written again."""
        self(0, (), archive)

    def __call__(self, generation: int, population: Sequence[Candidate], archive: Archive) -> None:
        """Writes the best candidate if it is new."""
        if archive.best is None or archive.improvements == self._seen:
            return
        self._seen = archive.improvements
        content = archive.best.voice[:8].tobytes() + repr(archive.best.evaluation).encode()
        for stem in (f"soak_{archive.best.step}", "best"):
            kvw.runtime.files.write_whole(self._folder / f"{stem}.voice", content)


def saved(case: Case, folder: Path) -> Observer:
    """The observer that writes a run's improvements: for a case that asks for it, the real one; in a child alone."""
    if not case.real:
        return Saved(folder)
    from kvw.runs.artifacts import Improvements
    from kvw.voices.formats import raw, torch_zip

    torch_zip.write = (
        raw.write
    )  # whose writer is torch, which takes seconds to import; how they are written counts here
    facts = {"synthesiser": "embedded", "seed": SEED}
    return Improvements(folder, "soak", "goal", facts, lambda voice: voice[:4, 0].reshape(-1))


# ---------------------------------------------------------------------------------------------- cases


@dataclass(frozen=True)
class Case:
    """A search.

    Attributes:
        name: for messages.
        stages: of the search.
        size: candidates of a generation.
        real: whether improvements are written as a real run writes them, as ``.pt``, ``.json`` and ``.wav``.
    """

    name: str
    stages: Sequence[SearchStage]
    size: int
    real: bool = False

    @property
    def rows(self) -> int:
        """Of a voice."""
        return MAX_PHONEMES if self.real else 16


SMALL = {
    "cma": (["strategy.population=3", "strategy.patience=2"], 4),
    "differential": (["strategy.size=5"], 5),
    "genetic": (["strategy.size=4", "strategy.elites=1", "strategy.patience=1"], 4),
    "interpolation": (["strategy.step=1.5"], 3),
    "islands": (
        ['strategy.members=["genetic strategy.size=3 strategy.elites=1",random_walk]', "strategy.exchange=1"],
        4,
    ),
    "nsga2": (["strategy.size=4"], 4),
    "random_search": (["strategy.batch=3"], 3),
    "random_walk": ([], 1),
    "sep_cma": (["strategy.population=3", "strategy.patience=2"], 4),
}
"""Settings with which generations are small, and the candidates of one; another strategy runs as it is."""

CHAIN = "nsga2 then cma"
"""A case that is a chain: its first strategy keeps candidates, and has two generations."""


def chosen(names: Sequence[str]) -> list[Case]:
    """The cases of those names; if there are none, of every strategy that there is and a chain of two."""
    found = [_case(name) for name in names or (*strategies(), CHAIN)]
    if any(case.real for case in found):
        import kvw.runs.artifacts  # noqa: F401 - it takes a while, and children have it then
    gc.collect()
    gc.freeze()
    return found


@functools.cache
def _case(name: str) -> Case:
    stages = []
    for part in name.split(" then "):
        settings, size = SMALL.get(part, ((), 10))
        cfg = compose(f"strategy={part}", *settings).cfg
        node = with_members({"strategy": plain(cfg.strategy), "space": plain(cfg.space)}, None)
        limit = None if name.endswith(part) else 2 * size
        stage = make_stage(part, node, "")
        stages.append(dataclasses.replace(small(stage), step_limit=limit))
    return Case(name, stages, size, name == "random_walk")


def small(stage: SearchStage) -> SearchStage:
    """The stage in the small space; its members, if it has some, each in one of their own."""
    if isinstance(stage, Archipelago):
        return dataclasses.replace(stage, members=[small(member) for member in stage.members])
    return dataclasses.replace(stage, space=Blocks)


def run(folder: Path, case: Case, generations: int = GENERATIONS, pause: float = 0.0, watcher: Any = None) -> int:
    """Begins a run in ``folder``, or goes on with the one that is there, until about ``generations`` have been.

    Returns:
        candidates that were evaluated, those of earlier attempts included.
    """
    random.seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002 - as a run does: libraries draw from it
    with held(folder):
        path = folder / RECORD
        facts = {"case": case.name, "seed": SEED, "clip": np.linspace(-1, 1, 1000, dtype=np.float32)}
        record = Store(path) if path.is_file() else Store.create(path, facts)
        try:
            record.heard_through(ROWS)
            executor = Speech(pause)
            result = search(
                bank=bank(case.rows),
                executor=executor,
                stages=case.stages,
                rng=np.random.default_rng(SEED),
                budget=Budget(step_limit=generations * case.size),
                population_limit=LIMIT,
                observers=[record, saved(case, folder), *([watcher] if watcher else [])],
                record=record,
                cache=record,
            )
        finally:
            record.close()
    return result.archive.steps


def fingerprint(folder: Path) -> dict[str, str]:
    """All of a run that has to be the same, bit for bit, however often it was stopped: a digest for each part.

    Raises:
        DamagedError: a row isn't as it was written.
    """
    path, parts = folder / RECORD, {}
    with closing(sqlite3.connect(path)) as db:
        for table in ("run", "utterances", "stock", "candidates", "arrays", "uses"):
            parts[table] = _digest(read_rows(path, db, table, "ORDER BY 1, 2"))
        states = {generation: json.loads(text) for generation, text in read_rows(path, db, "checkpoints", "ORDER BY 1")}
    for generation, state in states.items():
        del state["seconds"]
        parts[f"checkpoint {generation}"] = _digest([state])
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.name.startswith((LOCK, RECORD)):
            parts[str(file.relative_to(folder))] = hashlib.sha256(file.read_bytes()).hexdigest()
    return parts


def differences(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """The parts in which two fingerprints differ."""
    return [part for part in {**one, **other} if one.get(part) != other.get(part)]


def _digest(values: Any) -> str:
    found = hashlib.sha256()
    for value in values:
        for one in value if isinstance(value, tuple) else (value,):
            found.update(one if isinstance(one, bytes) else repr(one).encode())
            found.update(b"\n")
    return found.hexdigest()


# ---------------------------------------------------------------------------------------------- hooks


Act = Callable[[str], None]
"""What a scenario does ahead of a call of that kind: nothing, die, raise."""


class Watched:
    """A database whose statements are watched."""

    def __init__(self, db: sqlite3.Connection, act: Act) -> None:
        self._db, self._act = db, act

    def execute(self, statement: str, *values: Any) -> Any:
        """As :mod:`sqlite3`."""
        words = statement.replace("=", "= ").replace("(", " ").split()  # PRAGMA name= sets, PRAGMA name reads
        self._act(" ".join(["sql", *words[: 2 if words[0] == "PRAGMA" else 1]]))
        return self._db.execute(statement, *values)

    def close(self) -> None:
        """As :mod:`sqlite3`."""
        self._act("sql close")
        self._db.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


class WatchedFile:
    """A file that is being written, each step of which is watched."""

    def __init__(self, file: Any, act: Act) -> None:
        self._file, self._act = file, act

    def write(self, content: bytes) -> None:
        """In two halves."""
        self._act("write")
        half = len(content) // 2
        self._file.write(content[:half])
        self._file.flush()
        self._act("second half")
        self._file.write(content[half:])

    def flush(self) -> None:
        """As a file."""
        self._act("flush")
        self._file.flush()

    def __enter__(self) -> WatchedFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def watch(act: Act) -> None:
    """Lets ``act`` run ahead of everything that touches the storage, from now on: in a child of :func:`fork` alone."""
    connect, opened, fsync = kvw.runs.store._connect, Path.open, os.fsync

    def ahead(kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            act(kind)
            return function(*args, **more)

        return call

    def open_watched(path: Path, mode: str = "r", *args: Any, **more: Any) -> Any:
        if mode != "wb":
            return opened(path, mode, *args, **more)
        act("open")
        return WatchedFile(opened(path, mode, *args, **more), act)

    kvw.runs.store._connect = lambda path: Watched(ahead("connect", connect)(path), act)  # type: ignore[assignment,return-value]
    Path.open = open_watched  # type: ignore[assignment,method-assign]
    kvw.runtime.files.os = SimpleNamespace(**{**vars(os), "fsync": ahead("fsync", fsync)})  # type: ignore[assignment]
    for name in ("replace", "unlink", "mkdir"):
        setattr(Path, name, ahead(name, getattr(Path, name)))
    lock: Any = kvw.runtime.locks.FileLock
    lock.acquire, lock.release = ahead("lock", lock.acquire), ahead("unlock", lock.release)


class At:
    """Acts ahead of call ``number``, counted from 1, and in ``lasting`` ahead of all that follow; counts the calls."""

    def __init__(
        self, number: int, action: Act, lasting: bool = False, only: Callable[[str], bool] | None = None
    ) -> None:
        self.calls, self._number, self._action, self._lasting, self._only = 0, number, action, lasting, only

    def __call__(self, kind: str) -> None:
        """Ahead of a call."""
        if self._only and not self._only(kind):
            return
        self.calls += 1
        if self.calls == self._number or (self._lasting and self.calls > self._number):
            self._action(kind)


def die(kind: str) -> None:
    """Ends the process as a power cut or the kernel does: nothing is flushed, nobody is asked."""
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Point:
    """A call at which something may happen.

    Attributes:
        number: of the call, from 1; that behind the last one is the end.
        kind: of the call.
        new: whether the files are others than at the point before.
        work: that was done by then.
    """

    number: int
    kind: str
    new: bool
    work: tuple[int, int]


def points(folder: Path, case: Case, until: int, copies: Path | None = None, **more: Any) -> list[Point]:
    """Runs ``case`` in ``folder``, to its end, and lists its points until ``until`` generations have been, or the end.

    Args:
        folder: of the run.
        case: is run.
        until: this many generations have been evaluated and saved, in this attempt.
        copies: a folder for what a crash at each new point leaves, by the point's number.
        more: for :func:`run`.
    """

    def listed() -> list[Point]:
        found: list[Point] = []
        last: dict[str, bytes] = {}
        enough = Enough(until)

        def note(kind: str) -> None:
            nonlocal last
            if enough.reached:
                return
            left = contents(folder) if copies else {}
            new = not found or left != last
            found.append(Point(len(found) + 1, kind, new, work()))
            last = left
            if copies and new:
                put(copies / str(len(found)), left)

        watch(note)
        run(folder, case, watcher=enough, **more)
        note("end")
        return found

    outcome = fork(listed)
    assert outcome.code == 0, outcome
    found: list[Point] = outcome.value
    return found


class Enough(Observer):
    """Says when some generations have been."""

    def __init__(self, generations: int) -> None:
        self._left = generations

    @property
    def reached(self) -> bool:
        """Whether they have been."""
        return self._left <= 0

    def __call__(self, generation: int, population: Sequence[Candidate], archive: Archive) -> None:
        """One more."""
        self._left -= 1


def contents(folder: Path) -> dict[str, bytes]:
    """What a crash would leave; SQLite's index of its log is made anew by whoever opens it."""
    found = {}
    for file in folder.rglob("*"):
        if file.is_file() and not file.name.endswith("-shm"):
            found[str(file.relative_to(folder))] = file.read_bytes()
    return found


def put(folder: Path, files: Mapping[str, bytes]) -> None:
    """Makes ``folder``, with files of these contents; none of that is watched."""
    for name, content in files.items():
        path = folder / name
        os.makedirs(path.parent, exist_ok=True)  # noqa: PTH103
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(content)


# ---------------------------------------------------------------------------------------------- children


@dataclass(frozen=True)
class Outcome:
    """How a child ended.

    Attributes:
        code: its exit status; minus the signal that killed it.
        value: what its action returned.
        error: what it raised, as text.
        warnings: what kvw logged.
        clean: whether the error is one of kvw's own or an interrupt, in one line.
    """

    code: int
    value: Any = None
    error: str = ""
    warnings: tuple[str, ...] = ()
    clean: bool = True


class Child:
    """A fork of this process that does something and ends."""

    def __init__(self, action: Callable[[], Any]) -> None:
        self._reader, writer = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid:
            os.close(writer)
            return
        code = 70
        try:
            signal.alarm(LONGEST)
            signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where this is run in the background
            outcome = here(action)
            code = outcome.code
            told = pickle.dumps(outcome)
            while told:
                told = told[os.write(writer, told) :]
        finally:
            os._exit(code)

    def kill(self) -> None:
        """By SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> Outcome:
        """How it ended."""
        with os.fdopen(self._reader, "rb") as file:
            told = file.read()
        _, status = os.waitpid(self.pid, 0)
        if os.WIFSIGNALED(status):
            return Outcome(-os.WTERMSIG(status))
        outcome: Outcome = pickle.loads(told) if told else Outcome(os.WEXITSTATUS(status), clean=False)
        return outcome


def fork(action: Callable[[], Any]) -> Outcome:
    """Does something in a child."""
    return Child(action).wait()


def together(judgements: Sequence[tuple[str, Callable[[], tuple[str, str]]]], found: Row, size: int = 40) -> None:
    """Judges cases in which nothing is killed, many in one child: most of a case's time is the fork.

    Args:
        judgements: of each case, its name and what gives its problem and its outcome.
        found: takes them in.
        size: cases of a child.
    """

    def some(at: int) -> list[tuple[str, str]]:
        judged = []
        for _, judgement in judgements[at : at + size]:
            signal.alarm(LONGEST)
            judged.append(judgement())
        return judged

    for at in range(0, len(judgements), size):
        outcome = fork(lambda: some(at))  # noqa: B023
        several = outcome.value or [(f"its child ended with {outcome.code}: {outcome.error}", "")]
        for (case, _), (problem, ended) in zip(judgements[at : at + size], several, strict=False):
            found.add(case, problem, ended)


def here(action: Callable[[], Any]) -> Outcome:
    """Does something as a child would, in this process, which is one."""
    heard: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("kvw").handlers[:] = [handler]
    logging.getLogger("kvw").propagate = False
    try:
        with signals.handled():
            return Outcome(0, action(), warnings=tuple(heard))
    except signals.Interrupted as error:
        return Outcome(error.code, warnings=tuple(heard))
    except KvwError as error:
        return Outcome(error.code, None, str(error), tuple(heard), "\n" not in str(error))
    except BaseException:
        return Outcome(70, None, traceback.format_exc(), tuple(heard), False)


# ---------------------------------------------------------------------------------------------- scenarios


@dataclass
class Row:
    """What became of a scenario's cases.

    Attributes:
        name: of the scenario.
        cases: that were run.
        passed: of those.
        note: figures beside it.
        seconds: it took.
        failures: the first ones.
        outcomes: how many cases ended how.
    """

    name: str
    cases: int = 0
    passed: int = 0
    note: str = ""
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    outcomes: dict[str, int] = field(default_factory=Counter)

    def add(self, case: str, problem: str = "", outcome: str = "") -> None:
        """Counts a case; it passed if there is no problem."""
        self.cases += 1
        self.passed += not problem
        if outcome:
            self.outcomes[outcome] += 1
        if problem and len(self.failures) < 10:
            self.failures.append(f"{case}: {problem}")


@contextmanager
def row(name: str) -> Iterator[Row]:
    """A row that is being filled."""
    made, started = Row(name), time.monotonic()
    yield made
    made.seconds = round(time.monotonic() - started, 2)


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder, in memory where that can be: nothing here is about the disk itself."""
    memory = Path("/dev/shm")
    place = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    made = Path(tempfile.mkdtemp(prefix="kvw-soak-", dir=place))
    try:
        yield made
    finally:
        shutil.rmtree(made)


@contextmanager
def copied(source: Path) -> Iterator[Path]:
    """A copy of a folder."""
    with folder() as made:
        put(made, contents(source))
        yield made


@dataclass(frozen=True)
class Whole:
    """A run that nobody disturbed.

    Attributes:
        case: that was run.
        generations: it had.
        fingerprint: of it.
        steps: candidates.
        work: it took.
    """

    case: Case
    generations: int
    fingerprint: dict[str, str]
    steps: int
    work: tuple[int, int]

    def attempt(self, folder: Path, act: Act | None = None, prepare: Callable[[], object] | None = None) -> Outcome:
        """Runs the case in a child, or lets it go on.

        Args:
            folder: of the run.
            act: ahead of each call.
            prepare: is done first.
        """

        def action() -> int:
            if prepare:
                prepare()
            if act:
                watch(act)
            return run(folder, self.case, self.generations)

        return fork(action)

    def go_on(self, folder: Path) -> Outcome:
        """Lets the case go on in this process, a child."""
        return here(lambda: run(folder, self.case, self.generations))

    def resume(self, left: Path, done: tuple[int, int] = (0, 0), deaths: int | None = 1) -> tuple[str, str]:
        """Lets the case go on in a copy of ``left``, and says what is wrong with the end; in a child.

        Args:
            left: what an attempt has left.
            done: the work of that.
            deaths: as for :meth:`fault`.
        """
        with copied(left) as inside:
            work(*done)
            return self.fault(inside, self.go_on(inside), deaths), ""

    def fault(self, folder: Path, outcome: Outcome, deaths: int | None = 1) -> str:
        """What is wrong with a run that has ended well as it seems; empty if it is this one to the last bit.

        Args:
            folder: of the run.
            outcome: of the last attempt.
            deaths: attempts before it, each of which may have lost one utterance; None for no matter how many.
        """
        if outcome.code or not outcome.clean:
            return f"ended with {outcome.code}: {outcome.error or 'no words'}"
        if outcome.value != self.steps:
            return f"{outcome.value} candidates instead of {self.steps}"
        wrong = differences(self.fingerprint, fingerprint(folder))
        if wrong:
            return f"differs in {', '.join(wrong)}"
        again = [did - had for did, had in zip(work(), self.work, strict=True)]
        if deaths is not None and not all(0 <= more <= deaths for more in again):
            return f"{again} utterances and statistics were measured again"
        return ""


def whole(case: Case, generations: int = GENERATIONS) -> Whole:
    """Runs ``case`` undisturbed."""
    with folder() as inside:
        work(0, 0)
        outcome = fork(lambda: run(inside, case, generations))
        assert outcome.code == 0, outcome.error
        return Whole(case, generations, fingerprint(inside), outcome.value, work())


def main(*scenarios: Callable[..., list[Row]]) -> None:
    """Runs scenarios, all or ``NAME={"argument": value} ...`` of the command line; prints rows as lines of JSON."""
    assert not {"torch", "librosa"} & sys.modules.keys(), "children would be slow to fork"
    known = {one.__name__: one for one in scenarios}
    for given in sys.argv[1:] or known:
        name, _, more = given.partition("=")
        for one in known[name](**json.loads(more or "{}")):
            sys.stdout.write(json.dumps(vars(one)) + "\n")
            sys.stdout.flush()
    assert not {"torch", "librosa"} & sys.modules.keys(), "something has imported them"

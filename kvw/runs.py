"""Runs as a database: ``task=runs``, and the same for programs.

Read :class:`Run` first. Nothing here writes into a run's folder, or waits for the process that works in it, and that
never waits for a reader: each question opens the record, asks, and closes it.

All similarities that were ever measured, for a predictor to learn from::

    runs, unreadable = open_runs(Path("outputs"))
    for run in runs:
        data = run.training()  # data.rows -> data.parts
"""

from __future__ import annotations

import csv as tables
import json
import logging
import os
import sqlite3
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import numpy as np
from hydra.core.hydra_config import HydraConfig
from numpy.typing import NDArray
from omegaconf import DictConfig

from kvw import folder as folders
from kvw import manual, results, sweep
from kvw.candidate import Evaluation
from kvw.checkpoint import Stored, thaw
from kvw.config import several
from kvw.disk import insist
from kvw.store import DamagedError, check_schema, evaluation_of, read_rows
from kvw.strategy import unpack
from kvw.table import aligned
from kvw.types import EXIT_CORRUPT, STYLE_WIDTH, KvwError, some_failed
from kvw.utterance import Utterance

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

CHUNK = 256
"""Rows that are read at once, in one short transaction."""

PATIENCE = 30.0
"""Seconds to wait where SQLite is repairing what a killed run left."""

NEAREST, LATEST = 5, 20
"""Stock voices and improvements that are shown of a run."""

HEAD = ("run", "status", "target", "strategy", "seed", "steps", "score", "stock", "held-out", "synthesiser")
LEFT = 4
"""The columns of the table of runs, and how many of them are flush left."""

NOTHING = np.empty(0)
"""In the place of a checkpoint's arrays where nobody looks at them."""

BESIDE = ("target_sha256", "synthesiser_identity", "versions")
"""What is compared beside the config, which names only the files."""

FIXED = ("run", "step", "generation", "status", "stage", "score", "target_similarity")
"""The first columns of the CSV; then the stages, ``synthesised``, the strategies' notes, and ``detail``."""


@dataclass(frozen=True)
class Sample:
    """A candidate as it was recorded.

    Attributes:
        step: its number, from 0, counted over the run.
        generation: its generation's, from 0.
        evaluation: what the fitness found out about it.
        notes: the strategy's figures for it.
        rows: the style rows that the scored texts are heard through, float32 ``(texts, 256)``, read-only.
    """

    step: int
    generation: int
    evaluation: Evaluation
    notes: dict[str, float]
    rows: NDArray[np.float32]


@dataclass(frozen=True)
class Stock:
    """A stock voice as it was evaluated before the search.

    Attributes:
        name: of the voice.
        evaluation: what the fitness found out about it.
        ranking: ``ranked``, every voice, of which the first stage alone was run; ``full``, those that seed the search.
        rows: as in :class:`Sample`.
    """

    name: str
    evaluation: Evaluation
    ranking: str
    rows: NDArray[np.float32]


@dataclass(frozen=True)
class Training:
    """What a predictor of similarity learns from. Rows of two runs mean the same where their synthesiser is the same.

    Attributes:
        steps: of the candidates, int64 ``(n,)``.
        rows: the style rows that the scored texts are heard through, float32 ``(n, texts, 256)``.
        target_similarity: float64 ``(n,)``, in [0, 1], by which candidates were ordered: of one that was stopped before
            the target text it is the probe's, or 0; -1 for a failure.
        parts: what the stages measured, float64 ``(n, len(names))``, each in [0, 1]; NaN for stages not reached.
        names: of the stages, in their order.
    """

    steps: NDArray[np.int64]
    rows: NDArray[np.float32]
    target_similarity: NDArray[np.float64]
    parts: NDArray[np.float64]
    names: tuple[str, ...]


class Run:
    """A run, read-only: going on, stopped, killed or done, also on a medium that can't be written.

    It holds no file open, and can be pickled. What can change is read anew each time. Every row that it gives is as it
    was written: its digest has been checked.

    Args:
        folder: of the run.

    Attributes:
        folder: it.
        path: of its record.
        facts: what the run is, by key, as :class:`kvw.store.Store` has it: ``config``, ``inputs``, ``texts``, ...; each
            is read when it is asked for, since ``inputs`` may have megabytes of audio.

    Raises:
        KvwError: it has no record, it can't be opened, or it is another version's or somebody else's.
        DamagedError: it isn't as it was written. Every member that reads the record raises both.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / folders.RECORD
        self.facts: Mapping[str, Any] = Facts(self)
        if not self.path.is_file():
            raise KvwError(f"{folder}: expected the folder of a run, with a {folders.RECORD} in it; there is none")
        self._ask(lambda db: None)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    @property
    def status(self) -> str:
        """``running``; ``done``; or ``stopped``: it can be resumed."""
        if folders.is_held(self.folder):
            return "running"
        return "done" if (self.folder / folders.RESULT).exists() else "stopped"

    @cached_property
    def about(self) -> dict[str, Any]:
        """What every voice of the run says in its ``.json``: synthesiser, target, strategy, seed, versions, ..."""
        return self._dict("facts")

    @cached_property
    def config(self) -> dict[str, Any]:
        """The config, resolved."""
        return self._dict("config")

    @property
    def steps(self) -> int:
        """Candidates that were evaluated."""
        return self._latest()[0]

    @property
    def generations(self) -> int:
        """Generations that were evaluated."""
        return self._latest()[1]

    @property
    def best(self) -> tuple[int, Evaluation] | None:
        """The best candidate: its step and its evaluation; None where no candidate is complete.

        It is never a stock voice. It comes from the newest checkpoint that is whole, which the run would go on from:
        the candidates of a long run fill more pages than can be read for each line of a list.
        """

        def read(db: sqlite3.Connection) -> Any:
            damage = None
            for (number,) in db.execute("SELECT generation FROM checkpoints ORDER BY 1 DESC").fetchall():
                try:
                    ((_, text),) = read_rows(self.path, db, "checkpoints", "WHERE generation = ?", number)
                    return thaw(text, lambda name: NOTHING)["archive"]["best"]
                except DamagedError as error:
                    damage = damage or error
            if damage:
                raise damage
            return None

        with self._sound("a checkpoint"):
            best = self._ask(read)
            return best and (int(best["step"]), _checked(Evaluation(**unpack(best["evaluation"]))))

    @property
    def stock(self) -> list[Stock]:
        """The stock voices: all of them, nearest to the target first, then those that seed the search, best first."""
        order = "ORDER BY ranking = 'full', CASE ranking WHEN 'full' THEN -score END, -target_similarity, name"

        def read(db: sqlite3.Connection) -> list[Stock]:
            return [_stock(row) for row in read_rows(self.path, db, "stock", order)]

        with self._sound("stock"):
            return self._ask(read)

    @property
    def stock_score(self) -> float | None:
        """The best stock voice's score, in [0, 100]; None before there is one."""

        def read(db: sqlite3.Connection) -> list[Stock]:
            return [_stock(row) for row in read_rows(self.path, db, "stock", "WHERE ranking = 'full'")]

        with self._sound("stock"):
            return max((one.evaluation.score for one in self._ask(read)), default=None)

    @property
    def result(self) -> dict[str, float]:
        """The figures of a run that is done, as in ``sweep.csv`` (:data:`kvw.sweep.FIGURES`); else empty.

        Raises:
            KvwError: ``result.json`` can't be read.
        """
        path = self.folder / folders.RESULT
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return {name: float(value) for name, value in sweep.figures(found).items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            why = f"{type(error).__name__}: {error}"
            raise KvwError(
                f"{path}: expected the figures of a run; got {why:.80}; move it away", EXIT_CORRUPT
            ) from None

    def candidates(self) -> Iterator[Sample]:
        """Every candidate in the order of the steps.

        They are read by chunks of :data:`CHUNK`: one may take hours over them. Of a run that is going on they end with
        those that are there by then.
        """
        after = -1

        def read(db: sqlite3.Connection) -> list[Sample]:
            where = "WHERE step > ? ORDER BY step LIMIT ?"
            return [_sample(row) for row in read_rows(self.path, db, "candidates", where, after, CHUNK)]

        while True:
            with self._sound(f"a candidate after step {after}"):
                chunk = self._ask(read)
            if not chunk:
                return
            yield from chunk
            after = chunk[-1].step

    def utterances(self) -> Iterator[tuple[str, Utterance]]:
        """Every voice that spoke a text, by its key (see :func:`kvw.utterance.key`), in the order of the keys.

        They are read as candidates are. Arrays are read-only.
        """
        after = ""

        def read(db: sqlite3.Connection) -> list[tuple[str, Utterance]]:
            where = "WHERE key > ? ORDER BY key LIMIT ?"
            return [_utterance(row) for row in read_rows(self.path, db, "utterances", where, after, CHUNK)]

        while True:
            with self._sound(f"an utterance after {after!r:.20}"):
                chunk = self._ask(read)
            if not chunk:
                return
            yield from chunk
            after = chunk[-1][0]

    def training(self, failed: bool = False) -> Training:
        """What was measured of the candidates, for a predictor.

        Args:
            failed: whether those that could not be scored are in it.
        """
        samples = [one for one in self.candidates() if failed or not one.evaluation.failed]
        seen = [one.evaluation for one in samples]
        names = list(dict.fromkeys(name for one in seen for name in one.parts))
        with self._sound("candidates"):
            texts = len(samples[0].rows) if samples else len(self.facts.get("rows", ()))
            rows = np.empty((len(samples), texts, STYLE_WIDTH), dtype=np.float32)
            for row, sample in zip(rows, samples, strict=True):
                row[:] = sample.rows
        return Training(
            np.array([one.step for one in samples], dtype=np.int64),
            rows,
            np.array([one.target_similarity for one in seen], dtype=np.float64),
            np.array([[one.parts.get(name, np.nan) for name in names] for one in seen]).reshape(len(seen), len(names)),
            tuple(names),
        )

    def improvements(self, samples: Iterator[Sample]) -> Iterator[Sample]:
        """Those of ``samples``, in the order of the steps, that were the best so far; stock voices are none.

        A stock voice is told by the rows that are heard.
        """
        stock = {one.rows.tobytes() for one in self.stock}
        best = -1.0
        for one in samples:
            if one.evaluation.complete and one.evaluation.score > best and one.rows.tobytes() not in stock:
                best = one.evaluation.score
                yield one

    def _latest(self) -> tuple[int, int]:
        """Steps and generations: of the last candidate, since to count them would be to read all pages of the file."""

        def read(db: sqlite3.Connection) -> list[Sample]:
            return [_sample(row) for row in read_rows(self.path, db, "candidates", "ORDER BY step DESC LIMIT 1")]

        with self._sound("the last candidate"):
            for last in self._ask(read):
                return last.step + 1, last.generation + 1
        return 0, 0

    def _dict(self, key: str) -> dict[str, Any]:
        found = self.facts.get(key, {})
        if not isinstance(found, dict):
            raise DamagedError(self.path, f"{key} is no dict")
        return found

    @contextmanager
    def _sound(self, what: str) -> Iterator[None]:
        """Names what is not of the types that kvw writes: the digests of a stranger's file may well be right."""
        try:
            yield
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
            raise DamagedError(self.path, f"{what} can't be read ({type(error).__name__}: {error!s:.80})") from error

    def _ask(self, question: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Opens the record, asks, and closes it.

        Without a log beside it nobody writes the file, so it is read as it lies there: SQLite would leave a log and an
        index behind, and can't where the folder can't be written. If a writer came meanwhile, it is asked again.
        """
        lying = self._lying()
        try:
            with closing(_connect(self.path, immutable=lying is not None)) as db:
                check_schema(self.path, db)
                db.execute("BEGIN")  # what it asks is of one instant; to close it is to end it
                answer = question(db)
        except (KvwError, sqlite3.DatabaseError) as error:
            if lying == self._lying():
                if isinstance(error, KvwError):
                    raise
                raise DamagedError(self.path, f"SQLite says: {error}") from error
        else:
            if lying is None or lying == self._lying():
                return answer
        return self._ask(question)

    def _lying(self) -> tuple[int, int] | None:
        """What tells whether the file has been written; None where it is about to be, or was when a run was killed."""
        try:
            if self.path.with_name(f"{folders.RECORD}-wal").exists():
                return None
            file = self.path.stat()
        except OSError:
            return None
        return file.st_mtime_ns, file.st_size


class Facts(Mapping[str, Any]):
    """What a run is, by key: numpy arrays and JSON values, read when they are asked for."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __getitem__(self, key: str) -> Any:
        path = self._run.path

        def find(db: sqlite3.Connection, name: str) -> NDArray[Any]:
            for _, dtype, shape, order, data in read_rows(path, db, "arrays", "WHERE digest = ?", name):
                stored = Stored(dtype, shape, order, data)
                if stored.digest == name:
                    return stored.array()
            raise DamagedError(path, f"the array {name!r:.12} is damaged or missing")

        def read(db: sqlite3.Connection) -> list[Any]:
            rows = read_rows(path, db, "run", "WHERE key = ?", key)
            return [thaw(text, lambda name: find(db, name)) for _, text in rows]

        with self._run._sound(f"the row {key!r:.40} of run"):
            found = self._run._ask(read)
        if not found:
            raise KeyError(key)
        return found[0]

    def __iter__(self) -> Iterator[str]:
        def read(db: sqlite3.Connection) -> list[str]:
            return [str(key) for key, _ in read_rows(self._run.path, db, "run", "ORDER BY rowid")]

        return iter(self._run._ask(read))

    def __len__(self) -> int:
        return len(list(iter(self)))


def open_runs(outputs: Path) -> tuple[list[Run], list[tuple[Path, str]]]:
    """All runs below ``outputs``, also those of sweeps, the one that wrote its record last first.

    Returns:
        the runs; and the folders of those that can't be opened, each with the reason in one line.
    """
    found, unreadable = [], []
    for folder in folders.below(outputs):
        try:
            found.append(Run(folder))
        except (KvwError, OSError) as error:
            unreadable.append((folder, str(error)))
    return found, unreadable


def runs(cfg: DictConfig, *, csv: str | None) -> float:
    """Prints the runs that ``run`` names: all in a table; one with what it did; several with what differs.

    Args:
        cfg: the config.
        csv: a file for every candidate of these runs; null is none.

    Returns:
        how many runs.

    Raises:
        KvwError: a run that is named isn't there or can't be read; or ``csv`` lacks what could not be read.
    """
    outputs = Path(HydraConfig.get().run.dir)
    if csv is not None and (not csv.strip() or Path(csv).is_dir()):
        raise KvwError(f"task.csv: expected the path of a file; got {csv!r}; give task.csv=FILE, or null")
    unreadable: list[tuple[Path, str]] = []
    if names := [] if cfg.run is None else several(cfg.run):
        chosen = [Run(folders.named(str(name), outputs)) for name in names]
        say(described(chosen[0]) if len(chosen) == 1 else compared(chosen, outputs))
    else:
        chosen, unreadable = open_runs(outputs)
        lines, failed = listed(chosen, outputs)
        say(lines if chosen else [f"There are no runs below {outputs}"])
        for why in (*(why for _, why in unreadable), *failed):
            log.warning("%s", why)
    if csv is not None:
        failed = [*(str(folder) for folder, _ in unreadable), *export(chosen, outputs, Path(csv))]
        if failed:
            raise some_failed(failed, len(chosen) + len(unreadable), "runs", f"; {csv} lacks what can't be read")
    return float(len(chosen))


def say(lines: Sequence[str]) -> None:
    """Logs lines; what is no letter becomes a mark: a stranger's record must not steer the terminal."""
    log.info("%s", "\n".join("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in x) for x in lines))


def listed(chosen: Sequence[Run], outputs: Path) -> tuple[list[str], list[str]]:
    """A table with a line for each run; and what is wrong with those that can't be read."""
    rows: list[tuple[str, ...]] = [HEAD]
    failed = []
    for run in chosen:
        try:
            rows.append(overview(run, outputs))
        except KvwError as error:
            failed.append(str(error))
    return aligned(rows, LEFT), failed


def overview(run: Run, outputs: Path) -> tuple[str, ...]:
    """A run's cells of the table.

    It reads a page or two of each run, whatever its length: a lab has a thousand of them.
    """
    best, about = run.best, run.about
    return (
        label(run, outputs),
        run.status,
        *(word(about.get(name, "-")) for name in ("target", "strategy", "seed")),
        str(run.steps),
        number(best and best[1].score, 2),
        number(run.stock_score, 2),
        number(run.result.get("heldout"), 3),
        word(about.get("synthesiser", "-")),
    )


@dataclass
class Tally:
    """The candidates of a run in numbers.

    Attributes:
        steps: candidates.
        generations: of them.
        seconds: of audio.
        complete: candidates that passed every gate.
        stopped: those that a gate stopped, by stage.
        failed: those that could not be scored, by status.
        better: the improvements.
    """

    steps: int = 0
    generations: int = 0
    seconds: float = 0.0
    complete: int = 0
    stopped: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    better: list[Sample] = field(default_factory=list)

    def count(self, samples: Iterator[Sample]) -> Iterator[Sample]:
        """Counts samples that pass through."""
        for one in samples:
            seen = one.evaluation
            self.steps, self.generations = one.step + 1, one.generation + 1
            self.seconds += seen.synthesised
            self.complete += seen.complete
            if seen.failed:
                self.failed[seen.status] += 1
            elif not seen.complete:
                self.stopped[seen.stage or "?"] += 1
            yield one

    def __str__(self) -> str:
        parts = [f"{self.complete} complete"]
        for name, whys in (("stopped", self.stopped), ("failed", self.failed)):
            which = ", ".join(f"{why} {count}" for why, count in whys.most_common())
            parts.append(f"{whys.total()} {name}{f' ({which})' if which else ''}")
        return f"{', '.join(parts)}; {self.seconds:.0f} s of audio"


def described(run: Run) -> list[str]:
    """What a run did, as lines."""
    about = {name: word(value) for name, value in run.about.items()}
    status, stock, limit = run.status, run.stock, run.config.get("step_limit")
    tally = Tally()
    tally.better = list(run.improvements(tally.count(run.candidates())))
    full = {one.name: one for one in stock if one.ranking == "full"}
    nearest = [full.get(one.name, one) for one in stock if one.ranking != "full"][:NEAREST]
    latest = tally.better[-LATEST:]
    lines = [
        f"{run.folder}: {status}",
        f"Target: {about.get('target', '-')}, sha256 {about.get('target_sha256', '-')[:12]}, "
        f"language {about.get('language', '-')}",
        f"Strategy: {about.get('strategy', '-')}, seed {about.get('seed', '-')}",
        f"Synthesiser: {about.get('synthesiser', '-')}, {about.get('synthesiser_identity', '-')}",
        f"Nearest of {len([one for one in stock if one.ranking != 'full'])} stock voices:",
        *indented([(one.name, results.figures(one.evaluation)) for one in nearest]),
        f"Candidates: {tally.steps}{f' of {word(limit)}' if limit else ''} in {tally.generations} generations",
        f"Outcomes: {tally}",
        f"Improvements: {len(tally.better)}{f', the last {LATEST}' if len(latest) < len(tally.better) else ''}",
        *indented([(f"step {one.step}", results.figures(one.evaluation, one.notes)) for one in latest]),
    ]
    if tally.better and full:
        score = tally.better[-1].evaluation.score
        gain = score - max(one.evaluation.score for one in full.values())
        lines.append(f"Score: {score:.2f}, {gain:+.2f} over the best stock voice")
    if result := run.result:
        lines.append(f"Held-out: {result['heldout']:.3f}, the best stock voice {result['stock_heldout']:.3f}")
    if status == "running":
        lines.append(f"At work: process {folders.holder(run.folder)}")
    if status == "stopped":
        lines.append(f"Go on: python -m kvw resume={manual.shell(str(run.folder))}")
    return lines


def compared(chosen: Sequence[Run], outputs: Path) -> list[str]:
    """In which keys of the config the runs differ, and below it the table of them.

    What the config does not say is compared as well: the recording's digest, the synthesiser and the versions.
    """
    settings = []
    for run in chosen:
        with run._sound("config"):
            settings.append(flat({**run.config, **{key: run.about[key] for key in BESIDE if key in run.about}}))
    keys = dict.fromkeys(key for one in settings for key in one)
    differ = [key for key in keys if len({one.get(key) for one in settings}) > 1]
    lines = ["The runs have the same config"]
    if differ:
        head = ("differs", *(label(run, outputs) for run in chosen))
        rows = [(word(key), *(word(one.get(key, "-")) for one in settings)) for key in differ]
        lines = aligned([head, *rows], len(head))
    return [*lines, "", *aligned([HEAD, *(overview(run, outputs) for run in chosen)], LEFT)]


def flat(node: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """A nested config as texts by dotted keys."""
    texts: dict[str, str] = {}
    for key, value in node.items():
        if isinstance(value, dict) and value:
            texts |= flat(value, f"{above}{key}.")
        else:
            texts[f"{above}{key}"] = value if isinstance(value, str) else json.dumps(value, default=str)
    return texts


def export(chosen: Sequence[Run], outputs: Path, path: Path) -> list[str]:
    """Writes every candidate of the runs as CSV: numbers to their last digit, an empty cell for what there is not.

    Returns:
        the runs that can't be read to their ends: why is logged, and the file has what comes before.

    Raises:
        StorageError: the storage is full, broken or gone; a file that was there is as it was.
        OSError: ``path`` can't be written; the same.
    """
    failed = []
    ends: list[int] = []
    parts: dict[str, None] = {}
    notes: dict[str, None] = {}
    for run in chosen:  # all names come before the first line, and a lab's candidates don't fit into memory
        ends.append(-1)
        try:
            for one in run.candidates():
                parts.update(dict.fromkeys(one.evaluation.parts))
                notes.update(dict.fromkeys(one.notes))
                ends[-1] = one.step
        except KvwError as error:
            failed.append(label(run, outputs))
            log.error("%s", error)
    taken = {*FIXED, *parts, "synthesised", "detail"}
    head = [*FIXED, *parts, "synthesised", *(f"{n} (note)" if n in taken else n for n in notes), "detail"]

    def make() -> None:
        partial = path.with_name(f".kvw-{uuid.uuid4().hex}.part")
        try:
            with partial.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
                lines = tables.writer(file, lineterminator="\n")
                lines.writerow(head)
                for run, end in zip(chosen, ends, strict=True):
                    lines.writerows(cells(run, end))
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def cells(run: Run, end: int) -> Iterator[list[object]]:
        name = label(run, outputs)
        for one in run.candidates() if end >= 0 else ():
            seen = one.evaluation
            yield [
                *(name, one.step, one.generation, seen.status, seen.stage, seen.score, seen.target_similarity),
                *(seen.parts.get(part, "") for part in parts),
                seen.synthesised,
                *(one.notes.get(note, "") for note in notes),
                seen.detail,
            ]
            if one.step >= end:
                return

    path.parent.mkdir(parents=True, exist_ok=True)
    insist(path, make)
    log.info("Every candidate is in %s", path)
    return failed


def label(run: Run, outputs: Path) -> str:
    """A run's folder, relative to ``outputs`` if it is below."""
    folder, above = run.folder.absolute(), outputs.absolute()
    return str(folder.relative_to(above)) if folder.is_relative_to(above) else str(run.folder)


def word(value: object) -> str:
    """A value in a table or line."""
    return sweep.shortened(str(value))


def number(value: float | None, decimals: int) -> str:
    """A figure in a table."""
    return "-" if value is None else f"{value:.{decimals}f}"


def indented(rows: Sequence[Sequence[str]]) -> list[str]:
    """Pairs as lines below another."""
    return [f"  {line}" for line in aligned(rows, 2)]


def _connect(path: Path, *, immutable: bool) -> sqlite3.Connection:
    """Opens ``path`` for reading, whatever letters its name has."""
    place = path.absolute().as_posix()
    root = "" if place.startswith("/") else "/"  # Windows: file:///C:/...
    uri = f"file://{root}{quote(os.fsencode(place))}?mode=ro{'&immutable=1' if immutable else ''}"
    db = None
    try:
        db = sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None)
        db.text_factory = lambda text: text.decode("utf-8", "replace")  # damage is for the digest to find
        db.execute("PRAGMA schema_version")
    except sqlite3.OperationalError as error:
        if db:
            db.close()
        raise KvwError(
            f"{path}: expected a record that can be opened; SQLite says: {error}; check its permissions; of a "
            "killed run in a folder that can't be written, read a copy"
        ) from error
    except sqlite3.DatabaseError:
        pass  # check_schema says what it is
    assert db is not None
    return db


def _sample(row: Sequence[Any]) -> Sample:
    step, generation, *seen, notes, rows = row
    figures = {str(name): float(value) for name, value in json.loads(notes).items()}
    return Sample(int(step), int(generation), _checked(evaluation_of(seen)), figures, _style(rows))


def _stock(row: Sequence[Any]) -> Stock:
    name, ranking, *seen, rows = row
    return Stock(str(name), _checked(evaluation_of(seen)), str(ranking), _style(rows))


def _utterance(row: Sequence[Any]) -> tuple[str, Utterance]:
    key, seconds, status, detail, embedding, statistics = row
    return str(key), Utterance(
        float(seconds),
        str(status),
        str(detail),
        None if embedding is None else np.frombuffer(embedding, "<f4"),
        None if statistics is None else np.frombuffer(statistics, "<f8"),
    )


def _checked(seen: Evaluation) -> Evaluation:
    """An evaluation whose values have their types."""
    return Evaluation(
        str(seen.status),
        float(seen.score),
        float(seen.target_similarity),
        {str(name): float(value) for name, value in seen.parts.items()},
        float(seen.synthesised),
        str(seen.stage),
        str(seen.detail),
    )


def _style(rows: bytes) -> NDArray[np.float32]:
    return np.frombuffer(rows, "<f4").reshape(-1, STYLE_WIDTH)

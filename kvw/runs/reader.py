"""Runs as a database: read-only, for programs; ``task=runs`` prints them (:mod:`kvw.tasks.runs`).

Read :class:`Run` first. Nothing here writes into a run's folder, or waits for the process that works in it, and that
never waits for a reader: each question opens the record, asks, and closes it.

All similarities that were ever measured, for a predictor to learn from::

    runs, unreadable = open_runs(Path("outputs"))
    for run in runs:
        data = run.training()  # data.rows -> data.parts
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import numpy as np

from kvw.errors import EXIT_CORRUPT, KvwError
from kvw.evaluation import Evaluation, Utterance
from kvw.runs import folders
from kvw.runs.result import result_figures
from kvw.runs.samples import Sample, Stock, Training, sample_of, stock_of
from kvw.runs.schema import DamagedError, check_schema, checked, guard_types, read_array, read_rows, utterance_of
from kvw.runtime.locks import is_held
from kvw.search.state import thaw, unpack
from kvw.types import STYLE_WIDTH

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")

CHUNK = 256
"""Rows that are read at once, in one short transaction."""

PATIENCE = 30.0
"""Seconds to wait where SQLite is repairing what a killed run left."""

NOTHING = np.empty(0)
"""In the place of a checkpoint's arrays where nobody looks at them."""


class Run:
    """A run, read-only: going on, stopped, killed or done, also on a medium that can't be written.

    It holds no file open, and can be pickled. What can change is read anew each time. Every row that it gives is as it
    was written: its digest has been checked.

    Args:
        folder: of the run.

    Attributes:
        folder: it.
        path: of its record.
        facts: what the run is, by key, as :class:`kvw.runs.store.Store` has it: ``config``, ``inputs``, ``texts``, ...;
            each is read when it is asked for, since ``inputs`` may have megabytes of audio.

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
        if is_held(self.folder):
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

        with guard_types(self.path, "a checkpoint"):
            best = self._ask(read)
            return best and (int(best["step"]), checked(Evaluation(**unpack(best["evaluation"]))))

    @property
    def stock(self) -> list[Stock]:
        """The stock voices: all of them, nearest to the target first, then those that seed the search, best first."""
        order = "ORDER BY ranking = 'full', CASE ranking WHEN 'full' THEN -score END, -target_similarity, name"

        def read(db: sqlite3.Connection) -> list[Stock]:
            return [stock_of(row) for row in read_rows(self.path, db, "stock", order)]

        with guard_types(self.path, "stock"):
            return self._ask(read)

    @property
    def stock_score(self) -> float | None:
        """The best stock voice's score, in [0, 100]; None before there is one."""

        def read(db: sqlite3.Connection) -> list[Stock]:
            return [stock_of(row) for row in read_rows(self.path, db, "stock", "WHERE ranking = 'full'")]

        with guard_types(self.path, "stock"):
            return max((one.evaluation.score for one in self._ask(read)), default=None)

    @property
    def result(self) -> dict[str, float]:
        """The figures of a run that is done, as in ``sweep.csv`` (:data:`kvw.runs.result.FIGURES`); else empty.

        Raises:
            KvwError: ``result.json`` can't be read.
        """
        return self._concluded(lambda found: {name: float(value) for name, value in result_figures(found).items()})

    @property
    def heldout(self) -> dict[str, list[float]]:
        """The similarity on each held-out text of a run that is done, by the roles of :data:`kvw.runs.artifacts.ROLES`.

        A run that did not begin at the start has none of that role.

        Raises:
            KvwError: ``result.json`` can't be read.
        """

        def read(found: Any) -> dict[str, list[float]]:
            voices = list(found["voices"].items())
            labels = {label: "start" for label, _ in voices if label == "start"}
            labels |= {voices[0][0]: "stock", voices[-1][0]: "best"}
            return {labels[label]: [float(one) for one in seen["heldout"]] for label, seen in voices if label in labels}

        return self._concluded(read)

    def _concluded(self, read: Callable[[Any], dict[str, Answer]]) -> dict[str, Answer]:
        """What ``read`` finds in the result of a run that is done; else nothing."""
        path = self.folder / folders.RESULT
        try:
            return read(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            why = f"{type(error).__name__}: {error}"
            raise KvwError(
                f"{path}: expected the figures of a run; got {why:.80}; move it away", EXIT_CORRUPT
            ) from None

    def candidates(self, after: int = -1) -> Iterator[Sample]:
        """Every candidate behind step ``after``, in the order of the steps.

        They are read by chunks of :data:`CHUNK`: one may take hours over them. Of a run that is going on they end with
        those that are there by then.
        """

        def read(db: sqlite3.Connection) -> list[Sample]:
            where = "WHERE step > ? ORDER BY step LIMIT ?"
            return [sample_of(row) for row in read_rows(self.path, db, "candidates", where, after, CHUNK)]

        while True:
            with guard_types(self.path, f"a candidate after step {after}"):
                chunk = self._ask(read)
            if not chunk:
                return
            yield from chunk
            after = chunk[-1].step

    def utterances(self) -> Iterator[tuple[str, Utterance]]:
        """Every utterance by its key (:func:`kvw.fitness.utterances.utterance_key`), in the order of the keys.

        They are read as candidates are. Arrays are read-only.
        """
        after = ""

        def read(db: sqlite3.Connection) -> list[tuple[str, Utterance]]:
            where = "WHERE key > ? ORDER BY key LIMIT ?"
            return [utterance_of(row) for row in read_rows(self.path, db, "utterances", where, after, CHUNK)]

        while True:
            with guard_types(self.path, f"an utterance after {after!r:.20}"):
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
        with guard_types(self.path, "candidates"):
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
            return [sample_of(row) for row in read_rows(self.path, db, "candidates", "ORDER BY step DESC LIMIT 1")]

        with guard_types(self.path, "the last candidate"):
            for last in self._ask(read):
                return last.step + 1, last.generation + 1
        return 0, 0

    def _dict(self, key: str) -> dict[str, Any]:
        found = self.facts.get(key, {})
        if not isinstance(found, dict):
            raise DamagedError(self.path, f"{key} is no dict")
        return found

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

        def read(db: sqlite3.Connection) -> list[Any]:
            rows = read_rows(path, db, "run", "WHERE key = ?", key)
            return [thaw(text, partial(read_array, path, db)) for _, text in rows]

        with guard_types(path, f"the row {key!r:.40} of run"):
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

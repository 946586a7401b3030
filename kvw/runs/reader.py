"""Reads runs, for programs; ``task=runs`` prints them (:mod:`kvw.tasks.runs`).

Read :class:`Run` first. Reading never writes into a run's folder, and never waits for the process that works in it or
makes that process wait (:mod:`kvw.runs.connection`).

All similarities that were ever measured, for a predictor to learn from::

    runs, unreadable = open_runs(Path("outputs"))
    for run in runs:
        data = run.training()  # data.rows -> data.parts
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kvw.errors import KvwError
from kvw.evaluation import Evaluation, Utterance
from kvw.fitness.utterances import utterance_key
from kvw.runs import folders
from kvw.runs.connection import ask
from kvw.runs.result import HeldOutFigures, read_figures, read_heldout, read_verdict
from kvw.runs.samples import Sample, Stock, Training, sample_of, stock_of, training_of
from kvw.runs.schema import DamagedError, checked, guard_types, read_array, read_rows, utterance_of
from kvw.runtime.locks import is_held
from kvw.search.state import thaw, unpack
from kvw.speech.synthesizer import Script, Segment
from kvw.types import EMBEDDING_WIDTH

Row = TypeVar("Row")

CHUNK = 256
"""Rows that are read at once, in one short transaction."""

NO_ARRAY = np.empty(0)
"""Placeholder for arrays that need not be loaded."""


class Run:
    """A run, read-only: running, stopped, killed or done, also on a medium that can't be written.

    A Run holds no file open, and can be pickled. What can change is read anew each time. The digest of every row is
    checked.

    Args:
        folder: of the run.

    Attributes:
        folder: of the run.
        path: of the run's record.
        facts: what the record says about the run as a whole, by key (see :class:`kvw.runs.store.Store`): ``config``,
            ``inputs``, ``texts``, ...; each is read when it is asked for, since ``inputs`` may have megabytes of audio.

    Raises:
        KvwError: the folder has no record, or one that can't be opened or has another format.
        DamagedError: the record is not as it was written. Every member that reads the record raises both.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / folders.RECORD
        self.facts: Mapping[str, Any] = Facts(self.path)
        if not self.path.is_file():
            raise KvwError(f"{folder}: expected the folder of a run, with a {folders.RECORD} in it; there is none")
        ask(self.path, lambda db: None)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    @property
    def status(self) -> str:
        """``running``; ``done``; or ``stopped``, which can be resumed."""
        if is_held(self.folder):
            return "running"
        return "done" if (self.folder / folders.RESULT).exists() else "stopped"

    @cached_property
    def about(self) -> dict[str, Any]:
        """What the ``.json`` of every voice of the run says: synthesiser, target, strategy, seed, versions, ..."""
        return self._dict("provenance")

    @cached_property
    def config(self) -> dict[str, Any]:
        """The config, resolved."""
        return self._dict("config")

    @cached_property
    def scripts(self) -> list[Script]:
        """The scored texts, first the target text; none of a run that an older kvw recorded."""
        with guard_types(self.path, "segments"):
            spoken = zip(self.facts["texts"], self.facts["segments"], strict=True) if "segments" in self.facts else ()
            return [
                Script(str(text), tuple(Segment(str(words), str(phonemes)) for words, phonemes in parts))
                for text, parts in spoken
            ]

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
        """Step and evaluation of the best candidate, which is never a stock voice; None where none is complete.

        They come from the newest undamaged checkpoint, from which the run would resume: reading all candidates of a
        long run would take too long for each line of a list.
        """

        def read(db: sqlite3.Connection) -> Any:
            damage = None
            for (generation,) in db.execute("SELECT generation FROM checkpoints ORDER BY 1 DESC").fetchall():
                try:
                    ((_, text),) = read_rows(self.path, db, "checkpoints", "WHERE generation = ?", generation)
                    return thaw(text, lambda digest: NO_ARRAY)["archive"]["best"]
                except DamagedError as error:
                    damage = damage or error
            if damage:
                raise damage
            return None

        with guard_types(self.path, "a checkpoint"):
            best = ask(self.path, read)
            return best and (int(best["step"]), checked(Evaluation(**unpack(best["evaluation"]))))

    @property
    def stock(self) -> list[Stock]:
        """All stock voices, the nearest to the target first; then those that seed the search, the best first."""
        return self._stock(
            "ORDER BY ranking = 'full', CASE ranking WHEN 'full' THEN -score END, -target_similarity, name"
        )

    @property
    def best_stock(self) -> Stock | None:
        """The best stock voice; None before the ranking has ended."""
        seeds = self._stock("WHERE ranking = 'full'")
        return max(seeds, key=lambda voice: (voice.evaluation.score, voice.evaluation.target_similarity), default=None)

    @property
    def stock_score(self) -> float | None:
        """The best stock voice's score, in [0, 100]; None before the ranking has ended."""
        best = self.best_stock
        return best.evaluation.score if best else None

    @property
    def result(self) -> dict[str, float]:
        """The figures of a run that is done, by :data:`kvw.runs.result.FIGURES`, as in ``sweep.csv``; else empty.

        Raises:
            KvwError: ``result.json`` can't be read.
        """
        return read_figures(self.folder / folders.RESULT)

    @property
    def heldout(self) -> dict[str, HeldOutFigures]:
        """The figures on the held-out texts of a run that is done, by the roles of :data:`kvw.runs.artifacts.ROLES`.

        A run whose candidates begin with no starting voice of their own lacks the role ``start``.

        Raises:
            KvwError: ``result.json`` can't be read.
        """
        return read_heldout(self.folder / folders.RESULT)

    @property
    def verdict(self) -> str:
        """The verdict on the result of a run that is done, see :func:`kvw.runs.result.verdict_of`; else empty.

        Raises:
            KvwError: ``result.json`` can't be read.
        """
        return read_verdict(self.folder / folders.RESULT)

    def candidates(self, after: int = -1) -> Iterator[Sample]:
        """Every candidate behind step ``after``, in the order of the steps.

        They are read in chunks of :data:`CHUNK`, and the caller may take hours over them. Candidates that a running
        search adds meanwhile are included.
        """
        return self._pages("candidates", "step", after, sample_of)

    def utterances(self) -> Iterator[tuple[str, Utterance]]:
        """Every utterance by its key (:func:`kvw.fitness.utterances.utterance_key`), in the order of the keys.

        They are read in chunks, as candidates are. Arrays are read-only.
        """
        return self._pages("utterances", "key", "", utterance_of)

    def training(self, failed: bool = False) -> Training:
        """What was measured of the candidates, for a predictor.

        Args:
            failed: whether to include candidates that could not be scored.

        Those of which a gradient was measured are never included: they spoke another text.
        """
        scored = (sample for sample in self.candidates() if sample.evaluation.status != "gradient")
        samples = [sample for sample in scored if failed or not sample.evaluation.failed]
        with guard_types(self.path, "candidates"):
            segments = len(samples[0].rows) if samples else len(self.facts.get("rows", ()))
            return training_of(samples, segments, self._heard(samples))

    def _heard(self, samples: Sequence[Sample]) -> NDArray[np.float32]:
        """The speaker embedding of each candidate in each text, ``(n, texts, 256)``; NaN where none is known."""
        scripts = self.scripts
        found = np.full((len(samples), len(scripts), EMBEDDING_WIDTH), np.nan, dtype=np.float32)
        if not scripts or not samples:
            return found
        utterances, identity, seed = dict(self.utterances()), str(self.facts["identity_on_device"]), self.about["seed"]
        for sample, heard in zip(samples, found, strict=True):
            rows = iter(sample.rows)
            for number, script in enumerate(scripts):
                key = utterance_key([next(rows) for _ in script.segments], script, seed, identity)
                if (known := utterances.get(key)) and known.embedding is not None:
                    own = known.embedding[:EMBEDDING_WIDTH]  # Resemblyzer's comes first
                    heard[number] = own if len(own) == len(known.embedding) else own / np.linalg.norm(own)
        return found

    def improvements(self, samples: Iterator[Sample]) -> Iterator[Sample]:
        """Those of ``samples``, in the order of the steps, that were the best so far.

        Stock voices are none: they are recognised by the rows that the scored texts are heard through.
        """
        stock = {voice.rows.tobytes() for voice in self.stock}
        best = -1.0
        for sample in samples:
            evaluation = sample.evaluation
            if evaluation.complete and evaluation.score > best and sample.rows.tobytes() not in stock:
                best = evaluation.score
                yield sample

    def _latest(self) -> tuple[int, int]:
        """Steps and generations, by the last candidate: counting rows would read all pages of the file."""

        def read(db: sqlite3.Connection) -> list[Sample]:
            return [sample_of(row) for row in read_rows(self.path, db, "candidates", "ORDER BY step DESC LIMIT 1")]

        with guard_types(self.path, "the last candidate"):
            for last in ask(self.path, read):
                return last.step + 1, last.generation + 1
        return 0, 0

    def _stock(self, where: str) -> list[Stock]:
        def read(db: sqlite3.Connection) -> list[Stock]:
            return [stock_of(row) for row in read_rows(self.path, db, "stock", where)]

        with guard_types(self.path, "stock"):
            return ask(self.path, read)

    def _pages(self, table: str, key: str, after: int | str, row_of: Callable[[Sequence[Any]], Row]) -> Iterator[Row]:
        """The rows of a table, chunk by chunk, in the order of ``key``, which is the table's first column."""

        def read(db: sqlite3.Connection) -> list[tuple[Any, Row]]:
            where = f"WHERE {key} > ? ORDER BY {key} LIMIT ?"
            return [(row[0], row_of(row)) for row in read_rows(self.path, db, table, where, after, CHUNK)]

        while True:
            with guard_types(self.path, f"a row of {table} after {key} {after!r:.20}"):
                chunk = ask(self.path, read)
            if not chunk:
                return
            yield from (row for _, row in chunk)
            after = chunk[-1][0]

    def _dict(self, key: str) -> dict[str, Any]:
        value = self.facts.get(key, {})
        if not isinstance(value, dict):
            raise DamagedError(self.path, f"{key} is no dict")
        return value


class Facts(Mapping[str, Any]):
    """What a record says about its run, by key: numpy arrays and JSON values, read when they are asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __getitem__(self, key: str) -> Any:
        def read(db: sqlite3.Connection) -> list[Any]:
            rows = read_rows(self._path, db, "run", "WHERE key = ?", key)
            return [thaw(text, partial(read_array, self._path, db)) for _, text in rows]

        with guard_types(self._path, f"the row {key!r:.40} of run"):
            values = ask(self._path, read)
        if not values:
            raise KeyError(key)
        return values[0]

    def __iter__(self) -> Iterator[str]:
        def read(db: sqlite3.Connection) -> list[str]:
            return [str(key) for key, _ in read_rows(self._path, db, "run", "ORDER BY rowid")]

        return iter(ask(self._path, read))

    def __len__(self) -> int:
        return len(list(iter(self)))


def open_runs(outputs: str | Path) -> tuple[list[Run], list[tuple[Path, str]]]:
    """All runs below ``outputs``, also those of sweeps, the run whose record was written last first.

    Returns:
        the runs; and the folders of the runs that can't be opened, each with the reason in one line.
    """
    runs, unreadable = [], []
    for folder in folders.below(Path(outputs)):
        try:
            runs.append(Run(folder))
        except (KvwError, OSError) as error:
            unreadable.append((folder, str(error)))
    return runs, unreadable

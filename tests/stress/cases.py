"""Searches in the small world, and what a run does with its folder: read :func:`run` first."""

from __future__ import annotations

import dataclasses
import functools
import gc
import hashlib
import json
import random
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import kvw.cli.main  # registers the schema of the configuration
import kvw.runs.store
import kvw.runtime.files
import kvw.runtime.locks
from kvw.config.invocation import compose
from kvw.config.schema import plain
from kvw.config.stages import make_stage, with_members
from kvw.runs.folders import RECORD, held
from kvw.runs.schema import read_rows
from kvw.runs.store import Store
from kvw.runtime.locks import HOLDER, LOCK
from kvw.search.archive import Archive
from kvw.search.budget import Budget
from kvw.search.candidate import Candidate
from kvw.search.islands import Archipelago
from kvw.search.loop import search
from kvw.search.observer import Observer
from kvw.search.stage import SearchStage
from kvw.testing import Oracle, answered, strategies
from kvw.types import MAX_PHONEMES
from tests.stress.world import LIMIT, ROWS, SEED, Blocks, Speech, bank

GENERATIONS = 4
"""Of most runs."""


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
        for stem in (f"stress_{archive.best.step}", "best"):
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
    return Improvements(folder, "stress", "goal", facts, lambda voice: voice[:4, 0].reshape(-1))


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
    "gradient": (["strategy.steps=6", "strategy.every=2"], 2),
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
        stage = make_stage(part, node, "", predictor=Oracle(), gradients=Oracle(), listener=answered)
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
        del state["seconds"], state["ranked"]
        parts[f"checkpoint {generation}"] = _digest([state])
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.name.startswith((LOCK, HOLDER, RECORD)):
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

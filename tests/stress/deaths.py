"""Worker processes that die: spawned ones, whose fitness ends its process."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import kvw.executors.rounds
from kvw.errors import KvwError
from kvw.evaluation import OPEN, Evaluation
from kvw.executors.base import known_utterances
from kvw.executors.local import LocalExecutor
from kvw.executors.processes import ProcessExecutor
from kvw.executors.rounds import MOST_DEATHS
from kvw.fitness.trial import Trial
from kvw.fitness.utterances import DictCache
from kvw.types import STYLE_WIDTH, Voice
from tests.stress.faulty import ROWS_OF_VOICE, Plan, fitness_of
from tests.stress.folders import folder
from tests.stress.rows import Row, row
from tests.stress.world import COLUMNS, GENES, SCRIPTS


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


def kill(executor: ProcessExecutor, count: int) -> None:
    """Kills processes of an executor, whatever they do."""
    for worker in executor._scheduler.ready[:count]:
        for process in worker.handle._processes.values():
            process.kill()


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
    with mock.patch.object(kvw.executors.rounds, "MOST_DEATHS", most):
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
            known = known_utterances(cache, executor._own.listener, executor._own, [one], [OPEN])
            found.add("remembered", "" if len(known) == len(SCRIPTS) else f"{known}")
            if start:
                kill(executor, count)
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
        return "" if "no worker can start" in str(error) and "\n" not in str(error) else str(error)
    finally:
        executor.close()

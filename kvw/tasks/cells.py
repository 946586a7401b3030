"""The searches of a comparison: each in a folder of its own, where it is found again, resumed or begun.

Read :class:`Search` first.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from kvw.audio.target import Target, wave_digest
from kvw.config.arguments import quote, quoted, with_executor
from kvw.config.invocation import Invocation, compose
from kvw.errors import KvwError
from kvw.runs import folders
from kvw.runtime.filenames import safe_stem
from kvw.runtime.files import write_whole
from kvw.runtime.locks import alone
from kvw.tasks.resume import GROUPS
from kvw.tasks.search import search

COST = "cost.json"
"""The file, beside a search's run, with the seconds that it took."""

DECIDED = ("target_audio", "heldout_audio", "seed", "resume", "run")
"""Keys that a comparison decides for each search."""

JUDGES, EXECUTORS = "judges", ("executor", "tracking", "device", "debug", "report")
"""Keys of the comparison alone, and those that change no result."""


@dataclass(frozen=True)
class Search:
    """One search of a comparison.

    Attributes:
        contender: its name.
        speaker: whose recordings it hears.
        seed: of the search.
        overrides: its command line, in Hydra's grammar.
        folder: of its own.
    """

    contender: str
    speaker: str
    seed: int
    overrides: tuple[str, ...]
    folder: Path

    def __str__(self) -> str:
        return f"{self.contender}/{self.speaker}/{self.seed}"

    @property
    def run(self) -> Path | None:
        """The folder of its run, if that is finished."""
        return next((run for run in folders.below(self.folder) if (run / folders.RESULT).exists()), None)

    @property
    def cost(self) -> dict[str, float]:
        """Seconds of CPU and of the clock that it took, ``cpu_seconds`` and ``wall_seconds``; empty if not known."""
        with suppress(OSError, ValueError, AttributeError):
            return {str(name): float(value) for name, value in json.loads((self.folder / COST).read_bytes()).items()}
        return {}

    def finish(self) -> Path:
        """Searches, from where an earlier attempt was stopped.

        Returns:
            the folder of the run.

        Raises:
            KvwError: another process works on it, or the search failed.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with alone(self.folder, "a search of a comparison"):
            begun = folders.below(self.folder)
            overrides = resuming(begun[0], self.overrides) if begun else list(self.overrides)
            try:
                job = replace(compose(*overrides), folder=self.folder, outputs=self.folder)
            except (HydraException, OmegaConfBaseException) as error:
                raise KvwError(" ".join(str(error).split("\nSee ")[0].split())) from error
            self._measured(lambda: search(job))
        if not (run := self.run):
            raise KvwError("the search left no result")
        return run

    def _measured(self, work: Callable[[], object]) -> None:
        """Does some work, and adds the seconds that it takes to the file of them, even if it is interrupted."""
        before, started = os.times(), time.monotonic()
        try:
            work()
        finally:
            cpu = sum(os.times()[:4]) - sum(before[:4])
            spent = {"cpu_seconds": cpu, "wall_seconds": time.monotonic() - started}
            known = self.cost
            total = {name: seconds + known.get(name, 0.0) for name, seconds in spent.items()}
            write_whole(self.folder / COST, json.dumps(total).encode())


def resuming(run: Path, overrides: Sequence[str]) -> list[str]:
    """The overrides that resume a run, with those of the command line that may be given anew."""
    anew = [one for one in overrides if key_of(one).partition(".")[0] in GROUPS]
    return quoted(with_executor([f"resume={run}", *anew]))


def searches(
    invocation: Invocation,
    contenders: Mapping[str, Any],
    paths: Mapping[str, Sequence[Path]],
    speakers: Mapping[str, Target],
    seeds: Sequence[int],
    folder: Path,
    unheard: Path | None,
) -> list[Search]:
    """All searches of a comparison, those with the first seed first.

    Args:
        invocation: whose command line goes to each search, but for the task's own keys.
        contenders: overrides, a list or a line, by name.
        paths: of every speaker's recordings, the target first, by name.
        speakers: what was read of them, of those who take part.
        seeds: of each contender on each speaker.
        folder: of the comparison.
        unheard: texts to judge by; None for those of the command line or the language.

    Raises:
        KvwError: the command line has a key that a comparison decides, or a contender is no list and no line.
    """
    passed = [one for one in invocation.overrides if key_of(one).partition(".")[0] not in ("task", "hydra", JUDGES)]
    if refused := sorted({key_of(one) for one in passed} & set(DECIDED)):
        raise KvwError(
            f"{', '.join(refused)}: expected no such key with task=compare, which chooses it for each search; leave it "
            "out, and give task.recordings and task.seeds"
        )
    texts = [f"heldout_texts={quote(str(unheard))}"] if unheard else []
    found = []
    for seed, (contender, given), (speaker, target) in product(seeds, contenders.items(), speakers.items()):
        own = quoted(contender_overrides(contender, given))
        common = [*texts, *passed, *own, "report=false", f"{JUDGES}=none"]
        what = sorted(one for one in common if key_of(one).partition(".")[0] not in EXECUTORS)
        waves = [wave_digest(wave) for wave in (*target.clips, *target.heldout)]
        if unheard:
            what[what.index(texts[0])] = unheard.read_text("utf-8")
        digest = hashlib.sha256(json.dumps([what, waves]).encode()).hexdigest()[:8]
        name = "-".join((safe_stem(contender), safe_stem(speaker), str(seed), digest))
        first, *others = (quote(str(path)) for path in paths[speaker])
        heldout = [f"heldout_audio=[{','.join(others)}]"] if others else []
        overrides = (*common, f"target_audio={first}", *heldout, f"seed={seed}")
        found.append(Search(contender, speaker, seed, overrides, folder / name))
    return found


def contender_overrides(name: str, given: Any) -> list[str]:
    """The overrides of a contender, from a list or a line as of a shell.

    Raises:
        KvwError: it is something else.
    """
    try:
        words = shlex.split(given) if isinstance(given, str) else given
    except ValueError as error:
        raise KvwError(f"task.contenders.{name}: expected a command line; got {given!r:.80}; {error}") from None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise KvwError(
            f"task.contenders.{name}: expected overrides, such as 'experiment=quick fitness=short'; got {given!r:.80}"
        )
    return words


def key_of(override: str) -> str:
    """The key of an override."""
    return override.lstrip("+~").partition("=")[0]

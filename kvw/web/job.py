"""A search that the page was asked for: its settings, its files, and how it stands."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kvw.config.arguments import quote
from kvw.errors import KvwError
from kvw.runs import folders
from kvw.runtime.files import write_whole

JOB_FILE, EXIT_FILE, OUTPUT_FILE, WORDS_FILE = "job.json", "exit.json", "output.log", "words.txt"
"""Files of a job: what it is, the exit status of its process, what that said, and the words to speak."""

WAITING, RUNNING, PAUSED, DONE, FAILED = "waiting", "running", "paused", "done", "failed"
"""What can be said of a job."""

STATES = (WAITING, RUNNING, PAUSED, DONE, FAILED)

PAUSE, FINISH = "pause", "finish"
"""What can be asked of one that is running."""

NO_FURTHER = ("minutes=0.01",)
"""Arguments of a search that goes on only to be judged."""

NO_LIMIT = ("minutes=null", "stop_score=null", "patience=null")
"""Arguments of one that goes on for more candidates, whatever it was stopped by."""

TAIL = 8192
"""Bytes of what a search said that are read."""


@dataclass
class Job:
    """A search that the page was asked for.

    Attributes:
        folder: of the job; its run is below.
        title: for people.
        search: the argument that chooses it, as ``experiment=quick``.
        language: Kokoro's letter.
        clip: name of the recording in the folder; empty is the demo.
        minutes: to search; 0 is no limit.
        candidates: to evaluate; 0 leaves it to the search.
        state: of :data:`STATES`.
        asked: :data:`PAUSE` or :data:`FINISH` of a running one, or nothing.
        finishing: whether its next start is only to be judged.
        limit: candidates that its run goes on to, whatever its budget was; 0 is as it was begun.
    """

    folder: Path
    title: str
    search: str
    language: str = "a"
    clip: str = ""
    minutes: float = 0.0
    candidates: int = 0
    state: str = WAITING
    asked: str = ""
    finishing: bool = False
    limit: int = 0

    def __post_init__(self) -> None:
        texts = (self.title, self.search, self.language, self.clip, self.state, self.asked)
        numbers = (self.minutes, self.candidates, self.limit, self.finishing)
        sound = all(isinstance(text, str) for text in texts) and all(
            isinstance(number, (int, float)) and 0 <= number < 1e9 for number in numbers
        )
        if not (
            sound
            and re.fullmatch(r"(experiment|strategy)=[A-Za-z]\w*", self.search, re.ASCII)
            and re.fullmatch(r"[a-z]", self.language, re.ASCII)
            and (not self.clip or Path(self.clip).name == self.clip)
            and self.state in STATES
            and self.asked in ("", PAUSE, FINISH)
        ):
            raise ValueError("a value is none that the page writes")

    def arguments(self, given: Sequence[str]) -> list[str]:
        """What ``python -m kvw`` is told when it starts next: to begin, or to go on with its run.

        Args:
            given: of every search that begins.
        """
        run = self.run
        if run:
            limit = [f"step_limit={self.limit}", *NO_LIMIT] if self.limit else []
            return [f"resume={run}", *(NO_FURTHER if self.finishing else limit)]
        own = [self.search, f"language={self.language}"]
        own += [f"target_audio={self.folder / self.clip}"] if self.clip else []
        own += [f"target_text={self.folder / WORDS_FILE}"] if (self.folder / WORDS_FILE).exists() else []
        own += [f"minutes={self.minutes:g}"] if self.minutes else []
        own += [f"step_limit={self.candidates:.0f}"] if self.candidates else []
        return [*given, *own, f"hydra.run.dir={quote(str(self.folder))}"]

    @property
    def number(self) -> int:
        """Its place in the queue, from 1."""
        return number_of(self.folder)

    @property
    def run(self) -> Path | None:
        """The folder of its run, once there is one."""
        return next(iter(folders.below(self.folder)), None)

    @property
    def code(self) -> int | None:
        """The exit status of its last process; None where it left none."""
        try:
            return int(json.loads((self.folder / EXIT_FILE).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    @property
    def said(self) -> list[str]:
        """The last lines that its process said."""
        try:
            with (self.folder / OUTPUT_FILE).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
                return [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
        except OSError:
            return []

    @property
    def reason(self) -> str:
        """Why it failed, in kvw's own words."""
        said, code = self.said, self.code
        lines = [line.removeprefix("kvw: ") for line in said if line.startswith("kvw: ")]
        if lines:
            return "\n".join(lines)
        if code is None:
            return "its process was ended from outside, or the machine ran out of memory"
        return said[-1] if said else f"its process ended with {code}"

    def save(self) -> None:
        """Writes what it is."""
        facts = {key: value for key, value in asdict(self).items() if key != "folder"}
        write_whole(self.folder / JOB_FILE, json.dumps(facts, indent=2).encode())

    @classmethod
    def load(cls, folder: Path) -> Job:
        """What :meth:`save` wrote.

        Raises:
            KvwError: it is none, or somebody else's: it has a link, which could have us write anywhere.
        """
        try:
            if any(path.is_symlink() for path in (folder, *folder.iterdir())) or not number_of(folder):
                raise ValueError("there is a link, or a name that is not the page's")
            facts: dict[str, Any] = json.loads((folder / JOB_FILE).read_text("utf-8"))
            return cls(folder, **facts)
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise KvwError(f"{folder}: expected a job of the page; {error}; move it away") from error


def number_of(folder: Path) -> int:
    """The number of the job in a folder, from 1; 0 where its name has none."""
    found = re.match(r"(\d{1,9})-", folder.name, re.ASCII)
    return int(found[1]) if found else 0

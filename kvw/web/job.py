"""A job of the page's queue, which is one search: its settings, its files, and its state."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kvw.errors import KvwError
from kvw.runs import folders
from kvw.runtime.files import write_whole

JOB_FILE, EXIT_FILE, OUTPUT_FILE, WORDS_FILE = "job.json", "exit.json", "output.log", "words.txt"
"""Files of a job: its settings and state, the exit status of its process, the process's output, the target text."""

START_FILE, ANSWER_FILE = "start.pt", "answer.txt"
"""Further files of some jobs: the voice that the search begins at, and an answer that its process has not read yet."""

WAITING, RUNNING, PAUSED, DONE, FAILED = "waiting", "running", "paused", "done", "failed"
"""The states of a job."""

STATES = (WAITING, RUNNING, PAUSED, DONE, FAILED)

PAUSE, FINISH = "pause", "finish"
"""What a running job can be asked for."""

NO_FURTHER = ("minutes=0.01",)
"""Arguments with which a run resumes only to be judged."""

NO_LIMIT = ("minutes=null", "stop_score=null", "patience=null")
"""Arguments that lift every limit by which a run may have stopped, but for the number of candidates."""

TAIL = 8192
"""Bytes that are read of the end of :data:`OUTPUT_FILE`."""


@dataclass
class Job:
    """A search in the page's queue.

    Attributes:
        folder: of the job; the folder of its run is below.
        title: shown on the page.
        search: the argument that chooses the kind of search, such as ``experiment=quick``.
        language: Kokoro's letter of the language.
        clip: name of the recording in the folder; empty for the demo.
        minutes: limit of the search; 0 for none.
        candidates: limit of the search; 0 for that of its kind.
        state: of :data:`STATES`.
        asked: :data:`PAUSE` or :data:`FINISH` where the running job was asked for that; else empty.
        finishing: whether the run resumes only to be judged.
        limit: number of candidates at which the resumed run ends; 0 for the limits that it began with.
        place: which of the waiting jobs comes first: that with the lowest; 0 for the job's number.
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
    place: int = 0

    def __post_init__(self) -> None:
        texts = (self.title, self.search, self.language, self.clip, self.state, self.asked)
        numbers = (self.minutes, self.candidates, self.limit, self.finishing, self.place)
        well_typed = all(isinstance(text, str) for text in texts) and all(
            isinstance(number, (int, float)) and 0 <= number < 1e9 for number in numbers
        )
        if not (
            well_typed
            and re.fullmatch(r"(experiment|strategy)=[A-Za-z]\w*", self.search, re.ASCII)
            and re.fullmatch(r"[a-z]", self.language, re.ASCII)
            and (not self.clip or Path(self.clip).name == self.clip)
            and self.state in STATES
            and self.asked in ("", PAUSE, FINISH)
        ):
            raise ValueError(f"{JOB_FILE} holds a value that this page never writes")

    def arguments(self, given: Sequence[str]) -> list[str]:
        """The command line of the job's next process, which begins the search or resumes its run.

        Args:
            given: arguments of every search that begins.
        """
        run = self.run
        if run:
            limit = [f"step_limit={self.limit}", *NO_LIMIT] if self.limit else []
            return [f"resume={run}", *(NO_FURTHER if self.finishing else limit)]
        own = [self.search, f"language={self.language}"]
        own += [f"target_audio={self.folder / self.clip}"] if self.clip else []
        own += [f"target_text={self.folder / WORDS_FILE}"] if (self.folder / WORDS_FILE).exists() else []
        own += [f"starting_voice={self.folder / START_FILE}"] if (self.folder / START_FILE).exists() else []
        own += [f"minutes={self.minutes:g}"] if self.minutes else []
        own += [f"step_limit={self.candidates:.0f}"] if self.candidates else []
        return [*given, *own, f"hydra.run.dir={self.folder}"]

    @property
    def number(self) -> int:
        """The job's number in the queue, from 1."""
        return number_of(self.folder)

    @property
    def run(self) -> Path | None:
        """The folder of the job's run; None before there is one."""
        return next(iter(folders.below(self.folder)), None)

    @property
    def code(self) -> int | None:
        """The exit status of the job's last process; None where the process wrote none."""
        try:
            return int(json.loads((self.folder / EXIT_FILE).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    @property
    def output(self) -> list[str]:
        """The last lines of the process's output."""
        try:
            with (self.folder / OUTPUT_FILE).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
                return [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
        except OSError:
            return []

    @property
    def reason(self) -> str:
        """Why the job failed: the error lines of kvw, if there are any."""
        output, code = self.output, self.code
        lines = [line.removeprefix("kvw: ") for line in output if line.startswith("kvw: ")]
        if lines:
            return "\n".join(lines)
        if code is None:
            return "its process was ended from outside, or the machine ran out of memory"
        return output[-1] if output else f"its process ended with {code}"

    def save(self) -> None:
        """Writes :data:`JOB_FILE`."""
        facts = {key: value for key, value in asdict(self).items() if key != "folder"}
        write_whole(self.folder / JOB_FILE, json.dumps(facts, indent=2).encode())

    @classmethod
    def load(cls, folder: Path) -> Job:
        """The job that :meth:`save` wrote to a folder.

        Raises:
            KvwError: the folder has no job of the page, or has a link, through which the page would write elsewhere.
        """
        try:
            if any(path.is_symlink() for path in (folder, *folder.iterdir())) or not number_of(folder):
                raise ValueError("the folder has a link in it, or a name without a number")
            facts: dict[str, Any] = json.loads((folder / JOB_FILE).read_text("utf-8"))
            return cls(folder, **facts)
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise KvwError(f"{folder}: expected a job of the page; {error}; move it away") from error


def number_of(folder: Path) -> int:
    """The number in the name of a job's folder, from 1; 0 where the name has none."""
    match = re.match(r"(\d{1,9})-", folder.name, re.ASCII)
    return int(match[1]) if match else 0

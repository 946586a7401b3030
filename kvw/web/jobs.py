"""The queue of the web page: searches one after the other, each in a process and a folder of its own.

Read :class:`Queue` first. All that it knows is in the folders of its jobs, so that it goes on where it was, whatever
ended the page; a search that outlived it is taken up again.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kvw import folder as folders
from kvw.cli import quote
from kvw.disk import write_whole
from kvw.runs import Run
from kvw.types import EXIT_INTERRUPTED, EXIT_TERMINATED, KvwError
from kvw.voices import safe_stem

log = logging.getLogger(__name__)

JOB, EXIT, OUTPUT, WORDS = "job.json", "exit.json", "output.log", "words.txt"
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

PATIENCE = 15.0
"""Seconds in which a search ends when it is asked to; then it is told again, and ends at once."""

TAIL = 8192
"""Bytes of what a search said that are read."""

STOPPED = (EXIT_INTERRUPTED, EXIT_TERMINATED, None)
"""Exit statuses of a search that goes on with ``resume``; None of one that had no time for a status."""


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
        own += [f"target_text={self.folder / WORDS}"] if (self.folder / WORDS).exists() else []
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
            return int(json.loads((self.folder / EXIT).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    @property
    def said(self) -> list[str]:
        """The last lines that its process said."""
        try:
            with (self.folder / OUTPUT).open("rb") as file:
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
        write_whole(self.folder / JOB, json.dumps(facts, indent=2).encode())

    @classmethod
    def load(cls, folder: Path) -> Job:
        """What :meth:`save` wrote.

        Raises:
            KvwError: it is none, or somebody else's: it has a link, which could have us write anywhere.
        """
        try:
            if any(path.is_symlink() for path in (folder, *folder.iterdir())) or not number_of(folder):
                raise ValueError("there is a link, or a name that is not the page's")
            facts: dict[str, Any] = json.loads((folder / JOB).read_text("utf-8"))
            return cls(folder, **facts)
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise KvwError(f"{folder}: expected a job of the page; {error}; move it away") from error


def number_of(folder: Path) -> int:
    """The number of the job in a folder, from 1; 0 where its name has none."""
    found = re.match(r"(\d{1,9})-", folder.name, re.ASCII)
    return int(found[1]) if found else 0


class Queue:
    """Searches, one at a time.

    Args:
        folder: of the jobs. One page at a time works there.
        given: arguments of every search.
    """

    def __init__(self, folder: Path, given: Sequence[str]) -> None:
        self.folder, self._given = folder.absolute(), given
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._asked_at = 0.0
        self._jobs: dict[int, Job] = {}
        for path in sorted(self.folder.glob(f"*/{JOB}")):
            try:
                job = Job.load(path.parent)
                if job.number in self._jobs:
                    raise KvwError(f"{job.folder}: expected a number of its own; another job has it; move it away")
                self._jobs[job.number] = job
            except KvwError as error:
                log.warning("%s", error)
        for job in self._jobs.values():
            if job.state == RUNNING and not folders.is_held(job.folder) and job.code in STOPPED and not job.asked:
                job.state = WAITING  # it ended with the page, or with the machine
                job.save()
        self._thread = threading.Thread(target=self._look_after, daemon=True)

    def start(self) -> None:
        """Begins to search."""
        self._thread.start()

    def close(self) -> None:
        """Ends the search that is at work; it goes on with the next page."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            job = self.running
            if job and self._alive(job):
                try:
                    self._signal(job)
                except KvwError as error:
                    log.warning("%s", error)
                    return
                ends = time.monotonic() + PATIENCE
                while self._alive(job) and time.monotonic() < ends:
                    time.sleep(0.1)
                if self._alive(job):
                    log.warning("%d, %s: still ends, and goes on with the next page", job.number, job.title)

    @property
    def jobs(self) -> list[Job]:
        """All jobs, in order."""
        with self._lock:
            return [self._jobs[number] for number in sorted(self._jobs)]

    @property
    def running(self) -> Job | None:
        """The one whose search is at work."""
        return next((job for job in self.jobs if job.state == RUNNING), None)

    def add(self, title: str, search: str, files: Mapping[str, bytes], **settings: Any) -> Job:
        """Puts a search at the end of the queue.

        Args:
            title: for people.
            search: as of :class:`Job`.
            files: the recording and :data:`WORDS`, by their names in its folder.
            settings: further attributes of :class:`Job`.
        """
        with self._lock:
            number = max(map(number_of, self.folder.iterdir()), default=0) + 1
            job = Job(self.folder / f"{number:04}-{safe_stem(title)}", title, search, **settings)
            job.folder.mkdir()
            for name, content in files.items():
                write_whole(job.folder / name, content)
            job.save()
            self._jobs[number] = job
            return job

    def ask(self, number: int, what: str) -> None:
        """Asks a running search to :data:`PAUSE`, or to :data:`FINISH`: to be judged as it is.

        A search that waits is paused at once; one that is paused or failed is finished next.

        Raises:
            KvwError: there is no such job, or nothing to finish.
        """
        with self._lock:
            job = self._job(number)
            if what == FINISH and not self._searched(job):
                raise KvwError(f"{job.title}: nothing has been searched yet; wait for the first candidate, or pause it")
            if job.state == RUNNING:
                self._signal(job)
                job.asked = what
            elif what == FINISH and job.state in (PAUSED, FAILED):
                job.state, job.finishing = WAITING, True
            elif what == PAUSE and job.state == WAITING:
                job.state = PAUSED
            job.save()

    def resume(self, number: int) -> None:
        """Lets a search that is paused or failed go on.

        Raises:
            KvwError: there is no such job.
        """
        with self._lock:
            job = self._job(number)
            if job.state in (PAUSED, FAILED):
                job.state, job.finishing = WAITING, False
                job.save()

    def extend(self, number: int, candidates: int) -> None:
        """Lets a search that is not at work go on for more candidates than it has, whatever its budget was.

        Raises:
            KvwError: there is no such job, it is running, or it has no run.
        """
        with self._lock:
            job = self._job(number)
            steps = self._searched(job)
            if candidates < 1:
                raise KvwError(f"{job.title}: expected 1 candidate or more; got {candidates}")
            if job.state in (RUNNING, WAITING) or not steps:
                raise KvwError(f"{job.title}: expected a search that has ended; it is {job.state}; wait for it")
            job.state, job.finishing, job.limit = WAITING, False, steps + candidates
            job.save()

    def remove(self, number: int) -> None:
        """Takes a job off the queue; what it found stays in its folder.

        Raises:
            KvwError: there is no such job, or it is running.
        """
        with self._lock:
            job = self._job(number)
            if job.state == RUNNING:
                raise KvwError(f"{job.title}: expected a search that is not at work; pause it first")
            (job.folder / JOB).unlink(missing_ok=True)
            del self._jobs[number]

    def turn(self) -> None:
        """Sees to the search that is at work, and begins the next one if there is none."""
        with self._lock:
            job = self.running
            if job and self._alive(job):
                if job.asked and time.monotonic() - self._asked_at > PATIENCE:
                    self._signal(job)  # a second time: it ends at once
                return
            if job and not self._ended(job):
                return
            waiting = sorted(self.jobs, key=lambda job: not job.finishing)  # to be judged takes seconds
            following = next((job for job in waiting if job.state == WAITING), None)
            if following:
                self._begin(following)

    def _look_after(self) -> None:
        while not self._closed.wait(0.5):
            try:
                self.turn()
            except (KvwError, OSError) as error:  # a full disk: it may be free again
                log.warning("the queue: %s", error)
                self._closed.wait(5)

    def _begin(self, job: Job) -> None:
        arguments = job.arguments(self._given)
        (job.folder / EXIT).unlink(missing_ok=True)
        job.state, job.asked = RUNNING, ""
        try:
            job.save()
        except KvwError:  # a full disk
            job.state = WAITING
            raise
        apart: dict[str, Any] = {"start_new_session": True}  # Ctrl-C is for the page, which then ends its search
        if sys.platform == "win32":
            apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        with (job.folder / OUTPUT).open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "kvw.web.process", str(job.folder), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"},
                **apart,
            )
        log.info("%d, %s: searching", job.number, job.title)

    def _alive(self, job: Job) -> bool:
        """Whether its process is there: this page's own, or one that an earlier page began."""
        return self._process.poll() is None if self._process else folders.is_held(job.folder)

    def _signal(self, job: Job) -> None:
        pid = self._process.pid if self._process else folders.holder_here(job.folder)
        if not pid:
            raise KvwError(f"{job.title}: expected its process here; {folders.holder(job.folder)} has it; end it there")
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM)
        self._asked_at = time.monotonic()

    def _ended(self, job: Job) -> bool:
        """Says what became of a search whose process is gone; False where another process is at it."""
        self._process = None
        if folders.is_held(job.folder):  # an earlier page had only just begun it, and ours gave way
            return False
        asked, code, job.asked = job.asked, job.code, ""
        if code == 0:
            job.state, job.finishing, job.limit = DONE, False, 0
        elif asked == FINISH:
            job.state, job.finishing = WAITING, True
        elif asked == PAUSE or code in (EXIT_INTERRUPTED, EXIT_TERMINATED):
            job.state = PAUSED
        else:
            job.state = FAILED
        job.save()
        log.info("%d, %s: %s", job.number, job.title, job.reason if job.state == FAILED else job.state)
        return True

    def _job(self, number: int) -> Job:
        if number not in self._jobs:
            raise KvwError(f"{number}: expected a search of the queue; there is none of that number")
        return self._jobs[number]

    def _searched(self, job: Job) -> int:
        """Candidates that its search has evaluated."""
        return Run(job.run).steps if job.run else 0

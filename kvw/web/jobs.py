"""The queue of the web page: searches one after the other, each in a process and a folder of its own.

Read :class:`Queue` first. All that it knows is in the folders of its jobs, so that it goes on where it was, whatever
ended the page; a search that outlived it is taken up again.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kvw import folder as folders
from kvw.disk import write_whole
from kvw.runs import Run
from kvw.types import EXIT_INTERRUPTED, EXIT_TERMINATED, KvwError
from kvw.voices import safe_stem

log = logging.getLogger(__name__)

JOB, EXIT, OUTPUT = "job.json", "exit.json", "output.log"
"""Files of a job: what it is, the exit status of its process, and what that said."""

WAITING, RUNNING, PAUSED, DONE, FAILED = "waiting", "running", "paused", "done", "failed"
"""What can be said of a job."""

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
        arguments: of its search, as of ``python -m kvw``.
        state: :data:`WAITING`, :data:`RUNNING`, :data:`PAUSED`, :data:`DONE` or :data:`FAILED`.
        asked: :data:`PAUSE` or :data:`FINISH` of a running one, or nothing.
        further: arguments of its next start, where its run goes on.
    """

    folder: Path
    title: str
    arguments: list[str]
    state: str = WAITING
    asked: str = ""
    further: list[str] = field(default_factory=list)

    @property
    def number(self) -> int:
        """Its place in the queue, from 1."""
        return int(self.folder.name.partition("-")[0])

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
        lines = [line.removeprefix("kvw: ") for line in self.said if line.startswith("kvw: ")]
        if lines:
            return "\n".join(lines)
        if self.code is None:
            return "its process was ended from outside, or the machine ran out of memory"
        return next(iter(self.said[-1:]), f"its process ended with {self.code}")

    def save(self) -> None:
        """Writes what it is."""
        facts = {key: value for key, value in asdict(self).items() if key != "folder"}
        write_whole(self.folder / JOB, json.dumps(facts, indent=2).encode())

    @classmethod
    def load(cls, folder: Path) -> Job:
        """What :meth:`save` wrote.

        Raises:
            KvwError: it is none.
        """
        try:
            facts: Mapping[str, Any] = json.loads((folder / JOB).read_text("utf-8"))
            return cls(folder, **facts)
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise KvwError(f"{folder}: expected a job of the page; {error}; move it away") from error


class Queue:
    """Searches, one at a time.

    Args:
        folder: of the jobs; it is made. One page at a time works there.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder.absolute()
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._asked_at = 0.0
        self._jobs: dict[int, Job] = {}
        for path in sorted(self.folder.glob(f"*/{JOB}")):
            try:
                job = Job.load(path.parent)
                self._jobs[job.number] = job
            except (KvwError, ValueError) as error:
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
                self._signal(job)
                ends = time.monotonic() + PATIENCE
                while self._alive(job) and time.monotonic() < ends:
                    time.sleep(0.1)

    @property
    def jobs(self) -> list[Job]:
        """All jobs, in order."""
        with self._lock:
            return [self._jobs[number] for number in sorted(self._jobs)]

    @property
    def running(self) -> Job | None:
        """The one whose search is at work."""
        return next((job for job in self.jobs if job.state == RUNNING), None)

    def add(self, title: str, files: Mapping[str, bytes], arguments: Callable[[Path], list[str]]) -> Job:
        """Puts a search at the end of the queue.

        Args:
            title: for people.
            files: that are kept for it, by their names in its folder.
            arguments: of its search, for that folder.
        """
        with self._lock:
            numbers = [int(path.name[:4]) for path in self.folder.glob("[0-9][0-9][0-9][0-9]-*")]
            folder = self.folder / f"{max(numbers, default=0) + 1:04}-{safe_stem(title)}"
            folder.mkdir()
            for name, content in files.items():
                write_whole(folder / name, content)
            job = Job(folder, title, arguments(folder))
            job.save()
            self._jobs[job.number] = job
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
                job.asked = what
                self._signal(job)
            elif what == FINISH and job.state in (PAUSED, FAILED):
                job.state, job.further = WAITING, [*NO_FURTHER]
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
                job.state, job.asked = WAITING, ""
                job.save()

    def extend(self, number: int, candidates: int) -> None:
        """Lets a search that is not at work go on for more candidates than it has, whatever its budget was.

        Raises:
            KvwError: there is no such job, it is running, or it has no run.
        """
        with self._lock:
            job = self._job(number)
            steps = self._searched(job)
            if job.state in (RUNNING, WAITING) or not steps:
                raise KvwError(f"{job.title}: expected a search that has ended; it is {job.state}; wait for it")
            job.state, job.asked = WAITING, ""
            job.further = [f"step_limit={steps + candidates}", *NO_LIMIT]
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
                    self._signal(job)
                return
            if job:
                self._ended(job)
            following = next((job for job in self.jobs if job.state == WAITING), None)
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
        run = job.run
        own = [f"resume={run}", *job.further] if run else job.arguments
        (job.folder / EXIT).unlink(missing_ok=True)
        job.state, job.asked = RUNNING, ""
        job.save()
        apart: dict[str, Any] = {"start_new_session": True}  # Ctrl-C is for the page, which then ends its search
        if sys.platform == "win32":
            apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        with (job.folder / OUTPUT).open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "kvw.web.process", str(job.folder), *own],
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
        if pid:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGTERM)
        self._asked_at = time.monotonic()

    def _ended(self, job: Job) -> None:
        self._process = None
        asked, code, job.asked = job.asked, job.code, ""
        if code == 0:
            job.state, job.further = DONE, []
        elif asked == FINISH:
            job.state, job.further = WAITING, [*NO_FURTHER]
        elif asked == PAUSE or code in (EXIT_INTERRUPTED, EXIT_TERMINATED):
            job.state = PAUSED
        else:
            job.state = FAILED
        job.save()
        log.info("%d, %s: %s", job.number, job.title, job.reason if job.state == FAILED else job.state)

    def _job(self, number: int) -> Job:
        if number not in self._jobs:
            raise KvwError(f"{number}: expected a search of the queue; there is none of that number")
        return self._jobs[number]

    def _searched(self, job: Job) -> int:
        """Candidates that its search has evaluated."""
        return Run(job.run).steps if job.run else 0

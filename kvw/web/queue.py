"""The queue of the web page: searches one after the other, each in a process and a folder of its own.

Read :class:`Queue` first. The state of the queue is in the folders of its jobs, so that the next page continues with
it, however the last page ended; a search whose process outlived its page is found again by the folder's lock.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kvw.errors import EXIT_INTERRUPTED, EXIT_TERMINATED, KvwError
from kvw.runs.reader import Run
from kvw.runtime.filenames import safe_stem
from kvw.runtime.files import write_whole
from kvw.runtime.locks import holder, holder_here, is_held
from kvw.web.job import (
    DONE,
    EXIT_FILE,
    FAILED,
    FINISH,
    JOB_FILE,
    OUTPUT_FILE,
    PAUSE,
    PAUSED,
    RUNNING,
    WAITING,
    Job,
    number_of,
)

log = logging.getLogger(__name__)

PATIENCE = 15.0
"""Seconds that a search has to end after a first signal; a second signal then ends it at once."""

HELD_FILE = "held"
"""A file in the queue's folder while the queue is held."""

STOPPED = (EXIT_INTERRUPTED, EXIT_TERMINATED, None)
"""Exit statuses of a search that can resume; None where the process was killed before it wrote its status."""


class Queue:
    """Searches, of which one at a time is at work.

    Args:
        folder: of the jobs; one page at a time works in it.
        given: arguments of every search that begins.
    """

    def __init__(self, folder: Path, given: Sequence[str]) -> None:
        self.folder, self._given = folder.absolute(), given
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._asked_at = 0.0
        self._jobs: dict[int, Job] = {}
        for path in sorted(self.folder.glob(f"*/{JOB_FILE}")):
            try:
                job = Job.load(path.parent)
                if job.number in self._jobs:
                    raise KvwError(f"{job.folder}: expected a job number that no other job has; move the folder away")
                self._jobs[job.number] = job
            except KvwError as error:
                log.warning("%s", error)
        for job in self._jobs.values():
            if job.state == RUNNING and not is_held(job.folder) and job.code in STOPPED and not job.asked:
                job.state = WAITING  # its process ended with the page, or with the machine
                job.save()
        self._thread = threading.Thread(target=self._look_after, daemon=True)

    def start(self) -> None:
        """Starts the thread that works through the queue."""
        self._thread.start()

    def close(self) -> None:
        """Ends the search that is at work; the next page resumes it."""
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
                    log.warning("%d, %s: the search is still ending; the next page resumes it", job.number, job.title)

    @property
    def jobs(self) -> list[Job]:
        """All jobs, by number."""
        with self._lock:
            return [self._jobs[number] for number in sorted(self._jobs)]

    @property
    def running(self) -> Job | None:
        """The job whose search is at work; None where no search is."""
        return next((job for job in self.jobs if job.state == RUNNING), None)

    @property
    def waiting(self) -> list[Job]:
        """The waiting jobs in the order in which they begin; those to be judged first, as that takes seconds."""
        jobs = [job for job in self.jobs if job.state == WAITING]
        return sorted(jobs, key=lambda job: (not job.finishing, job.place or job.number))

    @property
    def held(self) -> bool:
        """Whether no search begins; the one at work goes on, and searches are still judged."""
        return (self.folder / HELD_FILE).exists()

    def hold(self, held: bool) -> None:
        """Holds the queue, or lets it go on; the next page keeps to it."""
        if held:
            (self.folder / HELD_FILE).touch()
        else:
            (self.folder / HELD_FILE).unlink(missing_ok=True)

    def move_up(self, number: int) -> None:
        """Lets a waiting job begin before the one that is before it.

        Raises:
            KvwError: there is no such job.
        """
        with self._lock:
            job, line = self._job(number), self.waiting
            if job in line[1:]:
                other = line[line.index(job) - 1]
                job.place, other.place = other.place or other.number, job.place or job.number
                other.save()
                job.save()

    def add(self, title: str, search: str, files: Mapping[str, bytes], **settings: Any) -> Job:
        """Puts a search at the end of the queue.

        Args:
            title: shown on the page.
            search: see :class:`kvw.web.job.Job`.
            files: the contents of the recording and of :data:`kvw.web.job.WORDS_FILE`, by file name.
            settings: further attributes of :class:`kvw.web.job.Job`.
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
        """Asks a search to pause (:data:`kvw.web.job.PAUSE`), or to end and be judged (:data:`kvw.web.job.FINISH`).

        A waiting search is paused at once; a paused or failed search is judged next.

        Raises:
            KvwError: there is no such job, or it has no candidate to judge.
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
        """Puts a paused or failed search back into the queue.

        Raises:
            KvwError: there is no such job.
        """
        with self._lock:
            job = self._job(number)
            if job.state in (PAUSED, FAILED):
                job.state, job.finishing = WAITING, False
                job.save()

    def extend(self, number: int, candidates: int) -> None:
        """Puts a search that has ended back into the queue, for more candidates than it has, whatever its budget was.

        Raises:
            KvwError: there is no such job, it is running or waiting, or it has no candidate yet.
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
        """Takes a job off the queue: its run stays in its folder; without one, the copy of its recording is deleted.

        Raises:
            KvwError: there is no such job, or it is running.
        """
        with self._lock:
            job = self._job(number)
            if job.state == RUNNING:
                raise KvwError(f"{job.title}: expected a search that is not at work; pause it first")
            for path in [job.folder / JOB_FILE] if job.run else list(job.folder.iterdir()):
                if path.is_file():  # the folder stays: its number is not used again
                    path.unlink()
            del self._jobs[number]

    def turn(self) -> None:
        """Looks after the search that is at work, or begins the next one where none is."""
        with self._lock:
            job = self.running
            if job and self._alive(job):
                if job.asked and time.monotonic() - self._asked_at > PATIENCE:
                    self._signal(job)  # the second signal ends it at once
                return
            if job and not self._ended(job):
                return
            following = next((job for job in self.waiting if job.finishing or not self.held), None)
            if following:
                self._begin(following)

    def _look_after(self) -> None:
        while not self._closed.wait(0.5):
            try:
                self.turn()
            except (KvwError, OSError) as error:  # a full disk, say, which may have room again later
                log.warning("The queue: %s", error)
                self._closed.wait(5)

    def _begin(self, job: Job) -> None:
        arguments = job.arguments(self._given)
        (job.folder / EXIT_FILE).unlink(missing_ok=True)
        job.state, job.asked = RUNNING, ""
        try:
            job.save()
        except KvwError:  # a full disk
            job.state = WAITING
            raise
        own_group: dict[str, Any] = {"start_new_session": True}  # Ctrl-C reaches the page alone, which ends its search
        if sys.platform == "win32":
            own_group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        with (job.folder / OUTPUT_FILE).open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "kvw.web.process", str(job.folder), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"},
                **own_group,
            )
        log.info("%d, %s: searching", job.number, job.title)

    def _alive(self, job: Job) -> bool:
        """Whether the job's process is there: a child of this page, or one that an earlier page began."""
        return self._process.poll() is None if self._process else is_held(job.folder)

    def _signal(self, job: Job) -> None:
        pid = self._process.pid if self._process else holder_here(job.folder)
        if not pid:
            raise KvwError(
                f"{job.title}: expected its process on this machine; it is {holder(job.folder)}; end it there"
            )
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM)
        self._asked_at = time.monotonic()

    def _ended(self, job: Job) -> bool:
        """Sets the state of a job whose process has ended; False where another process is at work in its folder."""
        self._process = None
        if is_held(job.folder):  # an earlier page had just begun this search, so that our process gave way
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
            raise KvwError(f"{number}: expected the number of a search in the queue; there is none of that number")
        return self._jobs[number]

    def _searched(self, job: Job) -> int:
        """Number of candidates that the job's run has evaluated."""
        return Run(job.run).steps if job.run else 0

"""The queue of the web page: searches one after the other, each in a process and a folder of its own.

Read :class:`Queue` first. All that it knows is in the folders of its jobs, so that it goes on where it was, whatever
ended the page; a search that outlived it is taken up again.
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
"""Seconds in which a search ends when it is asked to; then it is told again, and ends at once."""

STOPPED = (EXIT_INTERRUPTED, EXIT_TERMINATED, None)
"""Exit statuses of a search that goes on with ``resume``; None of one that had no time for a status."""


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
        for path in sorted(self.folder.glob(f"*/{JOB_FILE}")):
            try:
                job = Job.load(path.parent)
                if job.number in self._jobs:
                    raise KvwError(f"{job.folder}: expected a number of its own; another job has it; move it away")
                self._jobs[job.number] = job
            except KvwError as error:
                log.warning("%s", error)
        for job in self._jobs.values():
            if job.state == RUNNING and not is_held(job.folder) and job.code in STOPPED and not job.asked:
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
            search: as of :class:`kvw.web.job.Job`.
            files: the recording and :data:`kvw.web.job.WORDS_FILE`, by their names in its folder.
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
        """Asks a running search to :data:`kvw.web.job.PAUSE`, or to :data:`kvw.web.job.FINISH`: to be judged as it is.

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
            (job.folder / JOB_FILE).unlink(missing_ok=True)
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
        (job.folder / EXIT_FILE).unlink(missing_ok=True)
        job.state, job.asked = RUNNING, ""
        try:
            job.save()
        except KvwError:  # a full disk
            job.state = WAITING
            raise
        apart: dict[str, Any] = {"start_new_session": True}  # Ctrl-C is for the page, which then ends its search
        if sys.platform == "win32":
            apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        with (job.folder / OUTPUT_FILE).open("wb") as output:
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
        return self._process.poll() is None if self._process else is_held(job.folder)

    def _signal(self, job: Job) -> None:
        pid = self._process.pid if self._process else holder_here(job.folder)
        if not pid:
            raise KvwError(f"{job.title}: expected its process here; {holder(job.folder)} has it; end it there")
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM)
        self._asked_at = time.monotonic()

    def _ended(self, job: Job) -> bool:
        """Says what became of a search whose process is gone; False where another process is at it."""
        self._process = None
        if is_held(job.folder):  # an earlier page had only just begun it, and ours gave way
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

"""Schedules candidates on workers and recovers when one fails.

Read :meth:`Scheduler.__call__` first. Nothing here knows where the workers run (:mod:`kvw.executors.processes` and
:mod:`kvw.executors.ray_executor` do): they can be slow, late, hung or gone at any time, and their number changes during
a search. Such failures are harmless because an evaluation is a pure function of its candidate, and every candidate is
in one place only: waiting, with one worker, or evaluated. The data classes are in :mod:`kvw.executors.rounds`. The file
is longer than 300 lines because it is one state machine: each method is a transition, and they are read together.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from kvw.errors import EXIT_TOO_MANY_FAILURES, KvwError
from kvw.evaluation import Evaluation, Utterance
from kvw.executors.rounds import MOST_DEATHS, Batch, LostError, Round, Start, Worker, Workers

log = logging.getLogger(__name__)

MOST_STARTS = 3
"""Workers that may fail to start, one after the other, before the first has started."""

IN_FLIGHT = 2
"""Batches that a worker has at most: one at work, one waiting."""

LONGEST_BATCH = 10.0
"""Target batch duration in seconds: at most this much work is lost when a worker dies."""

AHEAD = 1.0
"""Target duration, in seconds, of the batch that waits: no worker idles until the driver answers."""

SLICE = 0.2
"""Longest wait for workers, in seconds: signals are answered within it."""

LOOK = 1.0
"""Seconds between two checks for missing workers."""

LONGEST_PAUSE = 60.0
"""Longest delay of a start, in seconds, after others failed."""


class Scheduler:
    """Hands candidates to workers and collects the evaluations, even if workers fail.

    Args:
        workers: starts workers and talks to them.
        deadline: seconds for a worker to load its models, and to answer a batch.
        wait: seconds to wait for another worker when the last one is lost.
        advice: what the user can do if workers can't start, or die; for error messages.
        local: evaluates a job in this process after that wait, until a worker starts; None ends the search.

    Attributes:
        ready: the workers that can evaluate.
    """

    def __init__(
        self,
        workers: Workers,
        *,
        deadline: float,
        wait: float,
        advice: str,
        local: Callable[[Any], Evaluation] | None = None,
    ) -> None:
        self.ready: list[Worker] = []
        self._workers, self._deadline, self._wait = workers, deadline, wait
        self._advice, self._local = advice, local
        self._starting: dict[Hashable, Start] = {}
        self._in_flight: dict[Hashable, tuple[Worker, Batch]] = {}
        self._look = self._paused = 0.0  # times of the next check and the next start
        self._alone_since: float | None = None  # since when no worker is ready
        self._failures: list[str] = []  # reasons of failed starts since the last good one
        self._began = self._evaluated = False  # whether any worker ever has
        self._announced = False  # whether local evaluation has been logged

    def __call__(
        self, jobs: Sequence[Any], keep: Callable[[Mapping[str, Utterance]], None] | None = None
    ) -> list[Evaluation]:
        """Evaluates jobs.

        Args:
            jobs: one for each candidate.
            keep: called with new utterances, by key, as they come.

        Returns:
            An evaluation of each job, in order.

        Raises:
            KvwError: no worker can start or evaluate anything, or none is left and ``local`` is None.
        """
        current = Round(jobs, keep)
        try:
            while len(current.found) < len(jobs):
                self._step(current)
        finally:
            for _, batch in self._in_flight.values():  # after an error, late answers are ignored
                batch.numbers = []
        return [current.found[number] for number in range(len(jobs))]

    def begin(self) -> None:
        """Waits for a ready worker; with ``local``, not for ever.

        Raises:
            KvwError: as for a call.
        """
        nothing = Round([], None)
        while not self.ready and not (self._local and self._waited()):
            self._step(nothing)

    def close(self) -> None:
        """Ends all workers."""
        for handle in [*(worker.handle for worker in self.ready), *(start.handle for start in self._starting.values())]:
            self._workers.end(handle)
        self.ready, self._starting, self._in_flight = [], {}, {}

    def _step(self, current: Round) -> None:
        """Starts workers, hands out batches, and waits briefly for answers."""
        self._start_missing()
        self._hand_out(current)
        tickets = [*self._starting, *self._in_flight]
        for ticket in self._workers.wait(tickets, 0 if self._local and self._waited() else SLICE):
            if ticket in self._starting:
                self._take_start(ticket)
            elif ticket in self._in_flight:  # else its worker was just found to be lost
                self._take_batch(current, *self._in_flight[ticket])
        self._give_up_overdue(current)
        if not self.ready:
            self._evaluate_locally(current)

    def _start_missing(self) -> None:
        """Starts missing workers; cancels starts that wait for room that no longer exists."""
        moment = time.monotonic()
        if moment < self._look or moment < self._paused:
            return
        self._look = moment + LOOK
        missing = self._workers.wanted() - len(self.ready) - len(self._starting)
        for _ in range(missing):
            handle, ticket = self._workers.place()
            self._starting[ticket] = Start(handle)
        pending = [ticket for ticket, start in self._starting.items() if start.due is None]
        for ticket in pending[missing:] if missing < 0 else ():
            self._workers.end(self._starting.pop(ticket).handle)

    def _take_start(self, ticket: Hashable) -> None:
        start = self._starting.pop(ticket)
        try:
            self._workers.take(ticket)
            if start.due is None:
                start.due = time.monotonic() + self._deadline
                self._starting[self._workers.prepare(start.handle)] = start
                return
        except Exception as error:
            self._not_started(start, error)
            return
        self._failures, self._began, self._alone_since, self._announced = [], True, None, False
        self.ready.append(Worker(start.handle))
        log.debug("%d workers are ready, %d are starting or wait for room", len(self.ready), len(self._starting))

    def _not_started(self, start: Start, error: Exception) -> None:
        """Ends a worker that failed to start, and delays the next start, longer each time.

        Raises:
            KvwError: no worker has ever started, and none is expected to.
        """
        self._workers.end(start.handle)
        self._look = 0.0
        if isinstance(error, LostError) and error.with_node:
            self._paused = time.monotonic() + SLICE
            return
        why = " ".join(str(error).split())
        self._failures.append(why)
        if not self._began and (not isinstance(error, LostError) or len(self._failures) >= MOST_STARTS):
            if isinstance(error, KvwError):
                raise error
            raise KvwError(f"executor: no worker can start: {why:.300}; {self._advice}")
        if self._failures.count(why) == 1:
            log.warning("A worker can't start: %.300s", why)
        self._paused = time.monotonic() + min(LONGEST_PAUSE, 2.0 ** len(self._failures))

    def _hand_out(self, current: Round) -> None:
        """Gives each idle worker a batch, then each worker a second one while enough candidates are left.

        The sizes are those of weighted factoring (Hummel et al., 1996): half of the candidates left go out in batches
        of equal duration, so that the last batches are small and all workers end together.
        """
        for depth in range(IN_FLIGHT):
            left = current.left
            if depth and left <= len(self.ready):  # the first free workers take the last candidates
                return
            speeds = [worker.speed for worker in self.ready if worker.speed]
            typical = sum(speeds) / len(speeds) if speeds else 1.0
            total = sum(worker.speed or typical for worker in self.ready)
            for worker in self.ready:
                if len(worker.flight) != depth:
                    continue
                share = left * (worker.speed or typical) / total
                numbers = current.pick(self._size(worker, share, AHEAD if depth else LONGEST_BATCH))
                if not numbers:
                    return
                ticket = self._workers.submit(worker.handle, [current.jobs[number] for number in numbers])
                batch = Batch(numbers, ticket, None if worker.flight else time.monotonic())
                worker.flight.append(batch)
                self._in_flight[ticket] = worker, batch

    def _size(self, worker: Worker, share: float, seconds: float) -> int:
        """The batch size for a worker whose share of the candidates left is ``share``; ``seconds`` of work at most."""
        least = self._workers.batch
        size = math.ceil(share) if share <= least else max(least, math.ceil(share / 2))
        return min(size, max(least, int(worker.speed * seconds)))

    def _take_batch(self, current: Round, worker: Worker, batch: Batch) -> None:
        try:
            answer = self._workers.take(batch.ticket)
        except LostError as lost:
            self._lose(current, worker, lost)
        else:
            self._settle(current, worker, batch, *answer)

    def _settle(
        self,
        current: Round,
        worker: Worker,
        batch: Batch,
        evaluations: Sequence[Evaluation],
        utterances: Mapping[str, Utterance],
    ) -> None:
        """Stores the evaluations of a batch."""
        moment = time.monotonic()
        del self._in_flight[batch.ticket]
        worker.flight.remove(batch)
        if batch.begun is not None and len(utterances) >= len(batch.numbers) > 0:  # cached utterances take no time
            speed = len(batch.numbers) / max(moment - batch.begun, 1e-6)
            worker.speed = (worker.speed + speed) / 2 if worker.speed else speed
        if worker.flight and worker.flight[0].begun is None:
            worker.flight[0].begun = moment
        if batch.numbers:
            self._evaluated = True
            if utterances and current.keep:
                current.keep(utterances)
            current.found.update(zip(batch.numbers, evaluations, strict=True))

    def _lose(self, current: Round, worker: Worker, lost: LostError) -> None:
        """Removes a lost worker. Its oldest batch may be to blame; the others are put back.

        Raises:
            KvwError: every worker died at its first candidate.
        """
        log.warning("A worker %s; its work is evaluated again", lost)
        for batch in list(worker.flight):  # its earlier answers are kept
            with suppress(LostError):
                if self._workers.wait([batch.ticket], 0):
                    self._settle(current, worker, batch, *self._workers.take(batch.ticket))
        self.ready.remove(worker)
        self._workers.end(worker.handle)
        self._look = 0.0
        for batch in reversed(worker.flight):
            del self._in_flight[batch.ticket]
            if lost.with_node or batch is not worker.flight[0]:
                current.put_back(batch.numbers)
            else:
                current.blame(batch.numbers)
        ended = len(current.found)
        if not self._evaluated and ended and (ended >= MOST_DEATHS or ended == len(current.jobs)):
            raise KvwError(
                f"executor: every worker died at its first candidate, perhaps for lack of memory; {self._advice}"
            )

    def _give_up_overdue(self, current: Round) -> None:
        """Removes workers that have missed their deadline."""
        moment = time.monotonic()
        why = f"did not answer for {self._deadline:g} s"
        for worker in list(self.ready):
            begun = worker.flight[0].begun if worker.flight else None
            if begun is not None and moment - begun > self._deadline:
                self._lose(current, worker, LostError(why))
        for ticket, start in list(self._starting.items()):
            if start.due is not None and moment > start.due:
                self._not_started(self._starting.pop(ticket), LostError(f"{why} while it loaded its models"))

    def _waited(self) -> bool:
        """Whether there has been no worker for so long that none is expected any more."""
        loading = any(start.due is not None for start in self._starting.values())
        wait = self._wait if self._began else max(self._wait, LONGEST_PAUSE)  # the first may start slowly
        return self._alone_since is not None and not loading and time.monotonic() - self._alone_since >= wait

    def _evaluate_locally(self, current: Round) -> None:
        """Waits for a worker; after the wait, evaluates one candidate in this process.

        Raises:
            KvwError: ``local`` is None.
        """
        if self._alone_since is None:
            self._alone_since = time.monotonic()
            if self._began:
                log.warning("No worker is left; waiting %g s for another", self._wait)
        if not self._waited():
            return
        if self._local is None:
            later = "continue with resume= when workers are available, or " if self._began else ""
            raise KvwError(
                f"executor: expected a worker; there has been none for {time.monotonic() - self._alone_since:.0f} s; "
                f"{later}{self._advice}",
                EXIT_TOO_MANY_FAILURES,
            )
        if not self._announced:
            log.warning("No worker has come; evaluating here until one does")
            self._announced = True
        # suspects last: they may end this process, and the search can resume from there
        if waiting := current.todo or current.alone:
            number = waiting.popleft()
            current.found[number] = self._local(current.jobs[number])
            self._evaluated = True

"""Schedules candidates on workers and recovers when one fails.

Read :meth:`Scheduler.__call__` first. Nothing here knows where the workers run (:mod:`kvw.executors.processes` and
:mod:`kvw.executors.ray_executor` do): they can be slow, late, hung or gone at any time, and their number changes during
a search. What makes that harmless is that an evaluation is a pure function of its candidate, and that every candidate
is in one place alone: waiting, with one worker, or evaluated. Its data are in :mod:`kvw.executors.rounds`. The file is
longer than 300 lines because it is one state machine: each method is a transition, and they are read together.
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
"""Duration in seconds of the batch that waits: no worker idles until the driver answers, and little is held back."""

SLICE = 0.2
"""Longest wait in seconds: a signal is answered within that time."""

LOOK = 1.0
"""Seconds between two looks at how many workers there could be."""

LONGEST_PAUSE = 60.0
"""Seconds, at most, until another worker is started where several could not."""


class Scheduler:
    """Hands candidates to workers and takes in what they find, whatever becomes of the workers.

    Args:
        workers: that there are.
        deadline: seconds in which a worker has to load its models, and has to answer for a batch.
        wait: seconds to wait for another worker when the last one is lost.
        advice: what the user can do where no worker can start or live, for error messages.
        local: evaluates a job here where none has come by then, until one comes; None ends the search instead.

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
        self._flying: dict[Hashable, tuple[Worker, Batch]] = {}
        self._look = self._paused = 0.0  # when to look for room next, and when to start workers again
        self._lonely: float | None = None  # since when there is no worker
        self._failures: list[str] = []  # of starts, since the last good one
        self._began = self._evaluated = False  # whether any worker ever has
        self._said = False  # that it is done here

    def __call__(
        self, jobs: Sequence[Any], keep: Callable[[Mapping[str, Utterance]], None] | None = None
    ) -> list[Evaluation]:
        """Has jobs done.

        Args:
            jobs: one a candidate.
            keep: takes in what was measured, as it comes.

        Returns:
            One evaluation a job, in order.

        Raises:
            KvwError: no worker can start, or evaluate anything; or none is left and ``local`` is None.
        """
        now = Round(jobs, keep)
        try:
            while len(now.found) < len(jobs):
                self._turn(now)
        finally:
            for _, batch in self._flying.values():  # after an error: an answer that is late concerns nobody
                batch.numbers = []
        return [now.found[number] for number in range(len(jobs))]

    def begin(self) -> None:
        """Waits for a worker that can evaluate; with ``local``, not for ever.

        Raises:
            KvwError: as for a call.
        """
        nothing = Round([], None)
        while not self.ready and not (self._local and self._waited()):
            self._turn(nothing)

    def close(self) -> None:
        """Ends the workers."""
        for handle in [*(one.handle for one in self.ready), *(one.handle for one in self._starting.values())]:
            self._workers.end(handle)
        self.ready, self._starting, self._flying = [], {}, {}

    def _turn(self, now: Round) -> None:
        """Whatever there is to do, then waits until something happens, though not for long."""
        self._staff()
        self._hand_out(now)
        tickets = [*self._starting, *self._flying]
        for ticket in self._workers.wait(tickets, 0 if self._local and self._waited() else SLICE):
            if ticket in self._starting:
                self._take_start(ticket)
            elif ticket in self._flying:  # else it is of a worker that another ticket has told to be lost
                self._take_batch(now, *self._flying[ticket])
        self._give_up_overdue(now)
        if not self.ready:
            self._do_without(now)

    def _staff(self) -> None:
        """Starts workers where some are missing; what waits for room that is no more is let go."""
        now = time.monotonic()
        if now < self._look or now < self._paused:
            return
        self._look = now + LOOK
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
        self._failures, self._began, self._lonely, self._said = [], True, None, False
        self.ready.append(Worker(start.handle))
        log.debug("%d workers are ready, %d are starting or wait for room", len(self.ready), len(self._starting))

    def _not_started(self, start: Start, error: Exception) -> None:
        """Another is started; later, if that goes on, and where none ever has begun, not for ever.

        Raises:
            KvwError: it is no use.
        """
        self._workers.end(start.handle)
        self._look = 0.0
        if isinstance(error, LostError) and error.with_node:
            self._paused = time.monotonic() + SLICE
            return
        why = " ".join(str(error).split())
        self._failures.append(why)
        if not self._began and (not isinstance(error, LostError) or len(self._failures) >= MOST_STARTS):
            raise (
                error
                if isinstance(error, KvwError)
                else KvwError(f"executor: no worker can start: {why:.300}; {self._advice}")
            )
        if self._failures.count(why) == 1:
            log.warning("A worker can't start: %.300s", why)
        self._paused = time.monotonic() + min(LONGEST_PAUSE, 2.0 ** len(self._failures))

    def _hand_out(self, now: Round) -> None:
        """Gives workers what they lack: who has nothing first, and a second batch while there is more than enough.

        The sizes are those of weighted factoring (Hummel et al., 1996): half of what is left goes out in equal times,
        so that the last batches are small and all workers end together.
        """
        for depth in range(IN_FLIGHT):
            left = now.left
            if depth and left <= len(self.ready):  # the last ones are for whoever is free first
                return
            speeds = [worker.speed for worker in self.ready if worker.speed]
            typical = sum(speeds) / len(speeds) if speeds else 1.0
            total = sum(worker.speed or typical for worker in self.ready)
            for worker in self.ready:
                if len(worker.flight) != depth:
                    continue
                share = left * (worker.speed or typical) / total
                numbers = now.pick(self._size(worker, share, AHEAD if depth else LONGEST_BATCH))
                if not numbers:
                    return
                ticket = self._workers.submit(worker.handle, [now.jobs[number] for number in numbers])
                batch = Batch(numbers, ticket, None if worker.flight else time.monotonic())
                worker.flight.append(batch)
                self._flying[ticket] = worker, batch

    def _size(self, worker: Worker, share: float, seconds: float) -> int:
        """Candidates for a worker whose share of all that is left is ``share``; work of so many seconds at most."""
        least = self._workers.batch
        size = math.ceil(share) if share <= least else max(least, math.ceil(share / 2))
        return min(size, max(least, int(worker.speed * seconds)))

    def _take_batch(self, now: Round, worker: Worker, batch: Batch) -> None:
        try:
            answer = self._workers.take(batch.ticket)
        except LostError as lost:
            self._lose(now, worker, lost)
        else:
            self._settle(now, worker, batch, *answer)

    def _settle(
        self,
        now: Round,
        worker: Worker,
        batch: Batch,
        evaluations: Sequence[Evaluation],
        utterances: Mapping[str, Utterance],
    ) -> None:
        """Takes in what a worker found."""
        moment = time.monotonic()
        del self._flying[batch.ticket]
        worker.flight.remove(batch)
        if batch.begun is not None and len(utterances) >= len(batch.numbers) > 0:  # what is remembered takes no time
            speed = len(batch.numbers) / max(moment - batch.begun, 1e-6)
            worker.speed = (worker.speed + speed) / 2 if worker.speed else speed
        if worker.flight and worker.flight[0].begun is None:
            worker.flight[0].begun = moment
        if batch.numbers:
            self._evaluated = True
            if utterances and now.keep:
                now.keep(utterances)
            now.found.update(zip(batch.numbers, evaluations, strict=True))

    def _lose(self, now: Round, worker: Worker, lost: LostError) -> None:
        """Lets a worker go. It was at its oldest batch; those behind that are nobody's fault.

        Raises:
            KvwError: workers die whatever they are given.
        """
        log.warning("A worker %s; what it was at is evaluated again", lost)
        for batch in list(worker.flight):  # what it answered before it went is taken in
            with suppress(LostError):
                if self._workers.wait([batch.ticket], 0):
                    self._settle(now, worker, batch, *self._workers.take(batch.ticket))
        self.ready.remove(worker)
        self._workers.end(worker.handle)
        self._look = 0.0
        for batch in reversed(worker.flight):
            del self._flying[batch.ticket]
            if lost.with_node or batch is not worker.flight[0]:
                now.put_back(batch.numbers)
            else:
                now.blame(batch.numbers)
        ended = len(now.found)
        if not self._evaluated and ended and (ended >= MOST_DEATHS or ended == len(now.jobs)):
            raise KvwError(
                f"executor: every worker died at its first candidate, for want of memory perhaps; {self._advice}"
            )

    def _give_up_overdue(self, now: Round) -> None:
        """Lets those go that have not answered for too long."""
        moment = time.monotonic()
        why = f"did not answer for {self._deadline:g} s"
        for worker in list(self.ready):
            begun = worker.flight[0].begun if worker.flight else None
            if begun is not None and moment - begun > self._deadline:
                self._lose(now, worker, LostError(why))
        for ticket, start in list(self._starting.items()):
            if start.due is not None and moment > start.due:
                self._not_started(self._starting.pop(ticket), LostError(f"{why} while it loaded its models"))

    def _waited(self) -> bool:
        """Whether there has been no worker for so long that none is expected any more."""
        loading = any(start.due is not None for start in self._starting.values())
        wait = self._wait if self._began else max(self._wait, LONGEST_PAUSE)  # the first takes its time to start
        return self._lonely is not None and not loading and time.monotonic() - self._lonely >= wait

    def _do_without(self, now: Round) -> None:
        """Waits for a worker, then evaluates here, one candidate between two looks for one.

        Raises:
            KvwError: that is not wanted.
        """
        if self._lonely is None:
            self._lonely = time.monotonic()
            if self._began:
                log.warning("No worker is left; waiting %g s for another", self._wait)
        if not self._waited():
            return
        if self._local is None:
            later = "go on with resume= when there can be workers again, or " if self._began else ""
            raise KvwError(
                f"executor: expected a worker; there has been none for {time.monotonic() - self._lonely:.0f} s; "
                f"{later}{self._advice}",
                EXIT_TOO_MANY_FAILURES,
            )
        if not self._said:
            log.warning("No worker has come; evaluating here until one does")
            self._said = True
        # those that ended workers last: here they may end the search, which can go on from there
        if waiting := now.todo or now.alone:
            number = waiting.popleft()
            now.found[number] = self._local(now.jobs[number])
            self._evaluated = True

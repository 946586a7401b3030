"""Workers of a scheduler that only pretend: no process, and no time unless it is wanted."""

from __future__ import annotations

import heapq
import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kvw.evaluation import Evaluation, Utterance
from kvw.executors.rounds import LostError
from kvw.executors.scheduler import IN_FLIGHT


def found(job: int) -> Evaluation:
    """What comes of a job, wherever it is done."""
    return Evaluation("complete", score=float(job))


@dataclass(eq=False)
class Simulated:
    """One of them."""

    number: int
    speed: float
    free: float = 0.0  # when it is done with what it has
    alive: bool = True
    prepared: bool = False
    asked: dict[int, Any] = field(default_factory=dict)  # tickets, and what it would answer


class Simulation:
    """Workers by the clock of the simulation; a job is its number, and takes ``seconds`` of a worker of speed 1.

    Args:
        count: of workers that are wanted.
        seconds: of a job; those of a worker that loads its models, too.
        speeds: of the workers, in the order of their starts, over again.
        room: of them run at once; the others wait for room.
        deadly: jobs that end whoever does them.
        batch: as :class:`kvw.executors.rounds.Workers`.
        real: time passes.

    Attributes:
        clock: seconds since it began.
        started: every worker so far.
        sizes: of the batches, by the worker.
        done: how often each job was done to its end.
        at: what else happens, as pairs of a moment and an action.
    """

    def __init__(
        self,
        count: int,
        *,
        seconds: float = 1.0,
        speeds: Sequence[float] = (1.0,),
        room: int = 1000,
        deadly: Sequence[int] = (),
        batch: int = 1,
        real: bool = False,
    ) -> None:
        self.count, self.seconds, self.room, self.deadly, self.batch = count, seconds, room, deadly, batch
        self.clock = 0.0
        self.started: list[Simulated] = []
        self.sizes: dict[int, list[int]] = {}
        self.batches: list[list[int]] = []
        self.done: Counter[int] = Counter()
        self.at: list[tuple[float, Callable[[], object]]] = []
        self._speeds = itertools.cycle(speeds)
        self._tickets = itertools.count()
        self._events: list[tuple[float, int, Simulated | None]] = []
        self._answers: dict[int, Any] = {}
        self._waiting: list[tuple[Simulated, int]] = []
        self._real, self._began = real, time.perf_counter()

    @property
    def alive(self) -> list[Simulated]:
        return [one for one in self.started if one.alive]

    def monotonic(self) -> float:
        return time.perf_counter() - self._began if self._real else self.clock

    def wanted(self) -> int:
        return self.count

    def place(self) -> tuple[Simulated, int]:
        one = Simulated(len(self.started), next(self._speeds))
        self.started.append(one)
        ticket = next(self._tickets)
        one.asked[ticket] = None
        self._waiting.append((one, ticket))
        self._make_room()
        return one, ticket

    def _make_room(self) -> None:
        placed = [one for one in self.alive if one not in [other for other, _ in self._waiting]]
        for one, ticket in self._waiting[: max(0, self.room - len(placed))]:
            self._waiting.remove((one, ticket))
            self._plan(0.0, ticket, one)

    def prepare(self, one: Simulated) -> int:
        ticket = next(self._tickets)
        one.asked[ticket] = {}
        self._plan(self.seconds, ticket, one)
        if not one.alive:
            self._answers[ticket] = LostError("died", True)
        return ticket

    def submit(self, one: Simulated, jobs: Sequence[int]) -> int:
        assert one.prepared, "it has not loaded its models"
        assert len(one.asked) < IN_FLIGHT, "it has enough"
        ticket = next(self._tickets)
        self.batches.append(list(jobs))
        if not one.alive:
            self._answers[ticket] = LostError("died", True)
            return ticket
        self.sizes.setdefault(one.number, []).append(len(jobs))
        one.asked[ticket] = [found(job) for job in jobs], {f"{job}": Utterance(1.0) for job in jobs}
        one.free = max(one.free, self.monotonic())
        for job in jobs:
            one.free += self.seconds / one.speed
            if job in self.deadly:
                self.at.append((one.free, lambda: self.kill(one)))
                break
        else:
            self._plan(one.free - self.monotonic(), ticket, one)
        return ticket

    def _plan(self, seconds: float, ticket: int, one: Simulated | None) -> None:
        heapq.heappush(self._events, (self.monotonic() + seconds, ticket, one))

    def wait(self, tickets: Sequence[int], seconds: float) -> list[int]:
        until = self.monotonic() + seconds
        while not (answered := [ticket for ticket in tickets if ticket in self._answers]):
            moments = [self._events[0][0]] if self._events else []
            moment = min([until, *moments, *(at for at, _ in self.at)])
            if self._real:
                time.sleep(max(0.0, moment - self.monotonic()))
            self.clock = max(self.clock, moment)
            for at, action in [one for one in self.at if one[0] <= self.clock]:
                self.at.remove((at, action))
                action()
            while self._events and self._events[0][0] <= self.clock:
                self._answer(*heapq.heappop(self._events)[1:])
            if self.monotonic() >= until:
                return [ticket for ticket in tickets if ticket in self._answers]
        return answered

    def _answer(self, ticket: int, one: Simulated | None) -> None:
        if one is None or ticket not in one.asked:
            return
        self._answers[ticket] = answer = one.asked.pop(ticket)
        if answer == {}:
            one.prepared = True
        if isinstance(answer, tuple):
            self.done.update(int(key) for key in answer[1])

    def take(self, ticket: int) -> Any:
        answer = self._answers[ticket]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def end(self, one: Simulated) -> None:
        one.alive = False
        self._waiting = [waiting for waiting in self._waiting if waiting[0] is not one]
        self._make_room()

    def kill(self, one: Simulated, with_node: bool = False) -> None:
        """Ends one as a fault does: whoever waits for it is told."""
        if one.alive:
            for ticket in one.asked:
                self._answers[ticket] = LostError("died", with_node)
            one.asked = {}
            self.end(one)

    def hang(self, one: Simulated, seconds: float) -> None:
        """Has one answer so much later."""
        self._events = [(at + seconds * (who is one), ticket, who) for at, ticket, who in self._events]
        heapq.heapify(self._events)
        one.free += seconds

"""The scheduler's data: the workers' contract, workers with their batches, and the candidates of one call."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from kvw.evaluation import Evaluation, Utterance

MOST_DEATHS = 3
"""Worker processes that one voice may end."""


def crashed(deaths: int) -> Evaluation:
    """The failure of a voice that ended ``deaths`` worker processes by itself."""
    return Evaluation("crashed", detail=f"it ended {deaths} worker processes")


class LostError(Exception):
    """A worker is lost, with its batches.

    Args:
        why: the reason, one line.
        with_node: the worker's machine is gone or cannot be reached: no candidate is to blame.
    """

    def __init__(self, why: str, with_node: bool = False) -> None:
        super().__init__(why)
        self.with_node = with_node


class Workers(Protocol):
    """Starts workers and talks to them, by handles; a ticket stands for one answer to come."""

    batch: int
    """Candidates that a worker evaluates at once; fewer take as long."""

    def wanted(self) -> int:
        """How many workers there should be now, including those that wait for room."""

    def place(self) -> tuple[Any, Hashable]:
        """Asks for a worker; the ticket is answered when the worker runs."""

    def prepare(self, handle: Any) -> Hashable:
        """Has a running worker load its models; the ticket is answered when the worker can evaluate."""

    def submit(self, handle: Any, jobs: Sequence[Any]) -> Hashable:
        """Hands jobs to a worker; the answer is their evaluations, in order, and the new utterances by key."""

    def wait(self, tickets: Sequence[Hashable], seconds: float) -> Sequence[Hashable]:
        """The answered tickets, in the order given, as soon as there is one; none after ``seconds``."""

    def take(self, ticket: Hashable) -> Any:
        """The answer to a ticket.

        Raises:
            LostError: the worker is lost.
            Exception: the worker raised it.
        """

    def end(self, handle: Any) -> None:
        """Ends a worker, busy or not; a worker that is already lost is no error."""


@dataclass(eq=False)
class Batch:
    """Candidates that a worker has; ``begun`` is when it could start on them, None while another batch is first."""

    numbers: list[int]
    ticket: Hashable
    begun: float | None


@dataclass(eq=False)
class Worker:
    """A worker that can evaluate: its batches, oldest first, and its speed in candidates a second, 0 if unknown."""

    handle: Any
    flight: list[Batch] = field(default_factory=list)
    speed: float = 0.0


@dataclass(eq=False)
class Start:
    """A starting worker; ``due`` is when its models must be loaded, None while it waits for room."""

    handle: Any
    due: float | None = None


class Round:
    """The candidates of one call.

    Args:
        jobs: one for each candidate, for workers; a candidate is known by its index.
        keep: called with new utterances by key.
    """

    def __init__(self, jobs: Sequence[Any], keep: Callable[[Mapping[str, Utterance]], None] | None) -> None:
        self.jobs, self.keep = jobs, keep
        self.todo = deque(range(len(jobs)))
        self.alone: deque[int] = deque()  # to be sent in batches of their own: a worker died with them
        self.suspects: set[int] = set()  # candidates that have ever been in ``alone``
        self.deaths: Counter[int] = Counter()
        self.found: dict[int, Evaluation] = {}

    @property
    def left(self) -> int:
        """How many candidates wait for a worker."""
        return len(self.todo) + len(self.alone)

    def pick(self, size: int) -> list[int]:
        """Removes and returns the next candidates, ``size`` at most."""
        if self.alone:
            return [self.alone.popleft()]
        return [self.todo.popleft() for _ in range(min(size, len(self.todo)))]

    def put_back(self, numbers: Sequence[int]) -> None:
        """Puts back candidates that did not end their worker."""
        for number in reversed(numbers):
            (self.alone if number in self.suspects else self.todo).appendleft(number)

    def blame(self, numbers: Sequence[int]) -> None:
        """Puts back the candidates of a batch that ended its worker, to be tried one by one."""
        if len(numbers) > 1:
            self.alone.extend(numbers)
            self.suspects.update(numbers)
            return
        for number in numbers:
            self.deaths[number] += 1
            if self.deaths[number] < MOST_DEATHS:
                self.alone.append(number)
            else:
                self.found[number] = crashed(MOST_DEATHS)

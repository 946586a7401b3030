"""The table's rows, and the command line of a module of scenarios."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Row:
    """What became of a scenario's cases.

    Attributes:
        name: of the scenario.
        cases: that were run.
        passed: of those.
        note: figures beside it.
        seconds: it took.
        failures: the first ones.
        outcomes: how many cases ended how.
    """

    name: str
    cases: int = 0
    passed: int = 0
    note: str = ""
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    outcomes: dict[str, int] = field(default_factory=Counter)

    def add(self, case: str, problem: str = "", outcome: str = "") -> None:
        """Counts a case; it passed if there is no problem."""
        self.cases += 1
        self.passed += not problem
        if outcome:
            self.outcomes[outcome] += 1
        if problem and len(self.failures) < 10:
            self.failures.append(f"{case}: {problem}")


@contextmanager
def row(name: str) -> Iterator[Row]:
    """A row that is being filled."""
    made, started = Row(name), time.monotonic()
    yield made
    made.seconds = round(time.monotonic() - started, 2)


def main(*scenarios: Callable[..., list[Row]]) -> None:
    """Runs scenarios, all or ``NAME={"argument": value} ...`` of the command line; prints rows as lines of JSON."""
    assert not {"torch", "librosa"} & sys.modules.keys(), "children would be slow to fork"
    known = {one.__name__: one for one in scenarios}
    for given in sys.argv[1:] or known:
        name, _, more = given.partition("=")
        for one in known[name](**json.loads(more or "{}")):
            sys.stdout.write(json.dumps(vars(one)) + "\n")
            sys.stdout.flush()
    assert not {"torch", "librosa"} & sys.modules.keys(), "something has imported them"

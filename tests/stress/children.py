"""Forks of a process without torch, one or several cases in each."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kvw.errors import EXIT_INTERRUPTED, EXIT_TERMINATED, KvwError
from kvw.runtime import signals
from tests.stress.rows import Row

LONGEST = 60
"""Seconds after which a child hangs."""


@dataclass(frozen=True)
class Outcome:
    """How a child ended.

    Attributes:
        code: its exit status; minus the signal that killed it.
        value: what its action returned.
        error: what it raised, as text.
        warnings: what kvw logged.
        clean: whether the error is one of kvw's own or an interrupt, in one line.
    """

    code: int
    value: Any = None
    error: str = ""
    warnings: tuple[str, ...] = ()
    clean: bool = True


class Child:
    """A fork of this process that does something and ends."""

    def __init__(self, action: Callable[[], Any]) -> None:
        self._reader, writer = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid:
            os.close(writer)
            return
        code = 70
        try:
            signal.alarm(LONGEST)
            for number, status in ((signal.SIGINT, EXIT_INTERRUPTED), (signal.SIGTERM, EXIT_TERMINATED)):
                # of a second signal, once the first has ended the action; SIGINT is ignored where this is run in the
                # background
                signal.signal(number, lambda *_, status=status: os._exit(status))
            outcome = here(action)
            code = outcome.code
            told = pickle.dumps(outcome)
            while told:
                told = told[os.write(writer, told) :]
        finally:
            os._exit(code)

    def kill(self) -> None:
        """By SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> Outcome:
        """How it ended."""
        with os.fdopen(self._reader, "rb") as file:
            told = file.read()
        _, status = os.waitpid(self.pid, 0)
        if os.WIFSIGNALED(status):
            return Outcome(-os.WTERMSIG(status))
        outcome: Outcome = pickle.loads(told) if told else Outcome(os.WEXITSTATUS(status), clean=False)
        return outcome


def fork(action: Callable[[], Any]) -> Outcome:
    """Does something in a child."""
    return Child(action).wait()


def together(judgements: Sequence[tuple[str, Callable[[], tuple[str, str]]]], found: Row, size: int = 40) -> None:
    """Judges cases in which nothing is killed, many in one child: most of a case's time is the fork.

    Args:
        judgements: of each case, its name and what gives its problem and its outcome.
        found: takes them in.
        size: cases of a child.
    """

    def some(at: int) -> list[tuple[str, str]]:
        judged = []
        for _, judgement in judgements[at : at + size]:
            signal.alarm(LONGEST)
            judged.append(judgement())
        return judged

    for at in range(0, len(judgements), size):
        outcome = fork(lambda: some(at))  # noqa: B023
        several = outcome.value or [(f"its child ended with {outcome.code}: {outcome.error}", "")]
        for (case, _), (problem, ended) in zip(judgements[at : at + size], several, strict=False):
            found.add(case, problem, ended)


def here(action: Callable[[], Any]) -> Outcome:
    """Does something as a child would, in this process, which is one."""
    heard: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("kvw").handlers[:] = [handler]
    logging.getLogger("kvw").propagate = False
    try:
        with signals.handled():
            return Outcome(0, action(), warnings=tuple(heard))
    except signals.Interrupted as error:
        return Outcome(error.code, warnings=tuple(heard))
    except KvwError as error:
        return Outcome(error.code, None, str(error), tuple(heard), "\n" not in str(error))
    except BaseException:
        return Outcome(70, None, traceback.format_exc(), tuple(heard), False)

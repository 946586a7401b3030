"""Ctrl-C and SIGTERM: the first lets what is being written be finished, then ends the run; the second ends at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from kvw.errors import EXIT_INTERRUPTED, EXIT_TERMINATED

_CODES = {signal.SIGINT: EXIT_INTERRUPTED, signal.SIGTERM: EXIT_TERMINATED}
_holding = 0  # blocks of held() that are open
_received = False  # whether a signal came
_waiting: int | None = None  # the signal that came in such a block


class Interrupted(KeyboardInterrupt):
    """Somebody, or the system, wants the run to end.

    Args:
        number: of the signal.

    Attributes:
        code: the exit status that says so.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.code = _CODES[signal.Signals(number)]


@contextmanager
def answered() -> Iterator[None]:
    """Answers the signals meanwhile, where this is the main thread; one that the caller's shell ignores stays so."""
    global _received
    _received = False
    before = {}
    if threading.current_thread() is threading.main_thread():
        heard = [number for number in _CODES if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, _answer) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def held() -> Iterator[None]:
    """Holds a first signal back until the end of the block, which is short: a commit.

    Raises:
        Interrupted: at the end, if one came.
    """
    global _holding, _waiting
    _holding += 1
    try:
        yield
    finally:
        _holding -= 1
        if not _holding and _waiting is not None:
            number, _waiting = _waiting, None
            raise Interrupted(number)


def _answer(number: int, frame: FrameType | None) -> None:
    global _received, _waiting
    if _received:
        os._exit(_CODES[signal.Signals(number)])
    _received = True
    if _holding:
        _waiting = number
    else:
        raise Interrupted(number)

"""Ctrl-C and SIGTERM: the first signal ends the run after a commit in progress, the second ends it at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from kvw.errors import EXIT_INTERRUPTED, EXIT_TERMINATED

_CODES = {signal.SIGINT: EXIT_INTERRUPTED, signal.SIGTERM: EXIT_TERMINATED}
_deferring = 0  # depth of open blocks of deferred()
_received = False  # whether a first signal has arrived
_pending: int | None = None  # a first signal that arrived inside such a block


class Interrupted(KeyboardInterrupt):
    """A user, or the system, wants the run to end.

    Args:
        number: the number of the signal.

    Attributes:
        code: the exit status for this signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.code = _CODES[signal.Signals(number)]


@contextmanager
def handled() -> Iterator[None]:
    """Within the block, a first signal raises :class:`Interrupted` and a second ends the process.

    Only the main thread can handle signals; in another the block changes nothing. A signal that the caller's shell has
    set to be ignored stays ignored.
    """
    global _received
    _received = False
    before = {}
    if threading.current_thread() is threading.main_thread():
        wanted = [number for number in _CODES if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, _handle) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def deferred() -> Iterator[None]:
    """Defers a first signal to the end of the block, which has to be short: a commit, a file's encoding.

    Signals interrupt the main thread alone; in another the block changes nothing.

    Raises:
        Interrupted: at the end of the block, if a signal arrived within.
    """
    global _deferring, _pending
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _deferring += 1
    try:
        yield
    finally:
        _deferring -= 1
        if not _deferring and _pending is not None:
            number, _pending = _pending, None
            raise Interrupted(number)


def _handle(number: int, frame: FrameType | None) -> None:
    global _received, _pending
    if _received:
        os._exit(_CODES[signal.Signals(number)])
    _received = True
    if _deferring:
        _pending = number
    else:
        raise Interrupted(number)

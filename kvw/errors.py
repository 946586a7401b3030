"""The error that kvw raises on purpose, the exit statuses that it carries, and any exception on one line."""

from __future__ import annotations

from collections.abc import Sequence

EXIT_ITEMS_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_IN_USE = 3
EXIT_STORAGE = 4
EXIT_CORRUPT = 5
EXIT_TOO_MANY_FAILURES = 6
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class KvwError(Exception):
    """A problem that a user can solve: the message is what kvw prints, and no traceback follows it.

    Args:
        message: a line for each problem: what was expected, what kvw got, what to do.
        code: the exit status of a single run (see docs/reference/exit_codes.md).
    """

    def __init__(self, message: str, code: int = EXIT_BAD_INPUT) -> None:
        super().__init__(message)
        self.code = code


def some_failed(failed: Sequence[str], total: int, items: str, then: str = "") -> KvwError:
    """The error of a task that finished without some of its items: ``2 of 5 voices failed: a, b``, then ``then``."""
    return KvwError(f"{len(failed)} of {total} {items} failed: {', '.join(failed)}{then}", EXIT_ITEMS_FAILED)


def error_line(error: Exception) -> str:
    """An exception on one line: its type and the first 200 characters of its message."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"

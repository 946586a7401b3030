"""The one error that kvw raises on purpose, the exit statuses that it carries, and errors on one line."""

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
    """One line for a person: what was expected, what came, what to do.

    Args:
        message: that line; several problems found together are several lines.
        code: the exit status of a single run (see README, "Exit codes").
    """

    def __init__(self, message: str, code: int = EXIT_BAD_INPUT) -> None:
        super().__init__(message)
        self.code = code


def some_failed(failed: Sequence[str], total: int, items: str, then: str = "") -> KvwError:
    """The error of a task that did all of its items but some: ``2 of 5 voices failed: a, b``, and ``then``."""
    return KvwError(f"{len(failed)} of {total} {items} failed: {', '.join(failed)}{then}", EXIT_ITEMS_FAILED)


def error_line(error: Exception) -> str:
    """What a library raised, on one line of some 200 characters."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"

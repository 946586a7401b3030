"""The error about a recording: a module of its own, as :mod:`decode` imports :mod:`truncation` and both raise it."""

from __future__ import annotations

from pathlib import Path

from kvw.errors import KvwError
from kvw.text import printable_line


def refusal(path: Path, problem: str) -> KvwError:
    """The error about the recording at ``path``, on one line."""
    return KvwError(f"{printable_line(path)}: {problem}")

"""The error about a recording."""

from __future__ import annotations

from pathlib import Path

from kvw.errors import KvwError
from kvw.text import printable_line


def refusal(path: Path, problem: str) -> KvwError:
    """The error about a recording, on one line."""
    return KvwError(f"{printable_line(path)}: {problem}")

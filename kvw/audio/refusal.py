"""The refusal of a recording: apart, as :mod:`kvw.audio.decode` imports :mod:`kvw.audio.truncation`; both raise it."""

from __future__ import annotations

from pathlib import Path

from kvw.errors import KvwError
from kvw.text import printable_line


def refusal(path: Path, problem: str) -> KvwError:
    """The error about the recording at ``path``, on one line."""
    return KvwError(f"{printable_line(path)}: {problem}")

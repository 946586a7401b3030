"""Collects every problem of a config, so that a user sees all of them at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kvw.errors import KvwError


class Problems:
    """Collects every problem of a config, so that all are reported at once."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def expect(self, good: bool, message: str) -> None:
        """Notes ``message`` unless ``good``."""
        if not good:
            self.lines.append(message)

    def attempt(self, function: Callable[..., Any], *args: Any) -> Any:
        """What ``function`` returns; None, and its message noted, where it raises a KvwError."""
        try:
            return function(*args)
        except KvwError as error:
            self.lines.append(str(error))
            return None

    def raise_any(self) -> None:
        """Raises one KvwError with a line for each problem, if there are any."""
        if self.lines:
            raise KvwError("\n".join(self.lines))

"""Text for people: tables, lengths of time, lists of names, values and paths in messages, near misses."""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Sequence
from typing import Any


def shown_value(value: Any) -> str:
    """``value`` for a message: at most 80 characters, on one line."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer may be too long for Python, and a list too deep
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."


def nearest(word: str, known: typing.Iterable[str]) -> str:
    """A hint that names the known word nearest to ``word``, or all of them."""
    words = sorted(known)
    close = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(words)}" if words else ""


def shell(value: str) -> str:
    """``value`` as one would type it in a shell."""
    return value if re.fullmatch(r"[\w./:-]+", value) else '"' + re.sub(r'(["\\$`])', r"\\\1", value) + '"'


MAX_VALUE = 40
"""Letters of a value in a table or figure; ``sweep.csv`` has all."""


def shortened(text: str) -> str:
    """``text`` on one line, its middle left out above :data:`MAX_VALUE`: a path ends in what matters."""
    text, half = " ".join(text.split()), MAX_VALUE // 2
    return text if len(text) <= MAX_VALUE else f"{text[: half - 1]}…{text[-half:]}"


def printable(text: str) -> str:
    """Text for a terminal, whose words a stranger may have chosen: nothing in it moves the cursor but ends of lines."""
    return "".join(char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text)


def printable_line(thing: object) -> str:
    """A thing in words, a question mark for each letter that can't be printed."""
    return "".join(char if char.isprintable() else "?" for char in str(thing))


def listed(names: Sequence[str]) -> str:
    """Some names, as words: the first four, and how many more there are."""
    more = [f"{len(names) - 4} more"] if len(names) > 5 else []
    shown = [*(names[:4] if more else names), *more]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def duration(seconds: float) -> str:
    """A length of time as people say it: ``45 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def aligned(rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """The rows as lines of equal columns.

    Args:
        rows: of equally many cells.
        left: so many columns are flush left, the others flush right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:left], widths, strict=False)]
        cells += [cell.rjust(width) for cell, width in zip(row[left:], widths[left:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return lines

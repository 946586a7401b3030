"""Text for people and for OmegaConf: values, paths and names in messages, tables, durations, escapes of ``${``."""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Sequence
from typing import Any

LINK = re.compile(r"\[([^\]]+)\]\(([^)]*)\)")
"""misaki's markup for how a word is said, ``[word](/phonemes/)``, and Markdown's for a link."""


def without_links(text: str) -> str:
    """``text`` with the words of its :data:`LINK` markup alone."""
    return LINK.sub(r"\1", text)


def shown_value(value: Any) -> str:
    """The ``repr`` of a value, for a message: on one line of at most 80 characters."""
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
    """``value`` as an argument of a shell's command line, quoted if it has to be."""
    return value if re.fullmatch(r"[\w./:-]+", value) else '"' + re.sub(r'(["\\$`])', r"\\\1", value) + '"'


MAX_VALUE = 40
"""Characters of a value in a table or figure; ``sweep.csv`` holds values in full."""


def shortened(text: str) -> str:
    """``text`` on one line of at most :data:`MAX_VALUE` characters, without its middle: a path ends in what matters."""
    text, half = " ".join(text.split()), MAX_VALUE // 2
    return text if len(text) <= MAX_VALUE else f"{text[: half - 1]}…{text[-half:]}"


def printable(text: str) -> str:
    """``text`` for a terminal: line ends stay; other characters that move the cursor or can't be shown are replaced."""
    return "".join(char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text)


def printable_line(value: object) -> str:
    """``str(value)`` on one line: a question mark replaces each line end and each character that can't be shown."""
    return "".join(char if char.isprintable() else "?" for char in str(value))


def listed(names: Sequence[str]) -> str:
    """``a, b and c``: all of up to five names, else the first four and the number of the others."""
    more = [f"{len(names) - 4} more"] if len(names) > 5 else []
    shown = [*(names[:4] if more else names), *more]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def duration(seconds: float) -> str:
    """A length of time in its usual unit: ``45 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def aligned(rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """The lines of a table: each column is as wide as its widest cell.

    Args:
        rows: cells; each row has equally many.
        left: the number of columns that are flush left; the others are flush right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:left], widths, strict=False)]
        cells += [cell.rjust(width) for cell, width in zip(row[left:], widths[left:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return lines


_INTERPOLATION = re.compile(r"(\\*)\$\{")


def escape_interpolation(text: str) -> str:
    """``text`` for OmegaConf, which would take ``${`` for a reference: the config's value is ``text`` again."""
    return _INTERPOLATION.sub(lambda match: match[1] * 2 + r"\${", text)


def unescape_interpolation(text: str) -> str:
    """Undoes :func:`escape_interpolation`."""
    return _INTERPOLATION.sub(lambda match: match[1][: len(match[1]) // 2] + "${", text)

"""Log handlers: the terminal, above a progress line if there is one, and the log file of a run.

A full disk or a closed terminal loses messages, and never stops the run.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from pathlib import Path

from tqdm import tqdm

from kvw.text import printable


class Console(logging.Handler):
    """Writes messages to standard output, above a progress line if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one message."""
        try:
            tqdm.write(printable(self.format(record)), file=sys.stdout)
            sys.stdout.flush()
        except OSError:  # the reader is gone, as under `| head`, or the disk is full
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - it stays open until the end


class RunLog(logging.FileHandler):
    """Appends messages to the log file of a run.

    Args:
        path: the log file; it is created by the first message.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace", delay=True)

    def format(self, record: logging.LogRecord) -> str:
        """The message without characters that move a cursor: somebody may print the file in a terminal."""
        return printable(super().format(record))

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one message."""
        with suppress(OSError):  # the first message opens the file
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Ignores the error: the run itself reports storage that refuses its files."""

    def close(self) -> None:
        """Closes the file, and ignores storage that refuses the last bytes."""
        with suppress(OSError):
            super().close()

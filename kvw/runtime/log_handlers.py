"""Where messages go: the terminal, above a progress line if there is one, and the log of a run's folder.

A disk that is full, or a terminal that has hung up, costs messages and never the run.
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
        except OSError:  # nobody reads any more, as under `| head`, or the disk is full
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - it stays open until the end


class RunLog(logging.FileHandler):
    """Adds messages to the log of a run.

    Args:
        path: of the log.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace", delay=True)

    def format(self, record: logging.LogRecord) -> str:
        """The message, for somebody who will print the file."""
        return printable(super().format(record))

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one message."""
        with suppress(OSError):  # it opens the file
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing can be done: what storage refuses to a run is said by the run."""

    def close(self) -> None:
        """Closes the file, whatever the storage still refuses."""
        with suppress(OSError):
            super().close()

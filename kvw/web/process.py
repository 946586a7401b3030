"""The process of a search that the web page began: ``python -m kvw.web.process FOLDER ARGUMENTS``.

The process locks its job's folder while it is at work, so that a page that is opened later finds the process, and
writes its exit status, so that such a page learns how the search ended. What a search asks at the keyboard, the page
answers.
"""

from __future__ import annotations

import io
import json
import sys
import time
from contextlib import suppress
from pathlib import Path

from kvw.cli.main import invoke
from kvw.errors import KvwError
from kvw.runtime.files import write_whole
from kvw.runtime.locks import alone
from kvw.web.job import ANSWER_FILE, EXIT_FILE


class Answers(io.TextIOBase):
    """A keyboard whose lines are the page's answers: each is a file, ``NUMBER LETTER``, which is taken away.

    Of two answers to one question, by two clicks, the second one is left out.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._answered = path, -1

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
        """The next answer; waits until there is one."""
        while True:
            with suppress(FileNotFoundError, ValueError):
                line = self._path.read_bytes()
                self._path.unlink()
                number, letter = line.decode("ascii").split()
                if int(number) > self._answered:
                    self._answered = int(number)
                    return f"{letter}\n"
            time.sleep(0.1)


def main(folder: Path, arguments: list[str]) -> int:
    """Runs kvw with ``arguments`` for the job in ``folder``, and returns its exit status."""
    try:
        with alone(folder, "a search"):
            sys.stdin = Answers(folder / ANSWER_FILE)
            code = 1  # the status of a defect
            try:
                code = invoke(arguments)
            finally:
                write_whole(folder / EXIT_FILE, json.dumps(code).encode())
    except KvwError as error:  # another process is at the same job, or the disk is full
        sys.stderr.write(f"kvw: {error}\n")
        return error.code
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))

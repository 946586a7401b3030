"""The process of a search that the web page began: ``python -m kvw.web.process FOLDER ARGUMENTS``.

The process locks its job's folder while it is at work, so that a page that is opened later finds the process, and
writes its exit status, so that such a page learns how the search ended.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from kvw.cli.main import invoke
from kvw.errors import KvwError
from kvw.runtime.files import write_whole
from kvw.runtime.locks import alone
from kvw.web.job import EXIT_FILE


def main(folder: Path, arguments: list[str]) -> int:
    """Runs kvw with ``arguments`` for the job in ``folder``, and returns its exit status."""
    try:
        with alone(folder, "a search"):
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

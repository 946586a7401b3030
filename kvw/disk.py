"""Files that are there whole or not at all, whatever happens while they are written."""

from __future__ import annotations

import os
import uuid
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Writes ``path``: its readers see the old file or all of the new one, also after a crash.

    Raises:
        OSError: the folder is missing, can't be written or is full; the old file is as it was.
    """
    partial = path.with_name(f".kvw-{uuid.uuid4().hex}.part")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)

"""Folders of runs, what is in them, and copies."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


def contents(folder: Path) -> dict[str, bytes]:
    """What a crash would leave; SQLite's index of its log is made anew by whoever opens it."""
    found = {}
    for file in folder.rglob("*"):
        if file.is_file() and not file.name.endswith("-shm"):
            found[str(file.relative_to(folder))] = file.read_bytes()
    return found


def put(folder: Path, files: Mapping[str, bytes]) -> None:
    """Makes ``folder``, with files of these contents; none of that is watched."""
    for name, content in files.items():
        path = folder / name
        os.makedirs(path.parent, exist_ok=True)  # noqa: PTH103
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(content)


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder, in memory where that can be: nothing here is about the disk itself."""
    memory = Path("/dev/shm")
    place = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    made = Path(tempfile.mkdtemp(prefix="kvw-stress-", dir=place))
    try:
        yield made
    finally:
        shutil.rmtree(made)


@contextmanager
def copied(source: Path) -> Iterator[Path]:
    """A copy of a folder."""
    with folder() as made:
        put(made, contents(source))
        yield made

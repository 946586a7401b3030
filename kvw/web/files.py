"""The files of the web page: uploads, and copies of what it serves, all below one folder.

The guard (:mod:`kvw.web.guard`) serves nothing that lies elsewhere.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kvw.errors import KvwError
from kvw.runtime.files import write_whole

NOTE, PREFIX = "shelf.txt", "kvw-web-"
"""The file that names the folder of a page's files, and how that folder's name begins."""

FRESH_SECONDS = 3600.0
"""Seconds for which a file that was spoken or exported can be heard or downloaded."""


@contextmanager
def folder_of_files(queue: Path) -> Iterator[Path]:
    """A temporary folder for the files of a page; removed when the page ends.

    Also removes the folder of an earlier page that was killed.

    Args:
        queue: the queue's folder, in which :data:`NOTE` names the temporary folder.
    """
    note = queue / NOTE
    with suppress(OSError, ValueError):
        left = Path(note.read_text("utf-8"))
        if left.parent == Path(tempfile.gettempdir()) and left.name.startswith(PREFIX):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name:
        write_whole(note, name.encode())
        yield Path(name)


class Files:
    """The files of a page.

    Args:
        folder: of all files that the page serves, and of uploads.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._lock = threading.Lock()
        self._copies: dict[Path, list[Path]] = {}

    def served(self, path: Path) -> Path:
        """A copy of a file in the folder that the page serves, so that its neighbours stay out of reach.

        The last two copies of a file that changes are kept: a player may still have the one before.

        Raises:
            KvwError: the file is a link.
        """
        with self._lock:
            if path.is_symlink():  # a stranger's folder could have the page show any file of the machine
                raise KvwError(f"{path}: expected a file; got a link")
            stat = path.stat()
            key = hashlib.sha256(f"{path.absolute()}\0{stat.st_mtime_ns}\0{stat.st_size}".encode(errors="replace"))
            copy = self.folder / key.hexdigest()[:32] / path.name
            if not copy.is_file():
                copy.parent.mkdir(exist_ok=True)
                write_whole(copy, path.read_bytes())
                copies = self._copies.setdefault(path, [])
                copies.append(copy.parent)
                if len(copies) > 2:
                    shutil.rmtree(copies.pop(0), ignore_errors=True)
            return copy

    def fresh_folder(self) -> Path:
        """An empty folder to write to and serve from; fresh folders older than :data:`FRESH_SECONDS` are removed."""
        for old in self.folder.glob("made-*"):
            if time.time() - old.stat().st_mtime > FRESH_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix="made-", dir=self.folder))

    def uploaded(self, name: str) -> Path:
        """The uploaded file that a request names by its path.

        Raises:
            KvwError: there is no such file, or it is no upload.
        """
        path = Path(name).resolve()
        if not path.is_relative_to(self.folder) or not path.is_file():
            raise KvwError("expected a file that was uploaded; it is not there any more; choose it again")
        return path


@contextmanager
def shown_by_name(path: Path) -> Iterator[None]:
    """Within it, an error's message has the name of an uploaded file in the place of its path."""
    try:
        yield
    except KvwError as error:
        raise KvwError(str(error).replace(str(path), path.name), error.code) from error

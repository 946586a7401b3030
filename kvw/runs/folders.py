"""Run folders: the names of their files, how they are found, and how one process at a time works in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kvw.errors import EXIT_BAD_INPUT, EXIT_STORAGE, KvwError
from kvw.runtime.files import GONE, PARTIAL, retry
from kvw.runtime.locks import alone


def new_folder(parent: Path, name: str) -> Path:
    """Makes ``parent/name``, or ``parent/name-NUMBER`` where a run that started in the same second took the name.

    Raises:
        KvwError: the folder can't be made.
    """
    folder, number = parent / name, 1
    try:
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                number += 1
                folder = parent / f"{name}-{number}"
    except OSError as error:
        raise KvwError(
            f"output folder: expected to write to {parent}; got {error.strerror}; mend it, or choose another with "
            "hydra.run.dir=FOLDER",
            EXIT_STORAGE if error.errno in GONE else EXIT_BAD_INPUT,
        ) from error


RECORD = "run.db"
"""The record (:mod:`kvw.runs.store`): a folder with this file is a run folder."""

SUMMARY, RESULT = "summary.txt", "result.json"
"""Written when a run ends, :data:`RESULT` last: a run without that file is not done."""

REPORT = "report.html"
"""The page that :mod:`kvw.tasks.report` writes."""

LAST = "last"
"""The word for the run whose record was written last."""


def below(folder: Path) -> list[Path]:
    """The run folders below ``folder``, also those of sweeps, the run whose record was written last first."""
    written = {}
    for record in folder.glob(f"**/{RECORD}"):
        files = [record, record.with_name(f"{RECORD}-wal")]
        with suppress(FileNotFoundError):  # the run is being removed
            written[record.parent] = max(file.stat().st_mtime_ns for file in files if file.exists())
    return sorted(written, key=lambda run: (-written[run], run))


def named(name: str, outputs: Path) -> Path:
    """The run folder that ``name`` stands for.

    Args:
        name: the path of a run folder or of a file in it, or :data:`LAST`.
        outputs: the folder to search for :data:`LAST`.

    Raises:
        KvwError: there is no such run.
    """
    if name == LAST:
        runs = below(outputs)
        if not runs:
            raise KvwError(f"last: expected a run below {outputs}; there is none; name its folder")
        return runs[0]
    folder = Path(name)
    if folder.is_file():
        folder = folder.parent
    if not (folder / RECORD).is_file():
        raise KvwError(f"{name}: expected the folder of a run, with a {RECORD} in it; there is none; see task=runs")
    return folder


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Holds a run's folder, so that no other process works in it meanwhile.

    Raises:
        KvwError: another process, which is named, holds the folder; or something in the folder is a link.
        StorageError: the storage is full, broken or gone.
    """
    for path in folder.rglob("*"):
        if path.is_symlink():  # a stranger's folder could direct what kvw writes anywhere
            raise KvwError(f"{path}: expected a file or folder of the run; got a link; put what it points to there")
    with alone(folder, "a run"):
        for partial in folder.rglob(PARTIAL):  # of a process that was killed
            retry(partial, partial.unlink)
        yield

"""Run folders: the names of their files, where they are, and that one process at a time works in one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kvw.errors import EXIT_BAD_INPUT, EXIT_STORAGE, KvwError
from kvw.runtime.files import GONE, PARTIAL, retry
from kvw.runtime.locks import alone


def new_folder(parent: Path, name: str) -> Path:
    """Makes ``parent/name``, with a number behind it where that is taken: runs may start in the same second.

    Raises:
        KvwError: it can't be made.
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
"""The file of :mod:`kvw.runs.store`, by which a run folder is known."""

SUMMARY, RESULT = "summary.txt", "result.json"
"""Written at the end, :data:`RESULT` last: a run without it is not done."""

REPORT = "report.html"
"""What :mod:`kvw.tasks.report` makes of a run."""

LAST = "last"
"""Names the run that wrote its record last."""


def below(folder: Path) -> list[Path]:
    """The run folders below ``folder``, also in those of sweeps, the one that wrote its record last first."""
    written = {}
    for record in folder.glob(f"**/{RECORD}"):
        files = [record, record.with_name(f"{RECORD}-wal")]
        with suppress(FileNotFoundError):  # it is being removed
            written[record.parent] = max(file.stat().st_mtime_ns for file in files if file.exists())
    return sorted(written, key=lambda run: (-written[run], run))


def named(name: str, outputs: Path) -> Path:
    """The run folder that ``name`` stands for.

    Args:
        name: a path, of the folder or of a file in it, or :data:`LAST`.
        outputs: where runs are.

    Raises:
        KvwError: there is none.
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
    """Works in the folder of a run, alone.

    Raises:
        KvwError: another process does; it is named. Or something in the folder is a link.
        StorageError: the storage is full, broken or gone.
    """
    for path in folder.rglob("*"):
        if path.is_symlink():  # somebody else's folder could have us write anywhere
            raise KvwError(f"{path}: expected a file or folder of the run; got a link; put what it means in its place")
    with alone(folder, "a run"):
        for partial in folder.rglob(PARTIAL):  # of a process that was killed
            retry(partial, partial.unlink)
        yield

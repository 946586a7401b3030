"""A sweep: each job leaves a record in its folder, and at the end a table and a figure are made of them.

Jobs may run in processes of their own, and files are what all launchers have in common. :func:`conclude` reads the
records, and the ``result.json`` of each job's run, when the sweep has ended.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict, read_write

from kvw.cli.sweep_figure import figure
from kvw.cli.sweep_table import RECORD, as_csv, collect, grouped, swept, table
from kvw.config.arguments import quoted
from kvw.runs.folders import new_folder
from kvw.runtime.files import write_whole

SWEEP_DIR = "hydra.sweep.dir="
"""The beginning of the argument that gives the folder of a sweep."""

sweeps: list[Sweep] = []
"""The sweep of this run, if it is one."""


class Sweep(Callback):
    """Remembers the folder of a sweep when the sweep begins; Hydra makes this callback from ``hydra.callbacks``."""

    folder: Path
    missing: list[Path]
    earlier: frozenset[str]

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before it makes a folder or a job."""
        self.folder = Path(config.hydra.sweep.dir)
        self.missing = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
        if not any(given.startswith(SWEEP_DIR) for given in config.hydra.overrides.hydra):
            self.folder = new_folder(self.folder.parent, self.folder.name)
            self.missing.append(self.folder)
            with read_write(config), open_dict(config):
                config.hydra.sweep.dir = str(self.folder)
                # of which Hydra composes the jobs' configs
                config.hydra.overrides.hydra += quoted([f"{SWEEP_DIR}{self.folder}"])
        self.earlier = frozenset(job.identity for job in collect(self.folder))
        sweeps.append(self)
        if str(config.hydra.sweeper.get("direction", "")).endswith("minimize"):
            log.warning("This sweep looks for the lowest score: for the highest add hydra.sweeper.direction=maximize")

    def conclude(self) -> bool:
        """Writes the sweep's table, and removes folders that stayed empty.

        Returns:
            whether a job failed.
        """
        failed = conclude(self.folder, self.earlier)
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        if self.folder in self.missing and files == [config := self.folder / "multirun.yaml"]:
            config.unlink()
        for folder in (*self.folder.glob("*/"), *sorted(self.missing, reverse=True)):
            with suppress(OSError):  # not empty: it stays
                folder.rmdir()
        return failed


log = logging.getLogger(__name__)


def record(folder: Path, number: int, overrides: Sequence[str], error: str | None) -> None:
    """Writes a job's record into its folder.

    Raises:
        OSError: it can't be written.
    """
    entry = {"job": number, "overrides": list(overrides), "error": error, "id": uuid.uuid4().hex}
    write_whole(folder / RECORD, (json.dumps(entry, indent=2, ensure_ascii=False) + "\n").encode())


def conclude(folder: Path, earlier: Collection[str]) -> bool:
    """Writes ``sweep.csv``, ``sweep.txt`` and ``sweep.png`` over the jobs below ``folder``, and logs the table.

    A sweep without results and failures, such as a dry run, has no table.

    Args:
        folder: of the sweep.
        earlier: identities of jobs that an earlier sweep in the same folder left.

    Returns:
        whether a job failed.

    Raises:
        OSError: the folder can't be written.
    """
    jobs = collect(folder, earlier)
    if not any(job.error or job.figures for job in jobs):
        return False
    keys = swept(jobs)
    settings = grouped(jobs, keys)
    keys = [key for key in keys if key != "seed"]
    text = table(settings, keys)
    write_whole(folder / "sweep.csv", as_csv(jobs).encode())
    write_whole(folder / "sweep.txt", f"{text}\n".encode())
    log.info("\n%s", text)
    made = ["sweep.csv", "sweep.txt"]
    if any(job.figures for job in jobs):
        write_whole(folder / "sweep.png", figure(settings, keys))
        made.append("sweep.png")
    log.info("Sweep: %s", ", ".join(str(folder / name) for name in made))
    return any(job.error for job in jobs)

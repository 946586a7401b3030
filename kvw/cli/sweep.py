"""A sweep: each job leaves a record in its folder, and at the end a table and a figure are made of them.

Jobs may run in processes of their own, and files are what all launchers have in common. :func:`conclude` reads the
records, and the ``result.json`` of each job's run, when the sweep has ended.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from kvw.cli.sweep_figure import figure
from kvw.cli.sweep_table import RECORD, as_csv, collect, grouped, swept, table
from kvw.runtime.files import write_whole

sweeps: list[Sweep] = []
"""The sweep of this run, if it is one."""


class Sweep(Callback):
    """Remembers the folder of a sweep when the sweep begins; Hydra makes this callback from ``hydra.callbacks``."""

    folder: Path
    started: float
    missing: list[Path]

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before it makes a folder or a job."""
        self.folder = Path(config.hydra.sweep.dir)
        self.started = time.time()
        self.missing = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
        sweeps.append(self)
        if str(config.hydra.sweeper.get("direction", "")).endswith("minimize"):
            log.warning("This sweep looks for the lowest score: for the highest add hydra.sweeper.direction=maximize")

    def conclude(self) -> bool:
        """Writes the sweep's table, and removes folders that stayed empty.

        Returns:
            whether a job failed.
        """
        failed = conclude(self.folder, self.started)
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        if self.folder in self.missing and files == [config := self.folder / "multirun.yaml"]:
            config.unlink()
        for folder in (*self.folder.glob("*/"), *self.missing):
            with suppress(OSError):  # not empty: it stays
                folder.rmdir()
        return failed


log = logging.getLogger(__name__)


def record(folder: Path, number: int, overrides: Sequence[str], error: str | None) -> None:
    """Writes a job's record into its folder.

    Raises:
        OSError: it can't be written.
    """
    entry = {"job": number, "overrides": list(overrides), "error": error, "ended": time.time()}
    write_whole(folder / RECORD, (json.dumps(entry, indent=2, ensure_ascii=False) + "\n").encode())


def conclude(folder: Path, since: float) -> bool:
    """Writes ``sweep.csv``, ``sweep.txt`` and ``sweep.png`` over the jobs below ``folder``, and logs the table.

    A sweep without results and failures, such as a dry run, has no table.

    Args:
        folder: of the sweep.
        since: seconds of the epoch; an older record belongs to an earlier sweep in the same folder.

    Returns:
        whether a job failed.

    Raises:
        OSError: the folder can't be written.
    """
    jobs = collect(folder, since)
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

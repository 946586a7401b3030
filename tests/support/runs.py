"""Runs that are made once and kept."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from kvw.cli.main import invoke
from kvw.runs import folders
from kvw.runs.reader import Run


def finished(folder: Path, arguments: Sequence[str]) -> Run:
    """The finished run in ``folder``, which is made or goes on where it is none."""
    begun = [Run(path) for path in folders.below(folder)]
    if begun and begun[0].status == "done":
        return begun[0]
    given = [f"resume={begun[0].folder}"] if begun else [*arguments, f"hydra.run.dir={folder}"]
    if status := invoke(given):
        sys.exit(status)
    return Run(folders.below(folder)[0])

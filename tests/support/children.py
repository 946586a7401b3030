"""A long run in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.conftest import SHORT

TEXTS = ["report=false", *(f"{key}={text}" for key, text in SHORT.items())]


def start(folder, *arguments):
    """Starts a long run in a process group of its own and waits for its first candidate."""
    command = [sys.executable, "-u", "-m", "kvw", "synth=embedded", "step_limit=100000", "population_limit=2", *TEXTS]
    process = subprocess.Popen(
        [*command, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # where the tests run in the background, the shell has SIGINT ignored, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    for line in process.stdout:
        if line.startswith("Step 0"):
            return process
    raise AssertionError(process.stderr.read())


def members(group: int) -> list[str]:
    """The processes of a session that are alive."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
        except (OSError, ValueError):
            continue
        if int(session) == group and state != "Z":
            found.append(stat.parent.name)
    return found

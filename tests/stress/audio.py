"""kvw's verdict on each hostile recording: the expected one, in bounded memory, and soon enough not to hang.

Each file is read in a forked child, which it may kill or exhaust.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kvw.audio.recordings import read_recording
from kvw.errors import KvwError
from tests.support.hostile.recordings import CORPUS, GOOD

MIB = 300
"""Memory, in MiB, that reading one file may take."""

LONGEST = 60.0
"""Seconds, of the clock and of the CPU, after which a reader hangs and is killed."""


@dataclass(frozen=True)
class Row:
    """The verdict on one file: :data:`GOOD`, "refused: ..." or what else became of it."""

    name: str
    verdict: str
    expected: str
    mib: float

    @property
    def right(self) -> bool:
        """Whether it is the verdict that was expected: accepted, or refused in the expected words."""
        if self.expected == GOOD:
            return self.verdict == GOOD
        return self.verdict.startswith("refused: ") and self.expected in self.verdict

    @property
    def cheap(self) -> bool:
        """Whether reading the file took no more than :data:`MIB`."""
        return self.mib <= MIB


def check(folder: Path) -> list[Row]:
    """Makes each file of :data:`CORPUS` in a new folder of ``folder``, judges it and deletes it."""
    rows = []
    for number, (name, (make, expected)) in enumerate(CORPUS.items()):
        inside = folder / f"{number}"
        inside.mkdir()
        path = inside / name
        make(path)
        rows.append(judge(path, expected))
        for file in inside.iterdir():
            file.rmdir() if file.is_dir() and not file.is_symlink() else file.unlink()
        inside.rmdir()
    return rows


def judge(path: Path, expected: str) -> Row:
    """Reads one file as a target in a forked child."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writer, "\n".join(_read(path)).encode(errors="replace"))
        finally:
            os._exit(0)
    os.close(writer)
    ready, _, _ = select.select([reader], [], [], LONGEST)
    if not ready:
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reader, "rb") as file:
        answer = file.read().decode()
    _, status = os.waitpid(child, 0)
    if answer:
        mib, verdict = answer.split("\n", 1)
        return Row(path.name, verdict, expected, float(mib))
    end = f"ended by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exited with {status}"
    return Row(path.name, end if ready else f"no verdict in {LONGEST:g} s", expected, float("inf"))


def _read(path: Path) -> tuple[str, str]:
    """The MiB that reading a file takes, and the verdict on it; in a child."""
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time() + LONGEST), resource.RLIM_INFINITY))
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak of memory begins anew
    before = _memory("VmRSS")
    try:
        read_recording(path)
        verdict = GOOD
    except KvwError as error:
        verdict = f"refused: {error}" if str(error).isprintable() else f"not one line: {error!r}"
    except BaseException as error:
        verdict = f"raised {error!r}"
    return f"{_memory('VmHWM') - before}", verdict


def _memory(field: str) -> float:
    """MiB of a line of the kernel's account; 0 where there is none."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:")), 0.0)

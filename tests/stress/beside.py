"""Several commands at once, and commands whose output nobody reads: each has a folder of its own, and loses nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from kvw.voices.files import load_pack
from tests.stress.folders import folder
from tests.stress.rows import Row, row

NAMES = ("af_alloy", "am_adam", "bf_emma", "jf_alpha")


def commands(inside: Path, given: Sequence[Sequence[str]]) -> list[int]:
    """Runs kvw's commands at once; their exit statuses."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = [subprocess.Popen([sys.executable, "-m", "kvw", *one], cwd=inside, **quiet) for one in given]  # type: ignore[call-overload]
    return [process.wait(300) for process in started]


def exports(rounds: int = 3) -> list[Row]:
    """Exports into one pack at once: it has every voice."""
    with row("exports side by side") as found:
        for number in range(rounds):
            with folder() as inside:
                ends = commands(inside, [["task=export", f"test_voice={name}", "task.formats=[npz]"] for name in NAMES])
                (pack,) = inside.rglob("voices.bin")
                voices = set(load_pack(pack))
                found.add(f"{number}", "" if not any(ends) and voices == {*NAMES} else f"{ends}, {sorted(voices)}")
    return [found]


def sweeps(rounds: int = 1) -> list[Row]:
    """Sweeps that begin at once, of which every job fails: a folder and a table each, of two jobs."""
    with row("sweeps side by side") as found:
        for number in range(rounds):
            with folder() as inside:
                ends = commands(
                    inside, [["-m", f"seed={seed},{seed + 1}", "target_audio=none.wav"] for seed in range(4)]
                )
                tables = [len(path.read_text().splitlines()) - 1 for path in inside.rglob("sweep.csv")]
                found.add(f"{number}", "" if ends == [1] * 4 and tables == [2] * 4 else f"{ends}, tables of {tables}")
    return [found]


def unheard() -> list[Row]:
    """Commands without standard streams, as a service has them, end as any other."""
    with row("standard streams closed") as found, folder() as inside:
        for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
            for arguments, expected in (("task=export test_voice=af_alloy", 0), ("target_audio=none.wav", 2)):
                command = f"'{sys.executable}' -m kvw {arguments} {closed}"
                code = subprocess.run(["sh", "-c", command], cwd=inside, capture_output=True, check=False).returncode
                found.add(f"{arguments} {closed}", "" if code == expected else f"ended with {code}")
    return [found]

"""Results to the last bit, kept: what they are, and on what machine they were taken.

``python -m tests.support.golden`` takes them anew, after a change that is meant to change them.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from kvw.runtime.environment import differences, fingerprint
from kvw.runtime.workers import limit_threads
from kvw.speech.embedded.stock_voices import stock_voices
from kvw.speech.embedded.synthesizer import EmbeddedSynthesizer

KEPT = Path(__file__).with_name("golden.json")

STRATEGIES = ("random_walk", "genetic", "sep_cma")


def machine() -> dict[str, str]:
    """What the last bits depend on; not the version of kvw, which is what is tested."""
    limit_threads(1)
    return {name: value for name, value in fingerprint("cpu", 1, ()).items() if name != "version of kvw"}


def kept() -> dict[str, Any]:
    """The golden results; the test is skipped on a machine that computes other last bits."""
    golden: dict[str, Any] = json.loads(KEPT.read_text("utf-8"))
    if others := differences(golden["machine"], machine(), "where they were taken", "here"):
        pytest.skip(f"the last bits of a result depend on the machine: {'; '.join(others)}")
    return golden


def wave() -> str:
    """sha256 of the embedded synthesiser's float32 samples for one voice and text."""
    synth = EmbeddedSynthesizer()
    script = synth.script("The old clock struck nine as Martha closed the heavy door.")
    (samples,) = synth([stock_voices()["af_amber"]], script, 7)
    return hashlib.sha256(samples.astype("<f4").tobytes()).hexdigest()


def best(strategy: str, folder: Path) -> str:
    """sha256 of ``best.pt`` after 30 candidates of a strategy for the demo recording, on one thread."""
    told = [
        f"strategy={strategy}",
        "synth=embedded",
        "step_limit=30",
        "executor.threads=1",
        "report=false",
        "judges=none",
    ]
    command = [sys.executable, "-m", "kvw", *told, f"hydra.run.dir={folder}"]
    path = os.pathsep.join(filter(None, (str(KEPT.parents[2]), os.environ.get("PYTHONPATH"))))
    subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, check=True, capture_output=True)
    (voice,) = folder.glob("*/*/best.pt")
    return hashlib.sha256(voice.read_bytes()).hexdigest()


def main() -> None:
    """Takes them."""
    found: dict[str, Any] = {"machine": machine(), "wave": wave(), "best": {}}
    for strategy in STRATEGIES:
        with tempfile.TemporaryDirectory() as folder:
            found["best"][strategy] = best(strategy, Path(folder))
    KEPT.write_text(json.dumps(found, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()

"""The Python example of the README does what it says, pasted into a file."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from kvw.speech.embedded.stock_voices import stock_voices
from kvw.types import EMBEDDED
from kvw.voices.files import load_voice, synthesizer_of
from tests.conftest import ROOT


@pytest.mark.long
def test_the_python_example_evolves_a_voice_as_it_stands(tmp_path):
    section = (ROOT / "README.md").read_text("utf-8").partition("\n## From Python\n")[2].partition("\n## ")[0]
    (code,) = re.findall(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert len([line for line in code.splitlines() if line.strip()]) <= 5
    (tmp_path / "mine.py").write_text(code, "utf-8")
    done = subprocess.run(
        [sys.executable, "mine.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{os.environ['PYTHONPATH']}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert re.match(
        r"Result: held-out similarity 0\.\d{3}, \w+ 0\.\d{3}; (by CAM\+\+ 0\.\d{3}, \w+ 0\.\d{3}; )?score \d\d\.\d\d, ",
        done.stdout,
    )
    assert {path.name for path in tmp_path.iterdir()} == {"mine.py", "mine.pt", "mine.json"}
    path = tmp_path / "mine.pt"
    found = load_voice(path)
    assert synthesizer_of(path) == EMBEDDED
    assert not any((found == voice).all() for voice in stock_voices().values())

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

STEPS = "step_limit=200"


@pytest.mark.long
def test_the_python_example_finds_a_voice_and_says_what_it_scores(tmp_path):
    section = (ROOT / "README.md").read_text("utf-8").partition("\n## From Python\n")[2].partition("\n## ")[0]
    (code,) = re.findall(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    assert code.count(STEPS) == 1
    (tmp_path / "mine.py").write_text(code.replace(STEPS, "step_limit=12"), "utf-8")
    done = subprocess.run(
        [sys.executable, "mine.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    said = re.fullmatch(r"(\w+): (\d+\.\d\d), mine: (\d+\.\d\d)\n", done.stdout)
    assert said and said[1] in stock_voices()
    assert 50 < float(said[2]) < 100 and 50 < float(said[3]) < 100
    path = tmp_path / "mine.pt"
    found = load_voice(path)
    assert synthesizer_of(path) == EMBEDDED
    assert not any((found == voice).all() for voice in stock_voices().values())

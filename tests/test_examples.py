"""The examples run, each where its text says."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from kvw.config.invocation import compose
from kvw.config.nodes import build
from kvw.config.schema import plain
from kvw.runs import folders
from kvw.testing import check_strategy
from kvw.voices.files import load_voice
from tests.conftest import ROOT, SHORT

EXAMPLES = ROOT / "examples"


@pytest.fixture
def plugins(monkeypatch):
    """The folder of plugins is the working directory, and nothing of it stays on the path."""
    monkeypatch.setattr(sys, "path", [str(EXAMPLES / "plugins"), *sys.path])
    monkeypatch.chdir(EXAMPLES / "plugins")


def test_the_strategy_keeps_the_contract(plugins):
    check_strategy("one_fifth")


def test_the_judge_counts_the_characters_of_a_second(plugins, demo):
    jury = build(plain(compose("judges=with_rate").cfg.judges), "judges")
    assert jury.judges["rate"]([demo, demo], ["x" * 34, "x" * 17], [], "a") == pytest.approx(1.5, abs=0.01)


def run(*command, cwd):
    environment = {**os.environ, "PYTHONPATH": f"{os.environ['PYTHONPATH']}{os.pathsep}{ROOT}"}
    done = subprocess.run([sys.executable, *command], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
def test_the_script_evolves_a_voice_and_speaks_with_it(tmp_path):
    assert run(EXAMPLES / "evolve.py", cwd=tmp_path).startswith("Result: held-out similarity 0.")
    assert load_voice(tmp_path / "mine.pt").shape == (510, 1, 256)
    assert (tmp_path / "mine.wav").stat().st_size > 20_000


@pytest.mark.long
def test_a_search_with_both_plugins_reports_what_the_judge_says(tmp_path):
    run("check.py", cwd=EXAMPLES / "plugins")
    given = ["strategy=one_fifth", "judges=with_rate", "synth=embedded", "step_limit=2", "population_limit=2"]
    texts = [f"{key}={text}" for key, text in SHORT.items()]
    run("-m", "kvw", *given, *texts, f"hydra.run.dir={tmp_path}", cwd=EXAMPLES / "plugins")
    (folder,) = folders.below(tmp_path)
    assert "Characters a second" in (folder / folders.REPORT).read_text("utf-8")

"""A small run with its report, which the tests of reports share."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from kvw.cli.main import invoke
from kvw.reports import figures
from tests.conftest import SHORT
from tests.support.report_page import HELDOUT

SMALL = ("synth=embedded", "population_limit=3", "space=coherent", "executor.scorers=0", "report=true", "judges=none")


@pytest.fixture(scope="package", autouse=True)
def small_figures():
    """Small figures: to draw them is half of the time that a page takes."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(figures, "DPI", 40)
        yield


@pytest.fixture(scope="package")
def made(tmp_path_factory):
    """A run that ended with a report, from the command line. Not to be changed."""
    where = tmp_path_factory.mktemp("a $x$ <b>")
    (where / "held out.txt").write_text("\n".join(HELDOUT))
    before = Path.cwd()
    os.chdir(where)
    texts = [f"{key}={text}" for key, text in SHORT.items()]
    assert invoke([*texts, "heldout_texts=held out.txt", *SMALL, "step_limit=12"]) == 0
    os.chdir(before)
    return next(where.glob("outputs/*/*"))


@pytest.fixture
def run(made, tmp_path, monkeypatch):
    """A copy of the run, in the working directory."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(made, tmp_path / "outputs" / "day" / made.name))

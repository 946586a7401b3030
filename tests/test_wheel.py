"""The built sdist, and its wheel, installed where nothing of the checkout is, with a user's own strategy beside it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT, SHORT

pytestmark = pytest.mark.long  # a build, an installation, and five processes that import kvw

PAGE = (ROOT / "docs" / "extend" / "strategy.md").read_text("utf-8")


def block(language: str, within: str) -> str:
    """The block of code in the manual's page on strategies that has ``within``."""
    return next(code for code in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if within in code)


def built(source: Path, folder: Path) -> Path:
    """The wheel of a checkout or of an sdist."""
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, source]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("kvw-*.whl"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    return next(folder.glob("kvw-*.tar.gz"))


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory) -> Path:
    """Built from the sdist, as whoever has no wheel does."""
    return built(sdist, tmp_path_factory.mktemp("wheel"))


def test_the_sdist_has_all_that_the_makefile_needs_and_makes_the_wheel_of_the_checkout(sdist, wheel, tmp_path):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in (
        "Makefile",
        "constraints.txt",
        "constraints-extras.txt",
        "docs/conf.py",
        "examples/evolve.py",
        "tests/conftest.py",
    ):
        assert name in names
    assert not [name for name in names if name.startswith(("outputs/", "voices/", "build/"))]
    assert zipfile.ZipFile(wheel).namelist() == zipfile.ZipFile(built(ROOT, tmp_path)).namelist()


def test_the_wheel_carries_configs_strategies_and_data_and_no_tests(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in (
        "kvw/conf/kvw.yaml",
        "strategies/random_walk.py",
        "kvw/data/demo.txt",
        "kvw/data/stock_voices.npz",
        "kvw/conf/language/z.yaml",
        "kvw/reports/templates/page.html.j2",
        "kvw/py.typed",
    ):
        assert name in names
    assert not [name for name in names if name.startswith(("tests/", "conf/", "outputs/", "voices/"))]
    assert "strategies/__init__.py" not in names


def test_the_wheel_runs_in_an_empty_folder_and_finds_a_users_strategy(wheel, tmp_path):
    site, work = tmp_path / "site", tmp_path / "some where"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", site, wheel]
    subprocess.run(command, check=True, capture_output=True)
    (work / "strategies").mkdir(parents=True)
    (work / "conf" / "strategy").mkdir(parents=True)
    (work / "strategies" / "mine.py").write_text(block("python", "class Mine"))
    (work / "conf" / "strategy" / "mine.yaml").write_text(block("yaml", "strategies.mine.Mine"))
    environment = {
        **os.environ,
        "PYTHONPATH": f"{site}{os.pathsep}{os.environ['PYTHONPATH']}",
    }  # comes before the checkout, which is installed editable

    def kvw(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, site / "bin" / "kvw", *arguments],
            capture_output=True,
            text=True,
            cwd=work,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = "import kvw, strategies.random_walk as s; print(kvw.__file__, s.__file__)"
    found = subprocess.run([sys.executable, "-c", where], capture_output=True, text=True, cwd=work, env=environment)
    assert found.stdout.count(str(site)) == 2
    listed = kvw("--help").partition("Strategies (")[2].partition("\n\n")[0]
    assert {"mine", "random_walk"} <= set(re.findall(r"^  (\w+)", listed, re.MULTILINE))
    check = block("python", "check_strategy") + "test_mine()"
    subprocess.run([sys.executable, "-c", check], check=True, cwd=work, env=environment)
    texts = [f"{key}={text}" for key, text in SHORT.items()]
    out = kvw("strategy=mine", "synth=embedded", "step_limit=3", "population_limit=2", *texts)
    (best,) = work.glob("outputs/*/*-demo-mine-0/best.pt")
    assert str(best) in out
    assert f"Report: {best.with_name('report.html')}" in out

"""The README and the manual: what they tell a reader to type does what they say."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from kvw import errors
from kvw.config.arguments import MULTIRUN, quoted, with_task
from kvw.config.invocation import compose, keys
from kvw.config.nodes import bound
from kvw.config.paths import DEMO
from kvw.config.schema import plain
from kvw.speech.embedded.stock_voices import stock_voices
from kvw.types import EMBEDDED
from kvw.voices.files import load_voice, save_voice, synthesizer_of
from tests.conftest import ROOT

README, DOCS = ROOT / "README.md", ROOT / "docs"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
FIRST = [README, DOCS / "quickstart.md"]
"""The pages of which every block runs."""


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of code in a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[list[str]]:
    """The arguments of every ``python -m kvw`` in a page's shell blocks."""
    lines = [line for block in blocks(page, "bash") for line in block.replace("\\\n", " ").splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [line[3:] for line in words if line[:3] == ["python", "-m", "kvw"]]


def test_the_readme_is_short():
    assert len(README.read_text("utf-8").splitlines()) < 160


@pytest.mark.long
@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.name)
def test_every_command_of_the_manual_is_one_that_kvw_takes(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for arguments in commands(page):
        if "--help" in arguments:
            continue
        multirun = not MULTIRUN.isdisjoint(arguments)
        ready = [word for word in quoted(with_task(arguments)) if word not in MULTIRUN]
        # Hydra's plugins are extras: tests/cli/test_sweep.py runs them
        parsed = OverridesParser.create().parse_overrides([word for word in ready if not word.startswith("hydra")])
        swept = [override for override in parsed if override.is_sweep_override()]
        assert multirun or not swept, arguments
        cfg = compose(*(override.input_line for override in parsed if override not in swept)).cfg
        assert {override.key_or_group for override in swept if "." in override.key_or_group} <= set(
            keys(*(override.input_line for override in parsed if override not in swept))
        )
        bound(plain(cfg.task), "task")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_the_manual_names_is_there(page):
    text = page.read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    for target in re.findall(r"(?:^|`)make ([a-z][a-z-]*)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for extra in re.findall(r"kvw\[(\w+)\]", text):
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE), extra
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", re.sub("`[^`\n]*`", "", text)):
        assert (page.parent / link).exists(), link
    for code in blocks(page, "python"):
        ast.parse(code)
    for code in blocks(page, "yaml"):
        assert OmegaConf.create(code)


def test_the_manual_has_every_exit_code():
    rows = re.findall(
        r"^\| (\d+) \| `(EXIT_\w+)`", (DOCS / "reference" / "exit_codes.md").read_text("utf-8"), re.MULTILINE
    )
    assert {name: int(code) for code, name in rows} == {
        name: code for name, code in vars(errors).items() if name.startswith("EXIT_")
    }


def test_the_first_python_example_is_the_same_wherever_it_stands():
    (code,) = blocks(README, "python")
    assert [blocks(page, "python")[0] for page in (DOCS / "quickstart.md", DOCS / "python.md")] == [code, code]


@pytest.mark.long
def test_the_python_example_evolves_a_voice_as_it_stands(tmp_path):
    (code,) = blocks(README, "python")
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


SERVED = "task=web"
"""Runs until it is ended: tests/web/test_page.py serves it."""

PRETENDED = {"target_audio=me.wav": ["synth=embedded", "dry_run=true"], "task=export": ["task.gender=f"]}
"""What is added to a command for the test: a search takes minutes, and hearing a gender takes Kokoro's weights."""


@pytest.mark.long
def test_every_command_of_the_first_pages_runs(kvw, tmp_path, capsys):
    (tmp_path / "me.wav").write_bytes(DEMO.read_bytes())
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "me.txt").write_text("The old ferry leaves the harbour at seven.\n")  # so no Whisper is asked
    code, (run,) = kvw("synth=embedded", "step_limit=2", "population_limit=2")
    assert code == 0
    for arguments in [command for page in FIRST for command in commands(page)]:
        if SERVED in arguments:
            continue
        kokoro = "task=export" in arguments
        voice = next(iter(stock_voices().values())) if kokoro else load_voice(run / "best.pt")
        save_voice(tmp_path / "best.pt", voice, {"synthesiser": "kokoro" if kokoro else EMBEDDED})
        added = [word for key, words in PRETENDED.items() if key in arguments for word in words]
        code, _ = kvw(*arguments, *added)
        assert code == 0, (arguments, capsys.readouterr().err)
    assert {path.name for path in tmp_path.glob("out*.wav")} == {"out.wav"}
    assert (tmp_path / "outputs" / "exported" / "voices.bin").exists()

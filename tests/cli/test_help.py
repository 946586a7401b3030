"""The page that --help prints."""

from __future__ import annotations

import subprocess
import sys

from kvw.cli.main import invoke
from kvw.config.paths import CONF


def test_help_is_a_page_of_tasks_choices_arguments_and_examples(tmp_path):
    (tmp_path / "conf" / "strategy").mkdir(parents=True)
    (tmp_path / "conf" / "strategy" / "mine.yaml").write_text(
        "# My own idea. It is a secret.\n_target_: strategies.mine.M\n"
    )
    done = subprocess.run([sys.executable, "-m", "kvw", "--help"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    for task in CONF.glob("task/*.yaml"):
        assert any(line.startswith(f"{task.stem} ") for line in lines), task
    assert "mine My own idea." in lines
    assert "Strategies (strategy=NAME)" in lines
    assert any(line.startswith("step_limit=10000 candidates to evaluate") for line in lines)
    assert sum(line.startswith("python -m kvw ") and "=" in line for line in lines) >= 5
    assert max(map(len, done.stdout.splitlines())) <= 120
    assert [path.name for path in tmp_path.iterdir()] == ["conf"]


def test_help_on_a_choice_prints_its_settings_with_their_comments(capsys):
    assert invoke(["--help", "strategy=genetic"]) == 0
    said = capsys.readouterr().out
    assert "size: 24 #" in said and "_target_: strategies.genetic.Genetic" in said


def test_help_does_not_wait_for_heavy_imports():
    code = (
        "import sys, kvw.cli.main; print([m for m in ('torch', 'librosa', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

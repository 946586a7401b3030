"""Sweeps: several jobs in one command, their table and figure, and what happens when one of them fails."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from datetime import datetime

import numpy as np
import pytest
import yaml
from PIL import Image

from kvw.cli.main import invoke
from kvw.cli.sweep import record
from kvw.cli.sweep_figure import MAX_DRAWN, figure
from kvw.cli.sweep_table import Job, as_csv, collect, grouped, swept, table
from kvw.runs.result import FIGURES
from tests.conftest import SHORT

TINY = [
    "synth=embedded",
    "report=false",
    "judges=none",
    "step_limit=3",
    "population_limit=2",
    *(f"{key}={text}" for key, text in SHORT.items()),
]
MODELS = "kvw.config.fitness.SpeakerEncoder"


@pytest.fixture
def kvw(tmp_path, monkeypatch):
    """Runs a tiny sweep in an empty folder, in this process; gives the exit status and the folders of sweeps."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "held out.txt").write_text("Nobody was there.\n")

    def run(*arguments):
        code = invoke(["-m", *TINY, "heldout_texts=held out.txt", *arguments])
        return code, sorted(tmp_path.glob("outputs/*/*"))

    return run


def rows(folder):
    with (folder / "sweep.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def job(number, error=None, score=0.0, **overrides):
    """A job as :func:`kvw.cli.sweep.collect` finds it."""
    told = {key.replace("__", "."): str(value) for key, value in overrides.items()}
    measured = {} if error else {**dict.fromkeys(FIGURES, 0.5), "score": score}
    return Job(number, told, error, f"{number}/run", measured)


def draw(jobs):
    keys = swept(jobs)
    image = figure(grouped(jobs, keys), [key for key in keys if key != "seed"])
    return Image.open(io.BytesIO(image)).convert("L")


def test_a_sweep_goes_on_past_a_failed_job_and_ends_with_a_table_and_a_figure(kvw, capsys, monkeypatch):
    from kvw.config.fitness import SpeakerEncoder, _models

    made = []
    encoder = SpeakerEncoder
    monkeypatch.setattr(MODELS, lambda *given: made.append(given) or encoder(*given))
    _models.cache_clear()
    code, (folder,) = kvw("space=elementwise,coherent", "stop_score=200,100", "seed=7")
    assert code == 1
    assert len(made) == 1, "models are loaded once, not per job"

    found = rows(folder)
    assert [row["status"] for row in found] == ["failed", "done", "failed", "done"]
    assert [(row["space"], row["stop_score"]) for row in found] == [
        ("elementwise", "200"),
        ("elementwise", "100"),
        ("coherent", "200"),
        ("coherent", "100"),
    ]
    for row in found:
        if row["status"] == "failed":
            assert row["error"].startswith("stop_score: expected a score in (0, 100]")
            assert row["score"] == row["run"] == ""
            continue
        result = json.loads((folder / row["run"] / "result.json").read_text())
        stock, *_, best = result["voices"].values()
        assert float(row["score"]) == best["score"]
        assert float(row["target_similarity"]) == best["target_similarity"]
        assert float(row["heldout"]) == pytest.approx(np.mean(best["heldout"]))
        assert (float(row["stock_score"]), float(row["stock_heldout"])) == (
            stock["score"],
            pytest.approx(np.mean(stock["heldout"])),
        )
        for name in ("evaluations", "synthesised_seconds", "seconds"):
            assert float(row[name]) == result[name]

    out = capsys.readouterr().out
    text = (folder / "sweep.txt").read_text()
    assert text in out
    assert "\njob 0 failed: stop_score: " in text
    for name in ("sweep.csv", "sweep.txt", "sweep.png"):
        assert (folder / name).exists()
        assert name in out.splitlines()[-1]
    drawn = np.asarray(Image.open(folder / "sweep.png").convert("L"))
    assert drawn.min() < 50
    assert drawn.std() > 10, "not blank"


def test_a_sweep_of_failed_jobs_alone_has_a_table_and_no_figure(kvw):
    code, (folder,) = kvw("stop_score=200,300")
    assert code == 1
    assert [row["status"] for row in rows(folder)] == ["failed", "failed"]
    assert not (folder / "sweep.png").exists()


def test_several_problems_of_a_job_are_one_line(kvw, capsys):
    _, (folder,) = kvw("stop_score=200", "step_limit=0")
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Job 0 failed: ")]
    assert "stop_score" in line
    assert "step_limit" in line
    assert rows(folder)[0]["error"] == line.removeprefix("Job 0 failed: ")


def test_a_dry_run_of_a_sweep_leaves_nothing(kvw, tmp_path, capsys):
    assert kvw("dry_run=true", "seed=1,2") == (0, [])
    assert "Sweep: " not in capsys.readouterr().out
    assert [path.name for path in tmp_path.rglob("*")] == ["held out.txt"]


def test_jobs_of_an_earlier_sweep_in_the_same_folder_are_not_counted(tmp_path):
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        record(tmp_path / str(number), number, ["seed=1"], None)
    earlier = [found.identity for found in collect(tmp_path)]
    record(tmp_path / "1", 1, ["seed=1"], None)
    assert [found.number for found in collect(tmp_path, earlier)] == [1]


def test_sweeps_that_begin_in_the_same_second_have_a_folder_each(kvw, monkeypatch):
    class Stopped:
        now = staticmethod(lambda: datetime(2026, 1, 2, 3, 4, 5))

    monkeypatch.setattr("hydra.core.utils.datetime", Stopped)
    kvw("stop_score=200,300")
    _, folders = kvw("stop_score=200,300,400")
    assert [(folder.name, len(rows(folder))) for folder in folders] == [("03-04-05-sweep", 2), ("03-04-05-sweep-2", 3)]
    assert (folders[1] / "2").is_dir() and not (folders[0] / "2").exists()


def test_the_table_has_mean_and_sample_deviation_over_seeds():
    jobs = [
        job(0, score=70, sigma=0.1, seed=1),
        job(1, score=72, sigma=0.1, seed=2),
        job(2, score=77, sigma=0.1, seed=3),
        job(3, score=80, sigma=0.2, seed=1),
        job(4, "too bad", sigma=0.2, seed=2),
        job(5, "too bad", sigma=0.3, seed=1),
    ]
    keys = swept(jobs)
    assert keys == ["sigma", "seed"]
    head, first, second, third, *failed = table(grouped(jobs, keys), ["sigma"]).splitlines()
    assert head.split() == ["sigma", "jobs", "score", "held-out", "evaluations", "synthesised", "s"]
    assert first.split()[:5] == ["0.1", "3", "73.00", "±", "3.61"], "sqrt((9 + 1 + 16) / 2)"
    assert second.split()[:3] == ["0.2", "1", "80.00"]
    assert third.split() == ["0.3", "0", "-", "-", "-", "-"]
    assert failed == ["job 4 failed: too bad", "job 5 failed: too bad"]
    assert len({len(line) for line in (head, first)}) == 1, "columns are aligned"


def test_what_all_jobs_share_is_no_column_and_hydras_quotes_and_signs_are_not_part_of_a_value(tmp_path):
    overrides = (["+strategy.x=1", "target_text='it\\'s, a'", "synth=embedded"], ["+strategy.x=2", "target_text=b"])
    for number, told in enumerate(overrides):
        (tmp_path / str(number)).mkdir()
        record(tmp_path / str(number), number, [*told, "device=cpu"], "no")
    jobs = collect(tmp_path)
    assert swept(jobs) == ["strategy.x", "target_text", "synth"]
    head, first, _ = csv.reader(io.StringIO(as_csv(jobs)))
    assert head[:4] == ["job", "strategy.x", "target_text", "synth"]
    assert first[:5] == ["0", "1", "it's, a", "embedded", "failed"]


@pytest.mark.parametrize("settings", [1, 3, 40, 60])
def test_a_figure_of_any_number_of_settings_keeps_its_labels_inside(settings):
    names = [f"a long folder/of clips ${number}_$$ {'and more ' * 9}/clip {number}.wav" for number in range(settings)]
    jobs = [
        job(2 * number + seed, score=70 + number % 7 + seed, target_audio=name, strategy__mutation__sigma=1, seed=seed)
        for number, name in enumerate(names)
        for seed in range(2)
    ]
    drawn = np.asarray(draw(jobs))
    height, width = drawn.shape
    lines = 1.6 * min(settings, MAX_DRAWN)
    assert height == int(120 * (1.6 + 0.2 * max(lines, 4)))
    assert 960 < width < 1800
    border = np.concatenate([drawn[0], drawn[-1], drawn[:, 0], drawn[:, -1]])
    assert (border == 255).all()
    assert (drawn < 100).sum() > 500


def command(*arguments):
    return [sys.executable, "-m", "kvw", "-m", *TINY, *arguments]


@pytest.mark.extras
def test_jobs_side_by_side_have_the_results_that_they_have_one_after_the_other(kvw, tmp_path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    chosen = ["heldout_texts=held out.txt", "stop_score=99,200", "seed=1,2"]
    code, (plain,) = kvw(*chosen[1:], "hydra.sweep.dir=outputs/one/after")
    assert code == 1
    done = subprocess.run(
        command("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweep.dir=outputs/side/by", *chosen),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if key != "PYTORCH_ENABLE_MPS_FALLBACK"},
    )
    assert done.returncode == 1, done.stderr
    folder = tmp_path / "outputs" / "side" / "by"
    for left, right in zip(rows(plain), rows(folder), strict=True):
        del left["seconds"], right["seconds"]
        assert left == right
    assert [row["status"] for row in rows(folder)] == ["done", "done", "failed", "failed"]
    assert "[2] Job 2 failed: stop_score" in done.stdout
    assert (folder / "sweep.txt").read_text() in done.stdout


@pytest.mark.extras
def test_optuna_looks_for_the_highest_score(kvw):
    pytest.importorskip("optuna")
    settings = ["space=choice(elementwise,coherent)", "fitness.gates.target.margin=interval(0.9,1.0)"]
    optuna = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=4", "hydra.sweeper.sampler.seed=3"]
    code, (folder,) = kvw(*optuna, "hydra.sweeper.direction=maximize", *settings)
    assert code == 0
    found = rows(folder)
    assert len(found) == 4
    assert len({row["fitness.gates.target.margin"] for row in found}) == 4
    best = yaml.safe_load((folder / "optimization_results.yaml").read_text())
    assert best["best_value"] == max(float(row["score"]) for row in found)


@pytest.mark.extras
def test_optuna_goes_on_past_failed_jobs_and_a_sweep_for_the_lowest_score_is_warned_of(kvw, capsys):
    pytest.importorskip("optuna")
    code, (folder,) = kvw("hydra/sweeper=optuna", "hydra.sweeper.n_trials=2", "stop_score=range(200,300)")
    assert code == 1
    assert [row["status"] for row in rows(folder)] == ["failed", "failed"]
    assert "add hydra.sweeper.direction=maximize" in capsys.readouterr().out

"""Strategies chained by config, through the command line, on real speech."""

from __future__ import annotations

import json
import sqlite3

import numpy as np
import pytest

from kvw.config.invocation import options
from kvw.config.paths import CONF
from kvw.voices.files import load_voice

TINY = ["synth=embedded", "population_limit=3"]
EXPERIMENT = """# @package _global_
defaults:
  - /strategy@stages.explore.strategy: random_search
  - /space@stages.explore.space: pca
  - /strategy@stages.refine.strategy: sep_cma
  - /space@stages.refine.space: coherent
stages:
  explore:
    strategy:
      batch: 4
    step_limit: 8
step_limit: 19
"""


def recorded(folder):
    """The generations of a run: how many candidates each has."""
    with sqlite3.connect(folder / "run.db") as db:
        return [count for (count,) in db.execute("SELECT count(*) FROM candidates GROUP BY generation")]


def test_interpolation_saves_what_it_found_and_its_follower_takes_over(kvw, bank):
    code, (folder,) = kvw(*TINY, "strategy=interpolation", "strategy.step=0.5", "step_limit=4")
    assert code == 0
    pairs, positions = 3, 7
    assert recorded(folder) == [positions] * pairs + [1] * 4
    saved = sorted((folder / "interpolated").glob("*.pt"))
    assert saved
    base = json.loads((folder / "best.json").read_text())["base_voices"]
    for path in saved:
        facts = json.loads(path.with_suffix(".json").read_text())
        one, two = (bank[base[int(facts["notes"][key])]] for key in ("Voice", "Other"))
        line = (one + two) / 2 + (one - two) * (facts["notes"]["Position"] / 2)
        assert np.allclose(load_voice(path), line, atol=1e-6)
        assert path.with_suffix(".wav").exists()
        assert not any(np.array_equal(load_voice(path), voice) for voice in bank.values())


@pytest.mark.long
def test_interpolate_start_and_then_are_two_words_for_one_chain(kvw):
    settings = [*TINY, "population_limit=2", "step_limit=12"]
    _, (asked,) = kvw(*settings, "interpolate_start=true", "strategy=random_search")
    _, (chained,) = kvw(*settings, "strategy=interpolation", "strategy.then=random_search", "space=coherent")
    assert recorded(asked) == recorded(chained) == [31, 10, 10]


def test_a_strategy_with_a_limit_gives_way_to_the_one_in_then(kvw):
    limits = ["strategy=random_search", "strategy.batch=4", "strategy.step_limit=8", "strategy.then=random_walk"]
    code, (folder,) = kvw(*TINY, *limits, "step_limit=11")
    assert code == 0
    assert recorded(folder) == [4, 4, 1, 1, 1]


def test_a_stage_that_will_have_no_turn_is_warned_of(kvw, capsys):
    limits = ["strategy=random_search", "strategy.step_limit=8", "strategy.then=random_walk"]
    assert kvw(*TINY, *limits, "step_limit=8", "dry_run=true") == (0, [])
    assert "step_limit 8 is spent before the last stage, random_walk, has its turn" in capsys.readouterr().out


def test_a_users_experiment_chains_stages_in_its_order(kvw, tmp_path):
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text(EXPERIMENT)
    code, (folder,) = kvw(*TINY, "experiment=mine")
    assert code == 0
    assert folder.name.endswith("-demo-mine-0")
    assert recorded(folder) == [4, 4, 11]
    assert "refine:" in (folder / "kvw.log").read_text()


def test_nsga2_saves_its_front(kvw):
    code, (folder,) = kvw(*TINY, "strategy=nsga2", "strategy.size=4", "step_limit=12")
    assert code == 0
    scores = [json.loads(path.read_text())["scores"] for path in sorted((folder / "front").glob("*.json"))]
    front = [tuple(one[f"{name}_similarity"] for name in ("target", "self", "feature")) for one in scores]
    assert front
    assert not any(all(a >= b for a, b in zip(one, two, strict=True)) for one in front for two in front if one != two)
    with sqlite3.connect(folder / "run.db") as db:
        assert {status for (status,) in db.execute("SELECT DISTINCT status FROM candidates")} == {"complete"}


@pytest.mark.parametrize("name", options("experiment"))
def test_every_experiment_of_ours_begins_with_the_command_that_runs_it_and_composes(kvw, name, capsys):
    lines = (CONF / "experiment" / f"{name}.yaml").read_text().splitlines()
    assert f"# python -m kvw experiment={name}" in lines[1]
    assert kvw(*TINY, f"experiment={name}", "executor=local", "dry_run=true") == (0, [])
    assert f"Search: {name}, up to" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["strategy.then=sep_cam"], "strategy.then: there is no strategy 'sep_cam'; did you mean sep_cma?"),
        (["strategy=genetic", "strategy.then=random_walk"], "genetic: expected a step_limit, since another strategy"),
        (["strategy=genetic", "strategy.step_limit=0"], "strategy.step_limit: expected 1 or more, or null; got 0"),
        (["+stages.one.strategy=cma", "+stages.one.space=pca"], "stages.one: expected the configs strategy and space"),
        (["strategy=genetic", "strategy.selection.size=2.5"], "strategy.selection.size: expected int; got 2.5"),
        (["strategy.then=random_walk"], "strategy.then: random_walk -> random_walk goes in a circle"),
        (
            ["strategy=interpolation", "interpolate_start=true"],
            "interpolate_start: strategy=interpolation is that start",
        ),
        (["strategy=interpolation", "population_limit=1"], "strategy: expected two stock voices"),
        (["experiment=quick", "strategy=cma"], "strategy: experiment=quick chooses its own"),
        (["experiment=quick", "interpolate_start=true"], "interpolate_start: experiment=quick chooses its own"),
        (["strategy=cma", "space=elementwise"], "use strategy=sep_cma"),
        (
            ["strategy=genetic", "strategy.selection.name=rank"],
            "expected tournament, best, lexicase, random; got 'rank'",
        ),
        (["strategy=genetic", "strategy.crossover.name=x"], "expected blend, simulated_binary, spherical, halves"),
        (["strategy=genetic", "strategy.mutation.sigma=-1"], "mutation.sigma: expected a number from"),
        (["space=pca", "space.components=0"], "components: expected 1 or more; got 0"),
        (["space=pac"], "space: there is no space 'pac'; did you mean pca?"),
        (["+stages.one.space=1"], "stages.one: expected the configs strategy and space, and step_limit"),
    ],
)
def test_a_chain_that_can_not_be_made_is_one_line(kvw, arguments, line, capsys):
    assert kvw("synth=embedded", *arguments) == (2, [])
    error = capsys.readouterr().err
    assert line in error
    assert error.count("\n") == 1


def test_more_seeds_than_stock_voices_is_said_and_the_bank_is_used(kvw, capsys):
    assert kvw("synth=embedded", "population_limit=99", "dry_run=true") == (0, [])
    assert "population_limit is 99, the stock voices are 24: all are used" in capsys.readouterr().out

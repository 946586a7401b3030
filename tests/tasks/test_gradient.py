"""A search along gradients through the command line: what it records, how it goes on, and where it is refused."""

from __future__ import annotations

import os

import numpy as np
import pytest

from kvw.cli.main import invoke
from kvw.fitness.gradient import COST
from kvw.runs.reader import Run
from kvw.runs.statistics import history
from kvw.runtime.workers import limit_threads
from kvw.speech.embedded.synthesizer import EmbeddedSynthesizer
from tests.support.records import differences
from tests.tasks.test_resume import start, wait_for

CLIMB = (
    *("synth=embedded", "judges=none", "population_limit=2", "fitness=averaged", "report=false"),
    *("strategy=gradient", "strategy.steps=4", "strategy.texts=2", "strategy.every=2"),
)


def test_gradients_are_recorded_beside_the_voices_that_are_heard_in_full(kvw):
    code, (folder,) = kvw(*CLIMB)
    assert code == 0
    run = Run(folder)
    statuses = [sample.evaluation.status for sample in run.candidates()]
    assert statuses.count("gradient") == 8
    assert len(statuses) == 10
    measured = [one for _, one in run.utterances() if one.gradient is not None]
    assert len(measured) == 8
    assert all(np.linalg.norm(one.embedding) == pytest.approx(1) and one.gradient.any() for one in measured)
    gradients = [sample.evaluation for sample in run.candidates() if sample.evaluation.status == "gradient"]
    heard = sorted(COST * one.seconds for one in measured)
    assert sorted(one.synthesised for one in gradients) == pytest.approx(heard)
    assert len(run.training().steps) == 2
    assert "8 gradients" in str(history(run).tally)
    assert "10 candidates (8 gradients)" in (folder / "summary.txt").read_text()
    best = run.best
    assert best is not None and best[1].complete


def test_it_gets_nearer_than_it_began(kvw):
    _, (folder,) = kvw(*CLIMB[:-2], "strategy.texts=1", "strategy.every=6", "strategy.steps=6", "strategy.prior=0")
    found = [one.evaluation.target_similarity for one in Run(folder).candidates()]
    assert np.mean(found[3:6]) > found[0]


def test_a_dry_run_knows_that_most_candidates_are_gradients(kvw, capsys):
    assert kvw(*CLIMB, "dry_run=true")[0] == 0
    assert "Search: gradient, up to 10 candidates, about" in capsys.readouterr().out


def test_a_step_limit_ends_it_and_a_larger_one_takes_it_on_as_if_it_had_been_that(kvw):
    _, (whole,) = kvw(*CLIMB)
    _, runs = kvw(*CLIMB, "step_limit=3")
    (cut,) = [run for run in runs if run != whole]
    assert kvw(f"resume={cut}", "step_limit=10000")[0] == 0
    assert not differences(cut, whole)


def test_the_threads_that_a_process_had_before_change_no_bit(kvw):
    arguments = (*CLIMB[:-2], "strategy.texts=1", "strategy.every=2", "strategy.steps=2")
    _, (one,) = kvw(*arguments)
    limit_threads(2)
    _, (other,) = kvw(*arguments)
    assert not differences(one, other)


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_one_that_is_killed_between_two_gradients_goes_on_in_processes_bit_for_bit(kvw, tmp_path, monkeypatch):
    _, (whole,) = kvw(*CLIMB)
    where = tmp_path / "killed #1"
    where.mkdir()
    (where / "held out.txt").write_text("Nobody was there.\n")
    arguments = list(CLIMB)
    for count in (3, 7):
        process = start(where, *arguments)
        wait_for(where, "candidates", count, process)
        process.kill()
        process.communicate()
        arguments = ["resume=last"]
    (run,) = (path.parent for path in where.glob("outputs/*/*/run.db"))
    monkeypatch.chdir(where)
    assert invoke([f"resume={run}", "executor=processes", "executor.workers=2"]) == 0
    assert not differences(run, whole)


@pytest.mark.parametrize("arguments", [("strategy=gradient",), ("experiment=quick",)])
def test_a_synthesiser_without_gradients_is_refused_by_name_before_anything_is_searched(
    kvw, arguments, monkeypatch, capsys
):
    monkeypatch.delattr(EmbeddedSynthesizer, "vjp")
    assert kvw("synth=embedded", *arguments) == (2, [])
    assert "synth: expected one that can be differentiated" in capsys.readouterr().err


def test_a_space_that_tears_rows_apart_is_refused_by_name(kvw, capsys):
    assert kvw("synth=embedded", "strategy=gradient", "space=elementwise") == (2, [])
    assert "expected a space that moves all rows of a voice together" in capsys.readouterr().err

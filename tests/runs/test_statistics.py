"""Counts, histories and maps of recorded runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kvw.runs.reader import Run
from kvw.runs.statistics import NEAREST, Tally, history, map_of, mean_row
from tests.support.recorded import STEPS


def test_a_tally_counts_what_the_search_counted(made):
    archive = made[1].archive
    tally = Tally()
    assert len(list(tally.count(Run(made[0]).candidates()))) == tally.steps == tally.generations == STEPS
    assert (tally.complete, tally.stopped.total(), tally.failed.total()) == (
        archive.complete,
        archive.stopped,
        archive.failed,
    )
    assert tally.failed == {"silent": archive.failed}
    assert tally.seconds == archive.synthesised
    assert str(tally).startswith(f"{archive.complete} complete, {archive.stopped} stopped (target {archive.stopped})")


def test_a_history_has_the_best_score_so_far_at_every_candidate(made):
    past = history(Run(made[0]))
    assert past.steps.tolist() == list(range(STEPS))
    assert past.seconds[-1] == past.tally.seconds
    assert past.best[-1] == made[1].archive.best.evaluation.score == np.nanmax(past.best)
    known = past.best[~np.isnan(past.best)]
    assert (np.diff(known) >= 0).all()
    assert past.scores[past.better].tolist() == [sample.evaluation.score for sample in past.tally.better]
    assert past.first.step == 0
    assert past.parts["target"].tolist() == [sample.evaluation.parts["target"] for sample in past.tally.better]


def test_a_map_has_the_stock_voices_and_the_way_to_the_result(made):
    run = Run(made[0])
    past = history(run)
    # the landscape's stock voices differ in one number alone, and span no plane
    rng = np.random.default_rng(0)
    stock = [replace(voice, rows=rng.standard_normal(voice.rows.shape).astype(np.float32)) for voice in run.stock]
    plane = map_of(stock, past)
    ranked = [voice for voice in stock if voice.ranking == "ranked"]
    assert plane.names == [voice.name for voice in ranked]
    assert plane.stock.shape == (len(ranked), 2)
    assert plane.way.shape == (len(past.tally.better), 2)
    assert plane.stock.mean(axis=0) == pytest.approx(0, abs=1e-6)
    assert list(plane.nearest.values()) == sorted(plane.nearest.values())
    assert len(plane.nearest) == min(NEAREST, len(ranked))
    assert mean_row(ranked[0]).shape == (256,)


def test_fewer_than_three_stock_voices_have_no_map(made):
    run = Run(made[0])
    assert map_of([voice for voice in run.stock if voice.ranking == "ranked"][:2], history(run)) is None

"""Training data, from records of searches without speech."""

from __future__ import annotations

import numpy as np

from kvw.runs import folders
from kvw.runs.reader import Run
from kvw.runs.store import Store
from tests.support.recorded import STEPS, facts


def test_training_data_are_the_rows_that_were_heard_and_what_was_measured(made):
    run = Run(made[0])
    scored = [one for one in run.candidates() if not one.evaluation.failed]
    data = run.training()
    assert (data.rows.shape, data.rows.dtype) == ((len(scored), 2, 256), np.float32)
    assert (data.parts.shape, data.parts.dtype) == ((len(scored), 3), np.float64)
    assert data.target_similarity.dtype == np.float64
    assert data.names == ("target", "self", "feature")
    assert data.steps.tolist() == [one.step for one in scored]
    for at, one in enumerate(scored):
        assert np.array_equal(data.rows[at], one.rows)
        assert data.target_similarity[at] == one.evaluation.target_similarity
        known = dict(zip(data.names, data.parts[at].tolist(), strict=True))
        assert {name: value for name, value in known.items() if not np.isnan(value)} == one.evaluation.parts
    assert np.isnan(data.parts).any()
    everything = run.training(failed=True)
    assert len(everything.steps) == STEPS
    assert (everything.target_similarity == -1).sum() == STEPS - len(scored)


def test_a_run_without_candidates_has_empty_training_data_of_the_right_shapes(tmp_path):
    store = Store.create(tmp_path / folders.RECORD, facts())
    store.close()
    run = Run(tmp_path)
    data = run.training()
    assert (data.rows.shape, data.parts.shape, data.names) == ((0, 2, 256), (0, 0), ())
    assert (run.steps, run.generations, run.best, run.stock, run.stock_score) == (0, 0, None, [], None)

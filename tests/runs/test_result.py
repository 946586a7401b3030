"""``result.json`` is read as it was written, and figures are text."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kvw.errors import EXIT_CORRUPT, KvwError
from kvw.evaluation import Evaluation
from kvw.runs.result import (
    FIGURES,
    compared,
    figures_line,
    read_figures,
    read_heldout,
    result_figures,
    result_json,
    summary,
)
from tests.support.recorded import STEPS


@pytest.fixture
def written(made, tmp_path):
    """The path of a recorded search's ``result.json``, its result, and the held-out similarities by label."""
    result = made[1]
    heldout = {label: [0.25 * number, 0.5] for number, label in enumerate(compared(result), start=1)}
    path = tmp_path / "result.json"
    path.write_text(result_json(result, heldout, {"target": "demo"}), encoding="utf-8")
    return path, result, heldout


def test_the_figures_of_a_result_are_read_as_they_were_written(written):
    path, result, heldout = written
    figures = read_figures(path)
    assert tuple(figures) == FIGURES
    assert figures["score"] == result.archive.best.evaluation.score
    assert figures["stock_score"] == result.baseline.evaluation.score
    assert (figures["evaluations"], figures["seconds"]) == (STEPS, result.seconds)
    assert figures["heldout"] == np.mean(list(heldout.values())[-1])
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["target"] == "demo"
    assert result_figures(content) == figures


def test_heldout_similarities_are_read_by_role(written):
    path, _, heldout = written
    stock, start, best = heldout.values()
    assert read_heldout(path) == {"stock": stock, "start": start, "best": best}
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["voices"]["start"]
    path.write_text(json.dumps(content), encoding="utf-8")
    assert read_heldout(path) == {"stock": stock, "best": best}


@pytest.mark.parametrize("read", [read_figures, read_heldout])
def test_a_run_without_a_result_has_no_figures_and_a_damaged_result_is_named(read, tmp_path):
    path = tmp_path / "result.json"
    assert read(path) == {}
    for content in ("", "[]", "{}", '{"voices": {}}', '{"voices": {"a": {"heldout": "high", "score": 1}}}'):
        path.write_text(content)
        with pytest.raises(KvwError, match="expected the figures of a run") as refused:
            read(path)
        assert refused.value.code == EXIT_CORRUPT
        assert "\n" not in str(refused.value)


def test_the_summary_has_a_line_for_each_compared_voice(written):
    _, result, heldout = written
    lines = summary(result, heldout, {"Target": "demo"}).splitlines()
    assert lines[-1] == "Target: demo"
    for label, entry in compared(result).items():
        (line,) = [line for line in lines if line.startswith(label)]
        assert f"{entry.evaluation.score:.2f}" in line
        assert line.endswith(f"{np.mean(heldout[label]):.3f}")


def test_an_evaluation_is_one_line_by_kvoicewalks_names():
    complete = Evaluation("complete", 51.234, 0.5, {"target": 0.5, "other": 0.25})
    assert figures_line(complete, {"Diversity": 2.0}) == "Target Sim: 0.500, other: 0.250, Score: 51.23, Diversity: 2"
    assert figures_line(Evaluation("silent", detail="the audio is silent")) == "silent the audio is silent"

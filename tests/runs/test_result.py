"""``result.json`` is read as it was written, and figures are text."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kvw.errors import EXIT_CORRUPT, KvwError
from kvw.evaluation import Evaluation
from kvw.runs.result import (
    FIGURES,
    IMPROVED,
    JUDGED,
    NOT_IMPROVED,
    UNCLEAR,
    HeldOutFigures,
    compared,
    figures_line,
    read_figures,
    read_heldout,
    read_phonemes,
    read_stock,
    read_verdict,
    result_figures,
    result_json,
    summary,
    verdict_of,
)
from tests.support.recorded import STEPS


@pytest.fixture
def written(made, tmp_path):
    """The path of a recorded search's ``result.json``, its result, and the held-out similarities by label."""
    result = made[1]
    heldout = {
        label: HeldOutFigures([0.25 * number, 0.5], 2.5 * number, 3.5 - 0.1 * number, 0.1 * number)
        for number, label in enumerate(compared(result), start=1)
    }
    path = tmp_path / "result.json"
    path.write_text(result_json(result, heldout, [24, 310], {"target": "demo"}), encoding="utf-8")
    return path, result, heldout


def test_the_figures_of_a_result_are_read_as_they_were_written(written):
    path, result, heldout = written
    figures = read_figures(path)
    assert set(figures) == set(FIGURES)
    assert figures["score"] == result.archive.best.evaluation.score
    assert figures["stock_score"] == result.baseline.evaluation.score
    assert (figures["evaluations"], figures["seconds"]) == (STEPS, result.seconds)
    stock, *_, best = heldout.values()
    assert (figures["heldout"], figures["word_errors"], figures["quality"]) == (best.similarity, 7.5, best.quality)
    assert (figures["stock_heldout"], figures["stock_word_errors"]) == (stock.similarity, 2.5)
    assert figures["stock_quality"] == stock.quality
    assert (figures["same_speaker"], figures["stock_same_speaker"]) == (best.same_speaker, stock.same_speaker)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["target"] == "demo"
    assert result_figures(content) == figures
    assert read_phonemes(path) == [24, 310] and read_stock(path) == result.baseline.name
    assert read_phonemes(path.with_name("other")) == [] and read_stock(path.with_name("other")) == ""


def test_what_nobody_measured_is_missing_and_not_shown(made, tmp_path):
    result, path = made[1], tmp_path / "result.json"
    heldout = dict.fromkeys(compared(result), HeldOutFigures([0.5]))
    path.write_text(result_json(result, heldout, [], {}), encoding="utf-8")
    assert set(FIGURES) - set(read_figures(path)) == {*JUDGED, *(f"stock_{name}" for name in JUDGED)}
    assert read_heldout(path)["best"] == HeldOutFigures([0.5])
    assert summary(result, heldout, {}).splitlines()[-1].split()[-4:] == ["0.500", "-", "-", "-"]


RECORDED = HeldOutFigures([0.636], 9.9, 3.42)
"""The best stock voice of a speaker: 27 of 273 words are heard wrong."""


def over(result, score):
    """The same result over a best stock voice with this score."""
    return replace(result, top=[replace(result.top[0], evaluation=Evaluation("complete", score))])


@pytest.mark.parametrize(
    ("best", "expected"),
    [
        (HeldOutFigures([0.775], 15.8, 3.29), UNCLEAR),  # 43 words
        (HeldOutFigures([0.775], 11.9, 3.27), IMPROVED),
        (HeldOutFigures([0.775], 12.0, 3.42), UNCLEAR),
        (HeldOutFigures([0.775], 9.9, 3.26), UNCLEAR),
        (HeldOutFigures([0.775], None, 3.27), IMPROVED),
        (HeldOutFigures([0.775], None, 3.26), UNCLEAR),
        (HeldOutFigures([0.775], 30.0, None), UNCLEAR),
        (HeldOutFigures([0.775]), IMPROVED),
    ],
)
def test_a_result_that_loses_words_or_quality_is_no_improvement(best, expected, made):
    assert verdict_of(over(made[1], 0.0), RECORDED, best) == expected
    assert verdict_of(over(made[1], 100.0), RECORDED, best) == NOT_IMPROVED


def test_the_verdict_is_in_the_result_and_the_summary(made, tmp_path):
    result, path = over(made[1], 0.0), tmp_path / "result.json"
    stock, *others = compared(result)
    heldout = {stock: RECORDED, **dict.fromkeys(others, HeldOutFigures([0.775], 15.8, 3.29))}
    path.write_text(result_json(result, heldout, [], {}), encoding="utf-8")
    content = json.loads(path.read_text())
    assert (content["improved"], content["verdict"], read_verdict(path)) == (False, UNCLEAR, UNCLEAR)
    assert summary(result, heldout, {}).startswith("nearer, less clear: ")


def test_heldout_similarities_are_read_by_role(written):
    path, _, heldout = written
    stock, start, best = heldout.values()
    assert read_heldout(path) == {"stock": stock, "start": start, "best": best}
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["voices"]["start"]
    path.write_text(json.dumps(content), encoding="utf-8")
    assert read_heldout(path) == {"stock": stock, "best": best}


@pytest.mark.parametrize("read", [read_figures, read_heldout, read_verdict])
def test_a_run_without_a_result_has_no_figures_and_a_damaged_result_is_named(read, tmp_path):
    path = tmp_path / "result.json"
    assert not read(path)
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
        assert line.split()[-4:] == list(heldout[label].cells())


def test_an_evaluation_is_one_line_by_kvoicewalks_names():
    complete = Evaluation("complete", 51.234, 0.5, {"target": 0.5, "other": 0.25})
    assert figures_line(complete, {"Diversity": 2.0}) == "Target Sim: 0.500, other: 0.250, Score: 51.23, Diversity: 2"
    assert figures_line(Evaluation("silent", detail="the audio is silent")) == "silent the audio is silent"

"""The comparison's own arithmetic, and one search of it."""

from __future__ import annotations

import pytest

from kvw.audio.recordings import hold_out
from kvw.config.paths import DEMO
from tests.benchmarks import compare
from tests.benchmarks.__main__ import TEXTS
from tests.conftest import default_fitness


def record(contender, points, target="1688", seed=0, synthesised=1000.0, baseline=(70.0, 0.6, 0.5)):
    score, similarity, heldout = baseline
    return {
        "contender": contender,
        "target": target,
        "seed": seed,
        "baseline": {"name": "af_a", "score": score, "target": similarity, "heldout": heldout},
        "points": [
            {"evaluations": e, "synthesised": s, "score": p, "target": t, "heldout": h} for e, s, p, t, h in points
        ],
        "evaluations": 450,
        "synthesised": synthesised,
        "stopped": 0.25,
        "seconds": 60.0,
    }


def test_a_row_has_medians_over_the_best_stock_voice_and_what_it_took_to_reach_the_walk():
    walks = [
        record("random_walk", [(10, 30.0, 60.0, 0.5, 0.5), (400, 900.0, 72.0, 0.62, 0.5)], target=target)
        for target in "abc"
    ]
    final = [(0.7, 0.65), (0.8, 0.6), (0.9, 0.8)]  # target similarity, held-out
    ours = [
        record(
            "quick", [(3, 10.0, 71.0, 0.6, 0.5), (20, 50.0, 72.0, 0.6, 0.5), (300, 700.0, 80.0, t, h)], target=target
        )
        for target, (t, h) in zip("abc", final, strict=True)
    ]
    ours[2]["points"] = [ours[2]["points"][-1]]
    named = dict(zip(compare.HEAD, compare.row(ours, {(one["target"], 0): one for one in walks}), strict=True))
    assert named["score"] == "80.0"
    assert named["scored gain"] == "+0.200"
    assert named["held-out gain"] == "+0.150"
    assert named["excess"] == "+0.000"  # of -0.05, 0.1 and 0
    assert named["evals to walk"] == "20"
    assert named["audio to walk"] == "0.05"


def test_a_contender_that_never_gets_there_says_so():
    walk = record("random_walk", [(400, 900.0, 72.0, 0.62, 0.5)])
    floor = record("random_search", [(1, 20.0, 71.9, 0.6, 0.5)])
    named = dict(zip(compare.HEAD, compare.row([floor], {("1688", 0): walk}), strict=True))
    assert named["audio to walk"] == named["evals to walk"] == "never"


def test_the_table_and_the_curves_are_made_of_all_contenders(tmp_path):
    records = [
        record(name, [(1, 20.0, 70.0 + gain, 0.6, 0.5), (90, 400.0, 72.0 + gain, 0.7, 0.6)], seed=seed)
        for name, gain in (("random_walk", 0.0), ("quick", 5.0))
        for seed in (0, 1)
    ]
    lines = compare.table(records).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["random_walk", "quick"]
    compare.draw(records, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.long
def test_a_cell_is_a_search_whose_voices_are_scored_by_the_default_fitness(tmp_path, embedded, encoder, demo, bank):
    recordings = (str(DEMO),)
    cell = compare.Cell("quick", ("experiment=quick",), recordings, "demo", 0, 6)
    seen = compare.run(cell)
    assert seen["evaluations"] >= 6
    assert seen["points"][-1]["evaluations"] <= 6
    texts = {"target_text": compare.composed([])[0].language.target_text, "other_text": TEXTS[1]}
    usual = default_fitness(synthesizer=embedded, encoder=encoder, target=[hold_out(demo)[0]], **texts)
    scores = {name: usual([voice])[0].score for name, voice in list(bank.items())[:3]}
    scores[seen["baseline"]["name"]] = usual([bank[seen["baseline"]["name"]]])[0].score
    assert max(scores, key=scores.get) == seen["baseline"]["name"]
    assert scores[seen["baseline"]["name"]] == pytest.approx(seen["baseline"]["score"])
    assert 0 < seen["points"][-1]["heldout"] < 1
    assert compare.path_of(cell, tmp_path) == compare.path_of(compare.replace(cell, recordings=("other",)), tmp_path)

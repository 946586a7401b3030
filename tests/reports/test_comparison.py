"""The arithmetic of a comparison, on figures with known answers."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from kvw.reports.comparison import OWN, STOCK, Cell, Comparison, Measure, as_csv, interval, tables

MEASURES = [
    Measure("heldout", "Held-out ↑", 3),
    Measure("words", "Words ↓", 1),
    Measure("cpu_seconds", "CPU", 0, False),
]


def cell(contender, speaker, seed, heldout, words=1.0, **more):
    figures = {"heldout": heldout, "words": words, "cpu_seconds": 60.0}
    return Cell(contender, speaker, seed, figures, "af_a", [(24, heldout), (310, heldout - 0.1)], "improved", **more)


STOCKS = {"a": cell("walk", "a", 0, 0.5), "b": cell("quick", "b", 1, 0.6)}
CELLS = [
    cell("walk", "a", 0, 0.50), cell("walk", "a", 1, 0.52), cell("walk", "b", 0, 0.60), cell("walk", "b", 1, 0.60),
    cell("quick", "a", 0, 0.70), cell("quick", "a", 1, 0.80), cell("quick", "b", 0, 0.90),
    Cell("quick", "b", 1, error="it broke"),
]  # fmt: skip
FOUND = Comparison(MEASURES, CELLS, STOCKS, {"a": {"heldout": 0.95}}, ["A remark."])


def test_gains_are_means_over_seeds_for_each_speaker():
    assert FOUND.gains("walk", "heldout") == pytest.approx([0.01, 0.0])
    assert FOUND.gains("quick", "heldout") == pytest.approx([0.25, 0.30])


def test_contenders_are_paired_by_speaker_and_seed():
    assert FOUND.between("quick", "walk", "heldout") == pytest.approx([0.24, 0.30])  # seed 1 of b is lacking
    assert FOUND.between("quick", "walk", "nothing") == []


def test_the_interval_covers_the_mean_and_is_the_same_each_time_and_one_speaker_has_none():
    values = [0.1, 0.2, 0.15, 0.3]
    low, high = interval(values)
    assert min(values) <= low < np.mean(values) < high <= max(values)
    assert interval(values) == (low, high)
    assert interval([0.2, 0.2]) == pytest.approx((0.2, 0.2))
    assert np.isnan(interval([0.2])).all()


def test_the_interval_of_differences_of_chance_has_0_within_it_in_most_cases():
    rng = np.random.default_rng(1)
    held = [low <= 0 <= high for low, high in (interval(rng.normal(0, 1, 12)) for _ in range(100))]
    assert 85 <= sum(held) < 100


def test_the_tables_show_medians_quartiles_gains_duels_and_drift():
    levels, gained, duel, drift = tables(FOUND).values()
    assert levels.head == ("", OWN, STOCK, "walk", "quick")
    assert levels.rows[0] == ["voices", "1", "2", "4", "3"]
    assert levels.rows[1] == ["Held-out ↑", "0.950", "0.550", "0.560", "0.800"]
    assert levels.rows[2][-1] == "0.750 0.850"
    assert levels.rows[3][1] == "–"
    assert gained.rows[0] == ["Held-out ↑", "+0.005 (+0.000 +0.010)", "+0.275 (+0.250 +0.300)"]
    assert [row[0] for row in gained.rows] == ["Held-out ↑", "Words ↓"]
    assert duel.rows == [["quick − walk", "+0.270 (+0.240 +0.300)", "+0.0 (+0.0 +0.0)"]]
    assert [row[0] for row in drift.rows] == ["about 20 phonemes", "about 320 phonemes"]
    assert drift.rows[1][-1] == "0.700"


def test_the_csv_has_a_line_a_cell_and_names_what_failed():
    rows = list(csv.DictReader(io.StringIO(as_csv(FOUND))))
    assert len(rows) == len(CELLS)
    assert rows[5]["heldout"] == "0.8" and rows[5]["stock_heldout"] == "0.5" and rows[5]["own_heldout"] == "0.95"
    assert rows[7]["error"] == "it broke" and rows[7]["heldout"] == "" and rows[7]["stock_heldout"] == "0.6"
    assert float(rows[0]["cpu_seconds"]) == 60 and "stock_cpu_seconds" not in rows[0]

"""Runs that are killed, damaged or starved at every point, with the smaller loads of :mod:`tests.stress`.

``python -m tests.stress.crashes`` and the like run the whole loads.
"""

from __future__ import annotations

import os

import pytest

from tests.support.scenarios import cases, scenarios

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the cases are forks")


@pytest.mark.long
def test_a_run_that_is_killed_at_any_point_goes_on_bit_for_bit():
    rows = scenarios("crashes", every_point={"kinds": 4})
    assert len(rows) >= 9 and cases(rows) > 500


@pytest.mark.long
def test_a_run_that_is_killed_again_and_again_goes_on_bit_for_bit():
    load = {"recovery": {"every": 12, "enumerated": ["random_search"], "each": 4}, "kills": {"count": 25}}
    rows = scenarios("crashes", **load)
    assert cases(rows) > 100
    assert sum(int(row["note"].split()[0]) for row in rows if row["name"].startswith("random kills")) >= 50


@pytest.mark.long
def test_a_run_that_is_stopped_or_interrupted_anywhere_goes_on_bit_for_bit():
    rows = scenarios("crashes", stops={"every": 4}, interrupted={"every": 50, "kinds": 4})
    assert cases(rows) > 150


def test_damage_is_put_right_or_named_and_never_silent():
    rows = scenarios("corruption", records={"flips": 120, "cuts": 48}, voices={"flips": 80, "cuts": 32})
    assert cases(rows) >= 560
    assert not any(row["outcomes"].get("silent") for row in rows)


@pytest.mark.long
def test_storage_that_refuses_ends_a_run_which_goes_on_later_and_never_for_a_moment():
    some = {"names": ["random_walk", "nsga2 then cma"], "every": 25}
    assert cases(scenarios("storage", lasting=some, passing=some, full={"limits": 8})) > 150

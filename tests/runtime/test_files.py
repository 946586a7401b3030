"""Runs that are killed, damaged or starved at every point, with the smaller loads of :mod:`tests.stress`.

``python -m tests.stress.crashes`` and the like run the whole loads.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the cases are forks")

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def soak(module: str, **scenarios: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of scenarios, run by a process that has not imported torch; all of their cases have passed."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.stress.{module}", *(f"{name}={json.dumps(m)}" for name, m in scenarios.items())],
        cwd=ROOT,
        env={**os.environ, **ONE_THREAD},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    failed = [f"{row['name']}: {row['passed']} of {row['cases']} passed: {row['failures']}" for row in rows]
    assert all(row["passed"] == row["cases"] > 0 for row in rows), "\n".join(failed)
    return rows


def cases(rows: list[dict[str, Any]]) -> int:
    """How many were run."""
    return sum(row["cases"] for row in rows)


def test_a_run_that_is_killed_at_any_point_goes_on_bit_for_bit():
    rows = soak("crashes", every_point={"kinds": 4})
    assert len(rows) >= 9 and cases(rows) > 500


def test_a_run_that_is_killed_again_and_again_goes_on_bit_for_bit():
    load = {"recovery": {"every": 12, "enumerated": ["random_search"], "each": 4}, "kills": {"count": 25}}
    rows = soak("crashes", **load)
    assert cases(rows) > 100
    assert sum(int(row["note"].split()[0]) for row in rows if row["name"].startswith("random kills")) >= 50


def test_a_run_that_is_stopped_or_interrupted_anywhere_goes_on_bit_for_bit():
    rows = soak("crashes", stops={"every": 4}, interrupted={"every": 50, "kinds": 4})
    assert cases(rows) > 150


def test_damage_is_put_right_or_named_and_never_silent():
    rows = soak("corruption", records={}, voices={"flips": 125, "cuts": 50})
    assert cases(rows) >= 1000
    assert not any(row["outcomes"].get("silent") for row in rows)


def test_storage_that_refuses_ends_a_run_which_goes_on_later_and_never_for_a_moment():
    some = {"names": ["random_walk", "nsga2 then cma"], "every": 25}
    assert cases(soak("storage", lasting=some, passing=some, full={"limits": 8})) > 150

"""Evaluations that fail, workers that die, signals, races and readers, by :mod:`tests.stress` at small loads."""

from __future__ import annotations

import os

import pytest

from tests.stress import deaths, determinism, faults
from tests.support.scenarios import scenarios

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="the cases are forks")


def passed(rows):
    for row in rows:
        assert row.passed == row.cases, f"{row.name}: {row.failures}"
    return rows


def test_bad_evaluations_leave_the_search_where_merely_bad_ones_would_and_no_nan_in_the_database():
    rows = passed(faults.bad_evaluations(["cma", "genetic", "nsga2", "random_walk"], steps=160))
    rows += passed(faults.bad_evaluations(["differential"], steps=120, batch=3))
    assert all(row.cases == 6 for row in rows)
    assert sum(int(row.note.split()[0]) for row in rows) > 120, "so many met a fault"


def test_a_search_in_which_all_fails_ends_with_exit_status_6_and_goes_on_once_that_is_mended():
    rows = passed(faults.all_fail(["genetic", "random_walk"], steps=170))
    assert all(row.cases == 5 for row in rows)
    passed(faults.at_first())


@pytest.mark.long  # five processes import torch, one after the other
def test_a_dead_process_costs_nothing_but_time():
    passed(deaths.deaths(workers=[1], start=False, most=2))


@forks
@pytest.mark.long
def test_a_signal_ends_a_run_soon_and_the_run_goes_on_bit_for_bit():
    rows = scenarios("signals", moments={"count": 10}, refused={}, everywhere={"names": ["genetic"], "kinds": 12})
    assert sum(row["cases"] for row in rows if "any moment" in row["name"]) == 30


@forks
def test_one_of_twenty_processes_gets_a_folder_and_the_others_name_it():
    scenarios("signals", races={"rounds": 2}, names={"rounds": 2})


@forks
def test_readers_see_whole_generations_and_neither_side_waits():
    scenarios("endurance", search={"steps": 600, "readers": 2, "growth": 0.1})


@pytest.mark.long
def test_evaluations_are_bit_equal_whoever_evaluates_in_whatever_order_and_company():
    rows = passed(determinism.bit_equal(12, workers=[2]))
    assert sum(row.cases for row in rows) >= 7 * 12

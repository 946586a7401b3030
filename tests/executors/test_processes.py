"""Evaluations that fail, workers that die, signals, races and readers, by :mod:`tests.stress` at small loads."""

from __future__ import annotations

import os
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from types import SimpleNamespace

import pytest

from kvw.errors import KvwError
from kvw.evaluation import OPEN
from kvw.executors.processes import ProcessExecutor
from kvw.executors.rounds import MOST_DEATHS
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


def test_a_dead_process_costs_nothing_but_time():
    passed(deaths.deaths(workers=[1], start=False, most=1))


class Pool:
    """Worker processes as far as an executor sees them; none is started."""

    def __init__(self, deadly, starts=True):
        self.deadly, self.starts, self.broken, self.deaths, self._processes = deadly, starts, False, [], {}

    def submit(self, function, voice, gate, known):
        self.deaths += [voice[0, 0, 0]] if voice[0, 0, 0] in self.deadly else []
        self.broken = self.broken or not self.starts or voice[0, 0, 0] in self.deadly
        job = Future()
        if self.broken:
            job.set_exception(BrokenProcessPool())
        else:
            job.set_result((voice[0, 0, 0], {}))
        return job

    def shutdown(self, cancel_futures):
        self.broken = False


def pooled(monkeypatch, *given):
    pool = Pool(*given)
    monkeypatch.setattr(ProcessExecutor, "_start", lambda self: pool)
    return ProcessExecutor(fitness=lambda: SimpleNamespace(listener=None, scripts=()), workers=1), pool


def test_who_ends_three_processes_alone_has_crashed_whoever_comes_first(monkeypatch):
    one, deadly, other = deaths.voices(3)
    for company in ([one, deadly, other], [deadly, one, other], [one, other, deadly]):
        evaluate, pool = pooled(monkeypatch, [deadly[0, 0, 0]])
        seen = evaluate(company, OPEN)
        crashed = seen.pop(next(number for number, voice in enumerate(company) if voice is deadly))
        assert seen == [voice[0, 0, 0] for voice in company if voice is not deadly]
        assert (crashed.status, crashed.score, crashed.target_similarity) == ("crashed", 0.0, -1.0)
        assert crashed.failed
        assert len(pool.deaths) == MOST_DEATHS + 1


def test_workers_that_can_not_start_are_one_line(monkeypatch):
    evaluate, _ = pooled(monkeypatch, [], False)
    with pytest.raises(KvwError, match="every worker process died") as caught:
        evaluate(deaths.voices(2), OPEN)
    assert "\n" not in str(caught.value)


@forks
def test_a_signal_ends_a_run_soon_and_the_run_goes_on_bit_for_bit():
    rows = scenarios("signals", moments={"count": 10}, refused={}, everywhere={"names": ["genetic"], "kinds": 12})
    assert sum(row["cases"] for row in rows if "any moment" in row["name"]) == 30


@forks
def test_one_of_twenty_processes_gets_a_folder_and_the_others_name_it():
    scenarios("signals", races={"rounds": 2}, names={"rounds": 2})


@forks
def test_readers_see_whole_generations_and_neither_side_waits():
    scenarios("endurance", search={"steps": 600, "readers": 2, "growth": 0.1})


def test_evaluations_are_bit_equal_whoever_evaluates_in_whatever_order_and_company():
    rows = passed(determinism.bit_equal(12, workers=[2]))
    assert sum(row.cases for row in rows) >= 7 * 12

"""The scheduler of workers somewhere else, on workers that only pretend, by a clock that only pretends.

Above 300 lines, because one simulation serves them all, and a case is a history of its workers.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvw.config.nodes import maker
from kvw.errors import EXIT_BAD_INPUT, EXIT_TOO_MANY_FAILURES, KvwError
from kvw.executors import scheduler as scheduling
from kvw.executors.rounds import MOST_DEATHS, LostError, crashed
from kvw.executors.scheduler import LONGEST_BATCH, Scheduler
from tests.support.simulated import Simulation, found


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Has ledgers read the clock of a simulation."""

    def use(simulation):
        monkeypatch.setattr(scheduling, "time", SimpleNamespace(monotonic=simulation.monotonic))
        return simulation

    return use


@pytest.fixture
def begun(clock):
    """A simulation and its scheduler."""

    def make(count, *, deadline=300.0, wait=60.0, local=None, **given):
        simulation = clock(Simulation(count, **given))
        return simulation, Scheduler(simulation, deadline=deadline, wait=wait, advice="buy another", local=local)

    return make


class Kept:
    """Counts what is remembered."""

    def __init__(self):
        self.keys = []

    def __call__(self, utterances):
        self.keys += utterances


def expected(count):
    return [found(job) for job in range(count)]


def test_results_are_in_the_order_of_candidates_and_what_was_measured_is_kept_once(begun):
    simulation, scheduler = begun(3, speeds=(1, 3, 0.5))
    kept = Kept()
    assert scheduler(range(50), kept) == expected(50)
    assert sorted(kept.keys, key=int) == [f"{job}" for job in range(50)]
    assert set(simulation.done.values()) == {1}
    assert scheduler([], kept) == []


def test_a_worker_that_waits_for_room_or_loads_its_models_gets_no_work(begun):
    simulation, scheduler = begun(4, room=2)  # the simulation asserts it
    assert scheduler(range(20)) == expected(20)
    assert set(simulation.sizes) == {0, 1}
    simulation.kill(simulation.started[0])
    assert scheduler(range(20)) == expected(20)
    assert set(simulation.sizes) == {0, 1, 2}


def test_a_worker_has_a_second_batch_while_there_is_enough_and_none_at_the_end(begun):
    simulation, scheduler = begun(2)
    most = []
    submit = simulation.submit
    simulation.submit = lambda one, jobs: (submit(one, jobs), most.append(len(one.asked)))[0]
    scheduler(range(40))
    assert max(most) == 2
    most.clear()
    scheduler(range(2))
    assert most == [1, 1]


def test_of_a_worker_that_dies_the_oldest_batch_is_to_blame_and_its_candidates_are_tried_alone(begun):
    simulation, scheduler = begun(1)
    scheduler(range(20))
    before = len(simulation.batches)
    simulation.at.append((simulation.clock + 0.5, lambda: simulation.kill(simulation.alive[0])))
    assert scheduler(range(40)) == expected(40)
    oldest, second, *others = simulation.batches[before:]
    assert len(oldest) > 1
    alone = others[: len(oldest)]
    assert alone == [[job] for job in oldest]
    assert others[len(oldest)][0] == second[0], "nobody blames it"


def test_what_a_worker_answered_before_it_died_is_taken(begun):
    simulation, scheduler = begun(1)
    scheduler(range(8))
    simulation.done.clear()
    simulation.at.append((simulation.clock + 1.0, lambda: None))

    def die_behind_the_first():
        if simulation.done:
            simulation.kill(simulation.started[0])

    wait = simulation.wait

    def waiting(tickets, seconds):
        wait(tickets, seconds)
        die_behind_the_first()
        return [ticket for ticket in tickets if ticket in simulation._answers][::-1]  # its death is told first

    simulation.wait = waiting
    assert scheduler(range(8)) == expected(8)
    assert set(simulation.done.values()) == {1}


def test_who_ends_three_workers_alone_has_crashed_and_the_others_have_not(begun):
    simulation, scheduler = begun(2, deadly=[5, 11])
    kept = Kept()
    seen = scheduler(range(20), kept)
    assert [job for job, one in enumerate(seen) if one == crashed(MOST_DEATHS)] == [5, 11]
    assert [one for one in seen if not one.failed] == [found(job) for job in range(20) if job not in (5, 11)]
    assert 2 * MOST_DEATHS <= sum(not one.alive for one in simulation.started) <= 2 * MOST_DEATHS + 2
    assert len(kept.keys) == len(set(kept.keys)) == 18


def test_no_candidate_is_blamed_for_the_loss_of_a_machine(begun):
    simulation, scheduler = begun(1)
    scheduler.begin()
    for number in range(3 * MOST_DEATHS):
        moment = simulation.clock + 0.5 + 2 * number
        simulation.at.append((moment, lambda: [simulation.kill(one, True) for one in simulation.alive]))
    assert scheduler(range(3)) == expected(3)
    assert len(simulation.started) > MOST_DEATHS


def test_a_worker_that_hangs_is_given_up_and_its_late_answer_ignored(begun):
    simulation, scheduler = begun(2, deadline=30.0)
    kept = Kept()
    scheduler(range(10))
    hung = simulation.started[0]
    simulation.at.append((simulation.clock + 0.5, lambda: simulation.hang(hung, 40.0)))
    assert scheduler(range(10), kept) == expected(10)
    assert not hung.alive
    assert len(kept.keys) == 10
    assert scheduler(range(100), kept) == expected(100)
    assert simulation.clock > 41
    assert len(kept.keys) == 110


def test_a_worker_that_does_not_load_its_models_in_time_is_replaced_later(begun, said):
    simulation, scheduler = begun(2, deadline=30.0)
    prepare = simulation.prepare
    simulation.prepare = lambda one: prepare(one) if one.number != 1 else next(simulation._tickets)
    assert scheduler(range(100)) == expected(100)
    assert [one.number for one in simulation.alive] == [0, 2]
    assert [text for text in said if "did not answer for 30 s while it loaded" in text]


@pytest.mark.parametrize(("error", "starts"), [(KvwError("no weights there"), 1), (LostError("no memory"), 3)])
def test_workers_that_never_start_are_one_line_soon(begun, error, starts):
    simulation, scheduler = begun(1)
    simulation.take = lambda ticket: (_ for _ in ()).throw(error)
    with pytest.raises(KvwError, match=str(error)) as caught:
        scheduler.begin()
    assert "\n" not in str(caught.value)
    assert caught.value.code == EXIT_BAD_INPUT
    assert len(simulation.started) == starts
    assert simulation.clock < 20


def test_a_worker_that_can_not_start_does_not_end_a_search_that_goes_on(begun, said):
    simulation, scheduler = begun(2)
    prepare, take = simulation.prepare, simulation.take
    refused = set()

    def refuse(one):
        ticket = prepare(one)
        refused.update([ticket] if one.number else [])
        return ticket

    simulation.prepare = refuse
    simulation.take = lambda ticket: take(ticket) if ticket not in refused else (_ for _ in ()).throw(KvwError("old"))
    assert scheduler(range(200)) == expected(200)
    assert len([text for text in said if "can't start" in text]) == 1
    assert 3 < len(simulation.started) < 12, "it is tried again, and not all the time"


def test_workers_that_die_whatever_they_are_given_are_one_line(begun):
    for count in (1, 2, 30):
        _, scheduler = begun(2, deadly=range(30))
        with pytest.raises(KvwError, match="every worker died") as caught:
            scheduler(range(count))
        assert "\n" not in str(caught.value)


def test_workers_join_while_a_search_goes_on_and_leave(begun):
    simulation, scheduler = begun(1)
    simulation.at.append((5.0, lambda: setattr(simulation, "count", 4)))
    assert scheduler(range(100)) == expected(100)
    assert set(simulation.sizes) == {0, 1, 2, 3}
    assert simulation.clock < 40
    simulation.room, simulation.count = 4, 9
    scheduler(range(20))
    assert len(simulation.alive) == 9
    simulation.count = 4
    scheduler(range(20))
    assert len(simulation.alive) == 4, "nobody waits for room that is no more"


def test_without_a_worker_the_driver_waits_then_evaluates_itself_until_one_comes(begun, said):
    here = []
    simulation = None

    def local(job):
        here.append(job)
        simulation.clock += 1
        return found(job)

    simulation, scheduler = begun(2, wait=60.0, local=local)
    scheduler(range(4))

    def cut():
        simulation.room = 0
        for one in simulation.alive:
            simulation.kill(one, True)

    simulation.at.append((simulation.clock + 2.5, cut))
    lost = simulation.clock + 2.5
    simulation.at.append((lost + 70, lambda: setattr(simulation, "room", 2)))
    simulation.at.append((lost + 70, simulation._make_room))
    kept = Kept()
    assert scheduler(range(100), kept) == expected(100)
    assert 5 < len(here) < 20
    assert simulation.done.total() - 4 + len(here) == 100
    assert [text for text in said if "No worker" in text] == [
        "No worker is left; waiting 60 s for another",
        "No worker has come; evaluating here until one does",
    ]


def test_without_a_worker_the_search_ends_with_exit_6_where_that_is_wanted(begun):
    simulation, scheduler = begun(2, wait=60.0)
    scheduler(range(4))
    simulation.room = 0
    for one in simulation.alive:
        simulation.kill(one, True)
    with pytest.raises(KvwError, match=r"resume=.*buy another") as caught:
        scheduler(range(10))
    assert caught.value.code == EXIT_TOO_MANY_FAILURES
    assert 60 < simulation.clock < 80


def test_what_a_job_raises_and_an_interrupt_come_through_and_the_next_call_is_not_mixed_up(begun):
    simulation, scheduler = begun(2)
    scheduler(range(4))
    take, wait = simulation.take, simulation.wait
    simulation.take = lambda ticket: (_ for _ in ()).throw(KvwError("the target is gone"))
    with pytest.raises(KvwError, match="the target is gone"):
        scheduler(range(10))
    simulation.take = take

    def interrupted(tickets, seconds):
        raise KeyboardInterrupt

    simulation.wait = interrupted
    with pytest.raises(KeyboardInterrupt):
        scheduler(range(50, 70))
    simulation.wait = wait
    kept = Kept()
    assert scheduler(range(5, 25), kept) == [found(job) for job in range(5, 25)]
    assert sorted(kept.keys, key=int) == [f"{job}" for job in range(5, 25)]


def test_batches_are_large_first_and_small_at_the_end_so_that_all_end_together(begun):
    speeds = (1, 1, 4, 10)
    simulation, scheduler = begun(4, speeds=speeds, seconds=0.1)
    scheduler(range(100))
    simulation.sizes.clear()
    before = simulation.clock
    assert scheduler(range(1600)) == expected(1600)
    assert simulation.clock - before < 1.05 * 1600 * 0.1 / sum(speeds)
    for sizes in simulation.sizes.values():
        assert sizes[0] > 4 * sizes[-1]
    for number, speed in enumerate(speeds):
        assert max(simulation.sizes[number]) * 0.1 / speed <= LONGEST_BATCH


def test_workers_that_evaluate_several_at_once_get_whole_batches_or_equal_shares(begun):
    simulation, scheduler = begun(4, batch=16)
    scheduler(range(64))
    assert list(simulation.sizes.values()) == [[16]] * 4
    simulation.sizes.clear()
    scheduler(range(20))
    assert list(simulation.sizes.values()) == [[5]] * 4


def test_without_ray_it_is_one_line_what_to_install(monkeypatch):
    for module in ("ray_executor", "ray_cluster"):
        monkeypatch.delitem(sys.modules, f"kvw.executors.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(KvwError, match=r"Ray is not installed; pip install 'kvw\[ray\]'") as caught:
        maker({"_target_": "kvw.executors.ray_executor.RayExecutor"}, "executor")
    assert "\n" not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(
    count=st.integers(1, 60),
    workers=st.integers(1, 6),
    batch=st.sampled_from([1, 4]),
    speeds=st.lists(st.sampled_from([0.3, 1.0, 5.0]), min_size=1, max_size=3),
    deadly=st.sets(st.integers(1, 200), max_size=3),
    faults=st.lists(
        st.tuples(
            st.floats(0.0, 60.0), st.sampled_from(["kill", "node", "all", "hang", "shrink", "grow"]), st.integers(0, 50)
        ),
        max_size=25,
    ),
)
def test_whatever_happens_nothing_is_lost_and_nothing_is_recorded_twice(count, workers, batch, speeds, deadly, faults):
    simulation = Simulation(workers, speeds=speeds, deadly=sorted(deadly), batch=batch)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(scheduling, "time", SimpleNamespace(monotonic=simulation.monotonic))
        scheduler = Scheduler(simulation, deadline=50.0, wait=10.0, advice="buy another", local=found)
        scheduler([0])

        def happen(kind, number):
            alive = simulation.alive
            one = alive[number % len(alive)] if alive else None
            if kind in ("kill", "node") and one:
                simulation.kill(one, kind == "node")
            elif kind == "all":
                for other in alive:
                    simulation.kill(other, True)
            elif kind == "hang" and one:
                simulation.hang(one, 60.0)
            elif kind in ("grow", "shrink"):
                simulation.count = max(1, simulation.count + (1 if kind == "grow" else -1))

        for moment, kind, number in faults:
            simulation.at.append((simulation.clock + moment, lambda kind=kind, number=number: happen(kind, number)))
        kept = Kept()
        killed = sum(kind in ("kill", "hang") for _, kind, _ in faults)
        for turn in range(2):
            jobs = range(1 + 100 * turn, 1 + 100 * turn + count)
            seen = scheduler(jobs, kept)
            for job, one in zip(jobs, seen, strict=True):
                blamed = job in deadly or killed >= MOST_DEATHS
                assert one == found(job) or (blamed and one == crashed(MOST_DEATHS))
        assert len(kept.keys) == len(set(kept.keys))

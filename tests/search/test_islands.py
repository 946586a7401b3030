"""Strategies side by side: each as if it were alone, but for the visitors that it gets."""

from __future__ import annotations

import dataclasses
from contextlib import closing

import numpy as np
import pytest

from kvw.config.invocation import compose
from kvw.config.schema import plain
from kvw.config.stages import make_stage, with_members
from kvw.errors import KvwError
from kvw.evaluation import OPEN, gates_for
from kvw.runs.store import Store
from kvw.search.archive import Entry
from kvw.search.budget import Budget
from kvw.search.loop import search
from kvw.search.stage import SearchStage
from kvw.spaces.offset import Coherent
from kvw.testing import Oracle, answered
from kvw.types import mean_voice
from strategies.random_walk import RandomWalk
from tests.support.landscape import BANK, Landscape, go
from tests.support.records import asked

SMALL = ("genetic strategy.size=6", "random_walk strategy.batch=3 space=coherent", "nsga2 strategy.size=4")


def node(*members, **settings):
    cfg = compose("strategy=islands").cfg
    strategy = {**plain(cfg.strategy), "members": list(members), **settings}
    return with_members({"strategy": strategy, "space": plain(cfg.space)}, None)


def islands(*members, **settings):
    return make_stage(
        "islands", node(*members, **settings), "", predictor=Oracle(), gradients=Oracle(), listener=answered
    )


def searched(stage, steps, executor=None):
    """The result, what was kept, and each generation's candidates."""
    result, watcher = go(executor, stages=[stage], budget=Budget(steps))
    return result, watcher.stages[-1][2], [population for _, population, _ in watcher.generations]


def made(stage, rng):
    """A stage's space and strategy as a search begins with them."""
    voices = list(BANK.values())[:3]
    top = [Entry("", voice, one) for voice, one in zip(voices, Landscape()(voices, OPEN), strict=True)]
    space, _, strategy = stage.make(list(BANK.values()), top, mean_voice(voices), rng)
    return space, strategy


def randomness(seed, count):
    """What islands draw from."""
    draw = np.random.default_rng(seed)
    return [np.random.default_rng(int(draw.integers(2**63))) for _ in range(count)]


def test_a_gradient_that_an_island_asks_for_is_asked_for():
    _, strategy = made(islands("gradient space=coherent", "random_walk space=coherent"), np.random.default_rng(0))
    climber, walker = strategy.generate()
    assert climber.pullback is not None and walker.pullback is None


def test_without_visits_each_proposes_what_it_would_propose_alone():
    stage, landscape = islands(*SMALL, exchange=None), Landscape()
    space, together = made(stage, np.random.default_rng(5))
    alone = [made(member, rng) for member, rng in zip(stage.members, randomness(5, 3), strict=True)]
    for _ in range(4):
        expected = [(own, strategy.generate()) for own, strategy in alone]
        population = together.generate()
        voices = [own.decode(one.genome) for own, some in expected for one in some]
        assert np.array_equal([space.decode(one.genome) for one in population], voices)
        seen = landscape(voices, OPEN)
        for one, evaluation in zip(population, seen, strict=True):
            one.evaluate(evaluation)
        together.update(population)
        at = iter(seen)
        for (_, strategy), (_, some) in zip(alone, expected, strict=True):
            for one in some:
                one.evaluate(next(at))
            strategy.update(some)


def test_each_candidate_is_compared_with_its_own_islands_incumbent():
    executor = Landscape()
    _, _, seen = searched(islands(*SMALL, exchange=None), 60, executor)
    best = [None, None]
    for population, (count, gates) in zip(seen, executor.calls[-len(seen) :], strict=True):
        for one, gate in zip(population, gates_for(gates, count), strict=True):
            number = int(one.notes["Island"])
            assert gate.score == (best[number] if number < 2 and best[number] else 0.0), "NSGA-II has no gate"
        for one in population:
            if one.evaluation.complete and (number := int(one.notes["Island"])) < 2:
                best[number] = max(best[number] or 0.0, one.evaluation.score)
    assert best[0] != best[1]


def test_the_best_of_an_island_visits_the_next_whose_strategy_takes_it_up():
    stage = islands("genetic strategy.size=8", "random_walk space=coherent strategy.diversity=[1e-9,1e-9]", exchange=3)
    _, _, seen = searched(stage, 120)
    walk = [[one for one in population if one.notes["Island"] == 1] for population in seen]
    visits = [(number, one) for number, some in enumerate(walk) for one in some if "Visits" in one.notes]
    assert [number % 3 for number, _ in visits] == [0] * len(visits)
    scores = [one.evaluation.score for _, one in visits]
    assert len(scores) > 3
    assert scores == sorted(set(scores)), "only what is better than the last one sets out"
    for number, visitor in visits:
        leader = max(
            (one for some in seen[:number] for one in some if one.notes["Island"] == 0), key=lambda one: one.fitness
        )
        assert visitor.evaluation.score == pytest.approx(leader.evaluation.score, rel=1e-3)
        standing = [one for some in walk[number + 1 : number + 2] for one in some if "From" not in one.notes]
        assert all(np.allclose(one.genome, visitor.genome, atol=1e-6) for one in standing), (
            "from there the walk goes on"
        )


def test_an_island_that_is_finished_leaves_the_others_at_work_and_the_last_one_ends_the_search():
    first, second = "interpolation strategy.step=1.5 space=coherent", "interpolation strategy.step=0.75"
    result, _, seen = searched(islands(first, second), 1000)
    counts = [sum(one.notes["Island"] == number for some in seen for one in some) for number in (0, 1)]
    assert counts == [9, 15]
    assert result.reason == "interpolation: all 3 pairs are interpolated; interpolation-2: all 3 pairs are interpolated"


def test_what_islands_keep_is_saved_by_their_names():
    _, kept, _ = searched(islands("random_search", "nsga2 strategy.size=4"), 40)
    assert list(kept) == ["nsga2_front"]
    entries = kept["nsga2_front"]
    assert [entry.evaluation for entry in entries] == Landscape()([entry.voice for entry in entries], OPEN)


def test_one_strategy_may_be_there_twice_with_settings_of_its_own():
    members = node("genetic", "genetic strategy.size=40 space=pca")["strategy"]["members"]
    assert list(members) == ["genetic", "genetic-2"]
    assert (members["genetic"]["strategy"]["size"], members["genetic-2"]["strategy"]["size"]) == (24, 40)
    assert members["genetic"]["space"]["_target_"] == "kvw.spaces.offset.Coherent"
    assert members["genetic-2"]["space"]["_target_"] == "kvw.spaces.pca.PCA"


@pytest.mark.parametrize(
    ("members", "line"),
    [
        (["genetik", "cma"], "strategy.members: there is no strategy 'genetik'; did you mean genetic?"),
        ([3, "cma"], "strategy.members: there is no strategy '3'"),
        (["genetic seed=3", "cma"], "strategy.members: expected settings of genetic, as strategy.size=40 or space=pca"),
        (["genetic strategy.sizes=3", "cma"], "strategy.members: genetic can't have strategy.sizes=3"),
        (["genetic", "cma space=elementwise"], "strategy=sep_cma"),
        (["genetic"], "strategy.members: expected two strategies or more"),
        ([], "strategy.members: expected two strategies or more"),
        (["genetic", "islands"], "strategy.members: expected strategies without members of their own; got islands"),
    ],
)
def test_wrong_members_are_one_line(members, line):
    with pytest.raises(KvwError) as refused:
        made(islands(*members), np.random.default_rng(0))
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_visitor_is_told_by_its_notes_and_its_children_are_not():
    _, _, seen = searched(islands("genetic strategy.size=6", "differential strategy.size=5", exchange=2), 300)
    visits = [sum("Visits" in one.notes for one in some) for some in seen]
    assert sum(visits) > 2
    assert all(count == 0 for number, count in enumerate(visits) if number % 2 or not number)
    assert max(visits) <= 2


def test_a_chain_of_islands_goes_on_bit_for_bit_wherever_it_was_stopped(tmp_path):
    one, other = (dataclasses.replace(islands(*SMALL, exchange=2), name=name) for name in ("one", "other"))
    stages = [
        dataclasses.replace(one, step_limit=30),
        SearchStage("walk", Coherent, RandomWalk, step_limit=10),
        other,
    ]

    def recorded(path, steps):
        store = Store(path) if path.exists() else Store.create(path, {})
        store.heard_through([3])
        with closing(store):
            search(
                bank=BANK,
                executor=Landscape(),
                stages=stages,
                rng=np.random.default_rng(0),
                budget=Budget(steps),
                population_limit=3,
                observers=[store],
                record=store,
            )

    recorded(tmp_path / "whole.db", 90)
    for steps in (12, 35, 60, 90):
        recorded(tmp_path / "parts.db", steps)
    parts, whole = (asked(tmp_path / f"{name}.db", "SELECT * FROM candidates") for name in ("parts", "whole"))
    assert parts == whole

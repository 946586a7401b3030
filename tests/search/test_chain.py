"""Several strategies one after the other, and what becomes of a strategy that breaks its contract."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from kvw.errors import KvwError
from kvw.evaluation import OPEN, Gate
from kvw.search.archive import Archive
from kvw.search.budget import Budget
from kvw.search.candidate import Candidate
from kvw.search.chain import Chain
from kvw.search.loop import search
from kvw.search.stage import SearchStage
from kvw.spaces.elementwise import Elementwise
from kvw.spaces.offset import Coherent
from kvw.testing import Oracle
from kvw.types import mean_voice
from strategies.interpolation import Interpolation
from strategies.random_search import RandomSearch
from strategies.random_walk import RandomWalk
from strategies.sep_cma import SeparableCMA
from tests.support.landscape import BANK, Landscape, Once, Watcher, go, voice


def random_search(**settings):
    return lambda *, space, seeds, rng: RandomSearch(space=space, rng=rng, **settings)


def interpolation(**settings):
    return lambda *, space, seeds, rng: Interpolation(space=space, seeds=seeds, **settings)


def cma(*, space, seeds, rng):
    return SeparableCMA(space=space, seeds=seeds, rng=rng, predictor=Oracle(), population=4)


def test_a_stage_gives_way_to_the_next_at_its_limit_and_the_last_has_what_is_left():
    stages = [
        SearchStage("explore", Coherent, random_search(batch=5), 20),
        SearchStage("refine", Elementwise, RandomWalk),
    ]
    result, watcher = go(stages=stages, budget=Budget(50))
    assert result.archive.steps == 50
    assert [len(population) for _, population, _ in watcher.generations] == [5] * 4 + [1] * 30
    assert [event[0] for event in watcher.stages] == ["explore", "explore", "refine", "refine"]
    assert "step_limit 20 of stage explore" in watcher.stages[1][1]
    assert "step_limit 50 reached" in watcher.stages[3][1]


def test_the_next_space_is_built_from_the_best_voice_so_far():
    bases = []

    def space(*, bank, top, base):
        bases.append(base)
        return Coherent(bank=bank, top=top, base=base)

    best = []

    class Note(Watcher):
        def __call__(self, generation, population, archive):
            best.append(archive.best)

    stages = [
        SearchStage("one", space, random_search(batch=10), 10),
        SearchStage("two", space, random_search(batch=1), 1),
    ]
    search(
        bank=BANK,
        executor=Landscape(),
        stages=stages,
        rng=np.random.default_rng(0),
        budget=Budget(11),
        population_limit=3,
        observers=[Note()],
    )
    assert np.allclose(bases[0], mean_voice([BANK[name] for name in ("af_a", "af_c", "af_d")]))
    assert np.array_equal(bases[1], best[0].voice)


def test_interpolation_counts_against_no_limit_and_what_it_keeps_seeds_the_next_stage():
    class Heirs(RandomWalk):
        seeds = None

        def __init__(self, *, space, seeds, rng):
            super().__init__(space=space, seeds=seeds, rng=rng)
            Heirs.seeds = seeds

    executor = Landscape(goal=0.6)
    stages = [
        SearchStage("interpolation", Elementwise, interpolation(step=0.5)),
        SearchStage("heirs", Elementwise, Heirs),
    ]
    result, watcher = go(executor, stages=stages, budget=Budget(5))
    pairs, positions = 3, 7
    assert watcher.stages[0] == ("interpolation", pairs * positions)
    assert result.archive.steps == pairs * positions + 5
    kept = watcher.stages[1][2]["interpolated"]
    assert len(kept) == 3
    assert sorted(seed.genome.mean() for seed in Heirs.seeds) == pytest.approx(sorted(one.voice.mean() for one in kept))
    assert all(seed.fitness.valid for seed in Heirs.seeds)


def test_interpolation_keeps_for_each_voice_the_best_point_of_its_half_of_every_line():
    executor = Landscape(goal=0.6)
    _, watcher = go(executor, strategy=interpolation(), budget=Budget(1))
    levels = {0: 0.9, 1: 0.5, 2: 0.2}  # af_c, af_a, af_d, by score for a goal of 0.6: af_a, af_c, af_d
    levels = dict(enumerate(sorted(levels.values(), key=lambda level: abs(level - 0.6))))
    expected = {}
    for one in levels:
        for two in levels:
            if one < two:
                for a in np.arange(-15, 16) / 10:
                    level = (levels[one] + levels[two]) / 2 + (levels[one] - levels[two]) * a / 2
                    owner = one if a > 0 else two
                    expected[owner] = min(expected.get(owner, 99.0), level, key=lambda value: abs(value - 0.6))
    found = [float(one.voice.mean(dtype=np.float64)) for one in watcher.stages[1][2]["interpolated"]]
    assert found == pytest.approx([expected[owner] for owner in sorted(expected)], abs=1e-6)


def test_the_gate_of_a_stage_compares_with_the_best_of_that_stage_alone():
    executor = Landscape()
    stages = [
        SearchStage("one", Coherent, random_search(batch=4), 8),
        SearchStage("two", Coherent, random_search(batch=4)),
    ]
    go(executor, stages=stages, budget=Budget(16))
    gates = [gate for count, gate in executor.calls if count == 4][-4:]
    assert gates[0] == gates[2] == Gate(stock=gates[0].stock)
    assert gates[1].score > 0
    assert gates[3].score > 0


def chain(archive, seed=0, state=None):
    def begin(*, bank, top, base):
        return Coherent(bank=bank, top=top, base=base)

    stages = [SearchStage("one", begin, random_search(batch=4), 8), SearchStage("two", begin, cma)]
    ignore = lambda *_: None  # noqa: E731
    bank = list(BANK.values())
    top = go(budget=Budget(1))[0].top
    rng = np.random.default_rng(seed)
    more = {"archive": archive, "began": ignore, "ended": ignore, "state": state}
    return Chain(stages, bank=bank, top=top, base=voice(0.3), rng=rng, **more), rng


@pytest.mark.parametrize("generations", [1, 3, 5])
def test_a_chain_goes_on_from_the_state_of_another_in_whatever_stage_it_was(generations):
    archive, executor = Archive(BANK.values()), Landscape()
    first, rng = chain(archive)

    def turn(one):
        population = one.generate()
        for candidate in population:
            candidate.voice = one.space.decode(candidate.genome)
            candidate.evaluate(executor.evaluate(candidate.voice, OPEN))
        return population

    for _ in range(generations):
        population = turn(first)
        archive.update(population)
        first.update(population)
    other, other_rng = chain(archive, seed=9, state=first.state_dict())
    other_rng.bit_generator.state = rng.bit_generator.state
    assert other.stage.name == first.stage.name == ("one" if generations < 3 else "two")
    expected, got = turn(first), turn(other)
    assert [one.genome.tolist() for one in got] == [one.genome.tolist() for one in expected]
    assert np.array_equal(other.space.decode(got[0].genome), first.space.decode(expected[0].genome))


class Broken:
    def __init__(self, *, space, seeds, rng, gives):
        self.space, self.gives = space, gives

    def generate(self):
        return self.gives(self.space)

    def update(self, population):
        raise RuntimeError("lost its way")


@pytest.mark.parametrize(
    ("gives", "message"),
    [
        (lambda space: [], "at least one"),
        (lambda space: None, "expected a list of candidates"),
        (lambda space: [space.origin], "expected kvw.Candidate"),
        (lambda space: [Candidate(space.origin[:-1])], r"expected genomes of 256 genes.*\(255,\)"),
        (lambda space: [Candidate(np.full(space.dim, np.nan))], "NaN"),
        (lambda space: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda space: [Candidate(space.origin)], "update.*RuntimeError: lost its way"),
    ],
)
def test_a_strategy_that_breaks_its_contract_is_named_in_one_line(gives, message):
    with pytest.raises(KvwError, match=f"strategy mine: .*{message}") as caught:
        go(stages=[SearchStage("mine", Coherent, partial(Broken, gives=gives))])
    assert "\n" not in str(caught.value)


def test_a_chain_ends_when_its_last_strategy_is_finished():
    result, watcher = go(stages=[SearchStage("one", Coherent, Once), SearchStage("two", Coherent, Once)])
    assert (result.reason, result.archive.steps) == ("nothing is left", 2)
    assert [event[0] for event in watcher.stages] == ["one", "one", "two", "two"]


def test_patience_does_not_end_what_counts_against_no_limit():
    stages = [SearchStage("interpolation", Elementwise, interpolation()), SearchStage("walk", Elementwise, RandomWalk)]
    result, watcher = go(stages=stages, budget=Budget(1000, patience=5))
    assert watcher.stages[2][0] == "walk"
    assert "no better voice in 5" in result.reason


def test_the_start_is_left_out_where_the_first_strategy_does_not_begin_there():
    assert go(strategy=interpolation(), budget=Budget(1))[0].start is None


@pytest.mark.parametrize(
    ("member", "value", "message"),
    [
        ("keep", lambda self: {"kept": [1]}, "expected lists of candidates by folder"),
        ("keep", lambda self: [], "expected lists of candidates by folder"),
        ("keep", lambda self: 1 / 0, "ZeroDivisionError"),
        ("reference", lambda self: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_broken_optional_member_is_named_in_one_line_too(member, value, message):
    broken = type("Mine", (RandomWalk,), {member: value})
    with pytest.raises(KvwError, match=f"strategy mine: .*{message}"):
        go(stages=[SearchStage("mine", Coherent, broken)], budget=Budget(2))

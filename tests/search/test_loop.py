"""The loop and the walk, on a landscape without speech, so that every number can be foretold."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from kvw.errors import KvwError
from kvw.evaluation import OPEN, Evaluation, Gate
from kvw.search.budget import Budget
from kvw.search.candidate import Candidate
from kvw.search.loop import search
from kvw.search.ranking import rank
from kvw.search.stage import SearchStage
from kvw.spaces.base import Space
from kvw.spaces.elementwise import Elementwise
from kvw.spaces.offset import Coherent
from kvw.types import VOICE_SHAPE
from strategies.random_walk import RandomWalk
from tests.support.landscape import BANK, Landscape, Once, Watcher, go, voice


def test_the_bank_is_ranked_by_one_stage_and_only_the_top_is_completed():
    executor = Landscape()
    ranking, top = rank(BANK, executor, 3)
    assert [entry.name for entry in ranking] == ["af_c", "af_a", "af_d", "af_f", "af_b", "af_e"]
    assert [entry.name for entry in top] == ["af_c", "af_a", "af_d"]
    assert all(entry.evaluation.complete for entry in top)
    assert sum(count for count, gate in executor.calls if gate.only == "target") == 6
    assert sum(count for count, gate in executor.calls if gate == OPEN) == 3


def test_a_shortlist_of_the_bank_by_a_short_text_speaks_the_target_text():
    executor, watcher = Landscape(), Watcher()
    ranking, top = rank(BANK, executor, 2, [watcher], shortlist=4)
    assert [entry.name for entry in ranking] == ["af_c", "af_a", "af_d", "af_f", "af_b", "af_e"]
    assert [entry.name for entry in top] == ["af_c", "af_a"]
    spoken = {
        stage: sum(count for count, gate in executor.calls if gate.only == stage) for stage in ("probe", "target")
    }
    assert spoken == {"probe": 6, "target": 4}
    assert watcher.done[-1] == (12, 12) and sorted(watcher.done) == watcher.done


def test_with_an_atlas_nobody_speaks_the_short_text():
    executor = Landscape()
    likeness = {name: number / 10 for number, name in enumerate(BANK)}
    ranking, top = rank(BANK, executor, 2, shortlist=4, likeness=likeness)
    nearest = sorted(BANK, key=likeness.get, reverse=True)
    assert {entry.name for entry in ranking[:4]} == set(nearest[:4])
    assert [entry.name for entry in ranking[4:]] == nearest[4:]
    assert [entry.evaluation.target_similarity for entry in ranking[4:]] == [likeness[name] for name in nearest[4:]]
    assert len(top) == 2
    spoken = {
        stage: sum(count for count, gate in executor.calls if gate.only == stage) for stage in ("probe", "target")
    }
    assert spoken == {"probe": 0, "target": 4}


def test_a_shortlist_of_the_whole_bank_or_more_needs_no_short_text():
    executor = Landscape()
    rank(BANK, executor, 2, shortlist=6)
    assert not [gate for _, gate in executor.calls if gate.only == "probe"]
    rank(BANK, executor := Landscape(), 5, shortlist=1)
    assert sum(count for count, gate in executor.calls if gate.only == "target") == 5, "as many as are completed"


def test_a_bank_that_can_not_be_scored_ends_the_search_with_its_own_code():
    with pytest.raises(KvwError, match="silent") as caught:
        go(Landscape(fail=lambda number: True))
    assert caught.value.code == 6


def test_the_walk_starts_at_the_mean_of_the_top_voices():
    result, _ = go(budget=Budget(step_limit=1))
    assert np.allclose(result.start.voice, np.mean([BANK["af_c"], BANK["af_a"], BANK["af_d"]], axis=0), atol=1e-7)
    assert result.start.step == 0


def test_a_search_from_the_best_stock_voice_has_no_other_start():
    result, _ = go(budget=Budget(step_limit=3), start_voices=1)
    assert result.top[0].name == "af_c"
    assert result.start is None
    assert result.archive.best.step > 0, "the stock voice is evaluated first, and is no result"


def test_the_walk_starts_at_the_starting_voice_if_there_is_one():
    result, _ = go(budget=Budget(step_limit=1), starting_voice=voice(0.77))
    assert np.array_equal(result.start.voice, voice(0.77))


@pytest.mark.parametrize("space", [Elementwise, Coherent])
def test_the_walk_improves_and_reports_a_voice_with_the_evaluation_of_that_voice(space):
    executor = Landscape()
    result, _ = go(executor, space=space, budget=Budget(step_limit=200))
    best = result.archive.best
    assert best.evaluation.score > result.start.evaluation.score
    assert executor.evaluate(best.voice, OPEN) == best.evaluation


def test_the_step_limit_counts_every_candidate_after_the_ranking():
    result, watcher = go(budget=Budget(step_limit=17))
    assert result.archive.steps == 17
    assert watcher.generations[-1][2] == 17
    assert result.reason == "step_limit 17 reached"


SLOPE = np.linspace(0, 1, 510, dtype=np.float32)[:, None, None]
CURVED = {name: one + SLOPE * number for number, (name, one) in enumerate(BANK.items())}


class Seeds:
    """Keeps the seeds that it is given."""

    given: ClassVar[list[Candidate]] = []
    space: ClassVar[Space]

    def __init__(self, *, seeds, space, rng):
        Seeds.given, Seeds.space = seeds, space

    def generate(self):
        return [Candidate(self.space.origin)]

    def update(self, population):
        pass


def test_a_seed_has_a_score_only_where_its_genome_decodes_to_the_very_voice():
    executor = Landscape()
    go(executor, space=Coherent, strategy=Seeds, bank=CURVED, budget=Budget(2))
    assert not any(seed.fitness.valid for seed in Seeds.given)
    go(executor, space=Elementwise, strategy=Seeds, bank=CURVED, budget=Budget(2))
    for seed in Seeds.given:
        own = executor.evaluate(Seeds.space.decode(seed.genome), OPEN)
        assert seed.fitness.values == (own.score, own.target_similarity)


def test_no_stock_voice_is_the_result():
    alone, _ = go(bank={"af_a": voice(0.7)}, budget=Budget(1))
    assert alone.start is None
    assert alone.archive.best is None


def test_seeds_that_a_space_holds_exactly_keep_their_evaluation():
    executor = Landscape()
    go(executor, budget=Budget(step_limit=5))
    assert sum(count for count, _ in executor.calls) == 6 + 3 + 5


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (Budget(10_000, stop_score=65.0), "stop_score"),
        (Budget(10_000, minutes=1e-9), "minutes"),
        (Budget(10_000, patience=3), "no better voice in 3"),
    ],
)
def test_every_budget_ends_the_search_and_says_so(budget, reason):
    result, _ = go(budget=budget)
    assert reason in result.reason
    assert result.archive.steps < 10_000


def test_the_gate_is_the_walks_current_voice():
    executor = Landscape()
    result, watcher = go(executor, budget=Budget(step_limit=20))
    gates = [gate for count, gate in executor.calls[-20:]]
    assert gates[0] == Gate(stock=result.baseline.evaluation.parts)
    assert {id(gate.stock) for gate in gates} == {id(gates[0].stock)}
    current = None
    for gate, (_, population, _) in zip(gates, watcher.generations, strict=True):
        if current:
            assert (gate.score, gate.parts["target"]) == current.fitness.values
        if current is None or population[0].fitness.values[0] > current.fitness.values[0]:
            current = population[0]


def test_a_failed_candidate_is_counted_and_never_the_best():
    result, _ = go(Landscape(fail=lambda number: number > 12 and number % 2 == 0))
    assert result.archive.failures == {"silent": sum(result.archive.failures.values())}
    assert result.archive.failures["silent"] > 5
    assert result.archive.best.evaluation.complete


def test_the_same_seed_finds_the_same_voice_and_another_seed_another():
    first, again, other = go(seed=3)[0], go(seed=3)[0], go(seed=4)[0]
    assert np.array_equal(first.archive.best.voice, again.archive.best.voice)
    assert not np.array_equal(first.archive.best.voice, other.archive.best.voice)


def test_observers_see_each_candidates_voice_and_the_search_drops_it_behind_them():
    class Looks(Watcher):
        def __call__(self, generation, population, archive):
            super().__call__(generation, population, archive)
            seen.extend(candidate.voice for candidate in population)

    seen, executor, looks = [], Landscape(), Looks()
    search(
        bank=BANK,
        executor=executor,
        stages=[SearchStage("only", Elementwise, RandomWalk)],
        rng=np.random.default_rng(0),
        budget=Budget(5),
        observers=[looks],
    )
    candidates = [candidate for _, population, _ in looks.generations for candidate in population]
    for candidate, heard in zip(candidates, seen, strict=True):
        assert np.array_equal(heard, candidate.genome.astype(np.float32).reshape(VOICE_SHAPE))
        assert candidate.voice is None


def test_a_strategy_that_is_finished_ends_the_search_with_its_reason():
    result, _ = go(strategy=Once)
    assert (result.reason, result.archive.steps) == ("nothing is left", 1)


def walk(**settings):
    space = Elementwise(bank=list(BANK.values()), top=list(BANK.values()), base=voice(0.0))
    seeds = [Candidate(space.encode(one)) for one in BANK.values()]
    return RandomWalk(space=space, seeds=seeds, rng=np.random.default_rng(0), **settings)


def scored(candidate, score, similarity=0.5):
    candidate.evaluate(Evaluation("complete" if score else "stopped", score, similarity))
    return [candidate]


def test_the_walk_accepts_only_a_higher_score():
    strategy = walk()
    (start,) = strategy.generate()
    strategy.update(scored(start, 50.0))
    for score, similarity, accepted in ((50.0, 0.9, False), (0.0, 0.99, False), (49.9, 0.9, False), (50.1, 0.1, True)):
        (mutant,) = strategy.generate()
        strategy.update(scored(mutant, score, similarity))
        assert (strategy.reference() is mutant) == accepted


def test_a_mutation_has_the_spread_of_the_top_voices_times_the_factor():
    strategy = walk(diversity=(0.1, 0.1))
    (start,) = strategy.generate()
    strategy.update(scored(start, 50.0))
    (mutant,) = strategy.generate()
    levels = [float(one.flat[0]) for one in BANK.values()]
    assert mutant.notes == {"Diversity": pytest.approx(0.1)}
    assert np.std(mutant.genome - start.genome) == pytest.approx(0.1 * np.std(levels, ddof=1), rel=0.02)


def test_clip_keeps_every_number_within_the_top_voices():
    strategy = walk(diversity=(5.0, 5.0), clip=True)
    (start,) = strategy.generate()
    strategy.update(scored(start, 50.0))
    genome = strategy.generate()[0].genome
    assert genome.min() == pytest.approx(-0.8)
    assert genome.max() == pytest.approx(0.9)


@pytest.mark.parametrize("diversity", [(0.2, 0.1), (0.0, 0.1), (0.1,), "wide", (float("nan"), 1.0), None])
def test_a_range_of_diversity_that_is_none_is_refused(diversity):
    with pytest.raises(KvwError, match="diversity"):
        walk(diversity=diversity)


def test_a_batch_walk_takes_the_best_of_its_batch():
    strategy = walk(batch=3)
    (start,) = strategy.generate()
    strategy.update(scored(start, 50.0))
    batch = strategy.generate()
    for candidate, score in zip(batch, (51.0, 53.0, 52.0), strict=True):
        scored(candidate, score)
    strategy.update(batch)
    assert strategy.reference() is batch[1]


def test_an_annealed_walk_halves_its_step():
    strategy = walk(diversity=(0.1, 0.1), half_life=10)
    strategy.update(scored(strategy.generate()[0], 50.0))
    for _ in range(9):
        strategy.update(scored(strategy.generate()[0], 1.0))
    assert strategy.generate()[0].notes["Diversity"] == pytest.approx(0.05)


@pytest.mark.parametrize("settings", [{"batch": 0}, {"half_life": 0.0}, {"half_life": float("nan")}])
def test_settings_of_the_walk_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValueError, match="batch"):
        walk(**settings)

"""Every strategy in every space keeps the contract; then, what each of them promises."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from deap import cma

from kvw.errors import KvwError
from kvw.evaluation import Evaluation
from kvw.search.candidate import Candidate
from kvw.search.operators import Crossover, Mutation
from kvw.search.strategy import Finished, deap_random
from kvw.testing import Oracle, check_strategy, spaces, strategies
from kvw.types import VOICE_SHAPE
from strategies.cma import CMA
from strategies.differential import Differential
from strategies.genetic import Genetic
from strategies.gradient import Gradient
from strategies.interpolation import Interpolation
from strategies.nsga2 import NSGA2
from strategies.predicted import Predicted
from strategies.random_search import RandomSearch
from strategies.random_walk import RandomWalk
from strategies.sep_cma import Separable, SeparableCMA

REFUSED = {
    ("cma", "elementwise"): "sep_cma",
    ("gradient", "elementwise"): "pca_offset",
    ("gradient", "blend"): "pca_offset",
}


@pytest.mark.parametrize("space", spaces())
@pytest.mark.parametrize("name", strategies())
def test_every_strategy_keeps_the_contract_in_every_space(name, space):
    if (name, space) in REFUSED:
        with pytest.raises(KvwError, match=REFUSED[name, space]):
            check_strategy(name, space)
    else:
        check_strategy(name, space)


class Valley:
    """A space of ``dim`` genes, the first of each row; what is sought lies two scales from the origin along each."""

    def __init__(self, dim):
        self.dim, self.origin = dim, np.zeros(dim)
        self.scale = np.linspace(0.5, 2, dim)
        self.goal = 2 * self.scale * np.where(np.arange(dim) % 2, 1, -1)

    def decode(self, genome):
        voice = np.zeros(VOICE_SHAPE, np.float32)
        voice[..., : self.dim] = genome
        return voice

    def encode(self, voice):
        return voice[0, 0, : self.dim].astype(np.float64)

    def pullback(self, gradient):
        return gradient[: self.dim]

    def climb(self, candidate):
        gradient = np.zeros(256, np.float32)
        gradient[: self.dim] = (self.goal - candidate.genome) / self.scale**2
        candidate.evaluate(Evaluation("gradient", 0.0, 0.5, {"target": 0.5}, gradient=gradient))

    def score(self, candidate):
        away = float(np.sqrt(np.mean(((candidate.genome - self.goal) / self.scale) ** 2)))
        parts = {"target": 1 / (1 + away), "self": 1 / (1 + away / 9), "feature": 0.5 + 0.1 * np.tanh(candidate[0])}
        candidate.evaluate(Evaluation("complete", 100 * parts["target"], parts["target"], parts))
        return parts["target"]


class Blurred:
    """Predicts how near a style is to the goal of a valley, with an error half as large as styles differ."""

    here = True

    def __init__(self, space):
        self._space, self._rng = space, np.random.default_rng(3)

    def likeness(self, styles):
        away = np.abs(styles[:, : self._space.dim] - self._space.goal).mean(axis=1)
        return -away + away.std() / 2 * self._rng.standard_normal(len(away))


def given_to(make, given):
    """What a strategy takes of the given."""
    takes = inspect.signature(make).parameters
    return {name: value for name, value in given.items() if name in takes}


def best_of(make, dim, evaluations, seed=0, **settings):
    """The best target similarity that a strategy finds."""
    space, rng = Valley(dim), np.random.default_rng(seed)
    seeds = [Candidate(space.scale * rng.standard_normal(dim)) for _ in range(4)]
    given = {"space": space, "rng": rng, "seeds": seeds, "predictor": Blurred(space)}
    strategy = make(**given_to(make, {**given, **settings}))
    done, found = 0, 0.0
    while done < evaluations:
        population = strategy.generate()
        found = max(found, *(space.score(candidate) for candidate in population), 0)
        strategy.update(population)
        done += len(population)
    return found


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (CMA, {}),
        (SeparableCMA, {}),
        (Genetic, {"mutation": Mutation(sigma=0.4)}),
        (Differential, {}),
        (RandomWalk, {"diversity": (0.1, 0.5)}),
    ],
)
def test_every_strategy_that_learns_does_better_than_random_draws(make, settings):
    floor = best_of(RandomSearch, 30, 600)
    assert best_of(make, 30, 600, **settings) > 1.2 * floor


@pytest.mark.parametrize("make", [CMA, SeparableCMA])
def test_screening_by_a_fair_guess_gets_further_with_as_many_evaluations(make):
    assert best_of(make, 30, 400, screen=4) > best_of(make, 30, 400) + 0.04


def test_without_an_atlas_nothing_is_screened():
    space = Valley(6)
    blind = Blurred(space)
    blind.here = False
    one, other = (CMA(space=space, seeds=[], rng=np.random.default_rng(0), predictor=blind, screen=by) for by in (1, 4))
    assert [mine.genome.tolist() for mine in one.generate()] == [his.genome.tolist() for his in other.generate()]


def test_cma_is_deaps_own_on_scaled_genes():
    space = Valley(6)
    ours = CMA(space=space, seeds=[], rng=np.random.default_rng(0), predictor=Oracle(), sigma=0.5, population=8)
    deaps = cma.Strategy(np.zeros(6), 0.5, lambda_=8)
    for _ in range(10):
        population = ours.generate()
        for candidate in population:
            space.score(candidate)
        assert population[0].genome == pytest.approx(deaps.centroid * space.scale)
        points = [Candidate(candidate.genome / space.scale) for candidate in population[1:]]
        for point, candidate in zip(points, population[1:], strict=True):
            point.fitness = candidate.fitness
        ours.update(population)
        deaps.update(points)
        state = ours.state_dict()["cma"]
        assert state["centroid"] == pytest.approx(deaps.centroid)
        assert state["C"] == pytest.approx(deaps.C)
        assert state["sigma"] == pytest.approx(deaps.sigma)


def test_separable_cma_is_cma_where_there_is_one_gene():
    one, other = Separable(np.zeros(1), 0.5, lambda_=6), cma.Strategy(np.zeros(1), 0.5, lambda_=6)
    space, rng = Valley(1), np.random.default_rng(0)
    for _ in range(10):
        points = [Candidate(one.centroid + one.sigma * rng.standard_normal(1)) for _ in range(6)]
        for point in points:
            space.score(point)
        one.update(list(points))
        other.update(list(points))
        assert (one.sigma, one.centroid[0], one.C[0]) == pytest.approx((other.sigma, other.centroid[0], other.C[0, 0]))


def test_separable_cma_learns_the_scale_of_each_gene():
    engine, rng = Separable(np.ones(20), 0.5, lambda_=12), np.random.default_rng(0)
    steep = np.where(np.arange(20) < 10, 1.0, 30.0)
    with deap_random(rng):
        for _ in range(120):
            points = engine.generate(Candidate)
            for point in points:
                point.fitness.values = (-float(np.sum((steep * point.genome) ** 2)), 0.0)
            engine.update(points)
    assert np.median(engine.C[:10]) > 20 * np.median(engine.C[10:])


def test_cma_starts_again_around_its_best_with_twice_the_population_when_it_stalls():
    space = Valley(5)
    strategy = SeparableCMA(
        space=space, seeds=[], rng=np.random.default_rng(0), predictor=Oracle(), population=6, patience=3
    )
    first = strategy.generate()
    for candidate in first:
        space.score(candidate)
    strategy.update(first)
    best = strategy.best
    for _ in range(3):
        population = strategy.generate()
        for candidate in population:
            candidate.evaluate(Evaluation("silent"))
        strategy.update(population)
    assert len(strategy.generate()) == 1 + 12
    assert strategy.state_dict()["cma"]["centroid"] == pytest.approx(best.genome / space.scale)


def evaluated(population, scores):
    for candidate, score in zip(population, scores, strict=True):
        candidate.evaluate(Evaluation("complete" if score else "stopped", score, score / 100))
    return population


def genetic(**settings):
    space = Valley(8)
    seeds = [Candidate(np.full(8, level)) for level in (1.0, 2.0)]
    return Genetic(space=space, seeds=seeds, rng=np.random.default_rng(0), size=8, elites=2, **settings)


def test_the_elite_lives_on_and_a_stopped_candidate_is_never_of_it():
    strategy = genetic()
    first = evaluated(strategy.generate(), [50, 0, 60, 0, 0, 0, 0, 0])
    strategy.update(first)
    children = strategy.generate()
    assert len(children) == 6
    strategy.update(evaluated(children, [0] * 6))
    assert [one for one in strategy.population if one.evaluation.complete] == [first[2], first[0]]


def test_seeds_whose_score_is_known_are_not_evaluated_again():
    space = Valley(8)
    seeds = evaluated([Candidate(np.full(8, level)) for level in (1.0, 2.0)], [50, 60])
    strategy = Genetic(space=space, seeds=seeds, rng=np.random.default_rng(0), size=8, elites=2)
    first = strategy.generate()
    assert len(first) == 6
    strategy.update(evaluated(first, [10] * 6))
    assert len(strategy.population) == 8
    assert [one for one in seeds if one in strategy.population] == seeds


def test_immigrants_come_when_nothing_gets_better():
    strategy = genetic(patience=2, immigrants=0.5, mutation=Mutation(sigma=1e-6), crossover=Crossover(probability=0.0))
    strategy.update(evaluated(strategy.generate(), [50] * 8))

    def strangers(population):
        """Those that are no near copy of a parent."""
        parents = np.array([one.genome for one in strategy.population])
        return sum(np.abs(parents - one.genome).max(axis=1).min() > 1e-3 for one in population)

    counts = []
    for _ in range(4):
        children = strategy.generate()
        counts.append(strangers(children))
        strategy.update(evaluated(children, [1] * 6))
    assert counts == [0, 0, 3, 0]


def test_the_front_of_nsga2_is_all_that_nothing_dominates_and_it_runs_without_a_gate():
    space, rng = Valley(12), np.random.default_rng(0)
    seeds = [Candidate(space.scale * rng.standard_normal(12)) for _ in range(4)]
    strategy = NSGA2(space=space, seeds=seeds, rng=rng, size=12)
    for _ in range(5):
        assert strategy.reference() is None
        population = strategy.generate()
        for candidate in population:
            space.score(candidate)
        strategy.update(population)
    points = [tuple(one.evaluation.parts.values()) for one in strategy.population]
    front = [tuple(one.evaluation.parts.values()) for one in strategy.keep()["front"]]

    def dominated(point):
        return any(all(a >= b for a, b in zip(other, point, strict=True)) and other != point for other in points)

    assert set(front) == {point for point in points if not dominated(point)}
    assert front == sorted(front, reverse=True)


def test_a_child_of_differential_evolution_takes_its_parents_place_only_if_it_is_better():
    space = Valley(6)
    strategy = Differential(space=space, seeds=[Candidate(np.ones(6))], rng=np.random.default_rng(0), size=5)
    strategy.update(evaluated(strategy.generate(), [10, 20, 30, 40, 50]))
    parents = list(strategy.population)
    children = evaluated(strategy.generate(), [11, 19, 0, 41, 1])
    strategy.update(children)
    assert strategy.population == [children[0], parents[1], parents[2], children[3], parents[4]]


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (RandomSearch, {"sigma": 0.0}),
        (RandomSearch, {"batch": 0}),
        (CMA, {"sigma": -1.0}),
        (CMA, {"population": 1}),
        (Genetic, {"elites": 24}),
        (Genetic, {"size": 1}),
        (Differential, {"size": 4}),
        (Differential, {"scheme": "worst"}),
        (NSGA2, {"size": 10}),
        (Gradient, {"steps": 0}),
        (Gradient, {"momentum": 1.0}),
        (Gradient, {"prior": -0.1}),
        (Interpolation, {"step": 0.0}),
        (Interpolation, {"seeds": [Candidate([1.0])]}),
    ],
)
def test_settings_out_of_range_are_refused_with_what_was_expected(make, settings):
    given = {
        "space": Valley(3),
        "seeds": [Candidate(np.ones(3))] * 2,
        "rng": np.random.default_rng(0),
        "predictor": Oracle(),
        "gradients": Oracle(),
    }
    with pytest.raises(ValueError, match="expected"):
        make(**given_to(make, {**given, **settings}))


def climber(dim=20, **settings):
    space = Valley(dim)
    return space, Gradient(space=space, rng=np.random.default_rng(0), gradients=Oracle(), **settings)


def climbed(space, strategy):
    """The generations of a strategy, evaluated."""
    generations = []
    while True:
        try:
            population = strategy.generate()
        except Finished:
            return generations
        for candidate in population:
            space.climb(candidate) if candidate.pullback else space.score(candidate)
        strategy.update(population)
        generations.append(population)


def test_steps_along_gradients_lead_uphill_and_have_the_lengths_that_were_asked_for():
    space, strategy = climber(steps=40, rate=0.4, prior=0.0, every=40)
    generations = climbed(space, strategy)
    points = [population[-1].genome / space.scale for population in generations[:-1]]
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    assert lengths == pytest.approx(0.4 * (0.55 + 0.45 * np.cos(np.pi * np.arange(39) / 40)))
    (offered,) = generations[-1]
    assert offered.fitness.values[1] > 0.95 > 0.4 > space.score(Candidate(space.origin))


def test_offers_are_the_mean_of_the_latest_points_and_all_that_is_scored():
    space, strategy = climber(steps=9, texts=2, every=6)
    generations = climbed(space, strategy)
    assert [len(population) for population in generations] == [2, 2, 2, 2, 2, 2, 3, 2, 2, 1]
    assert sum(map(len, generations)) == strategy.most
    points = [population[-1].genome for population in generations[:-1]]
    assert generations[6][0].genome == pytest.approx(np.mean(points[1:7], axis=0))
    for population in generations:
        texts = [one.pullback.text for one in population if one.pullback]
        assert len(set(texts)) == len(texts)


def test_the_prior_draws_to_where_it_began():
    def way(prior):
        space, strategy = climber(steps=30, prior=prior)
        return np.linalg.norm(climbed(space, strategy)[-1][0].genome - space.origin)

    assert way(1e3) < 0.5 * way(0.0)


def test_a_step_without_a_gradient_is_left_out_and_the_next_one_asks_for_others():
    space, strategy = climber(steps=3)
    first = strategy.generate()
    first[0].evaluate(Evaluation("no gradient"))
    strategy.update(first)
    second = strategy.generate()
    assert np.array_equal(second[0].genome, first[0].genome)
    assert second[0].pullback != first[0].pullback
    assert len(climbed(space, strategy)) == 2 + 1


def test_without_an_atlas_a_search_goes_on_where_none_was_asked_for():
    class Nowhere:
        here = False

        def __call__(self, count):
            raise KvwError("none")

    strategy = Predicted(space=Valley(5), predictor=Nowhere(), optional=True)
    assert strategy.total == 4
    with pytest.raises(Finished, match="no atlas"):
        strategy.generate()
    assert (strategy.total, strategy.keep()) == (0, {})


@pytest.mark.parametrize("count", [0, 9])
def test_an_atlas_is_asked_for_one_to_eight_proposals(count):
    with pytest.raises(ValueError, match="count: expected 1 to 8"):
        Predicted(space=Valley(5), predictor=Oracle(), count=count)

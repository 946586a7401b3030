from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvw.evaluation import Evaluation
from kvw.search.candidate import Candidate
from kvw.search.operators import Crossover, Mutation, Selection, newcomers
from kvw.spaces.base import PROSODY, TIMBRE, VOICE_STD
from kvw.spaces.elementwise import Elementwise
from kvw.spaces.offset import Coherent
from kvw.types import VOICE_SHAPE


class Flat:
    """A space of ``dim`` genes of unequal scales around an origin that is not 0."""

    def __init__(self, dim=200):
        self.dim = dim
        self.scale = np.linspace(0.5, 2, dim)
        self.origin = np.full(dim, 3.0)


def crossed(crossover, space, one, two, seed=0):
    first, second = Candidate(one), Candidate(two)
    crossover(first, second, space, np.random.default_rng(seed))
    return first.genome, second.genome


def draws(dim, seed):
    return np.random.default_rng(seed).standard_normal((2, dim)) + 3


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), name=st.sampled_from(["blend", "simulated_binary"]))
def test_children_lie_evenly_around_the_middle_of_their_parents(seed, name):
    one, two = draws(50, seed)
    left, right = crossed(Crossover(name, probability=1.0), Flat(50), one, two, seed)
    assert left + right == pytest.approx(one + two)
    assert not np.allclose(left, one)


def test_blend_stays_within_alpha_of_the_parents_and_reaches_beyond_them():
    one, two = np.zeros(5000), np.ones(5000)
    left, _ = crossed(Crossover("blend", 1.0, alpha=0.3), Flat(5000), one, two)
    assert left.min() == pytest.approx(-0.3, abs=0.01)
    assert left.max() == pytest.approx(1.3, abs=0.01)


def test_simulated_binary_is_nearer_to_the_parents_for_a_higher_eta():
    one, two = np.zeros(5000), np.ones(5000)
    apart = []
    for eta in (2.0, 30.0):
        left, right = crossed(Crossover("simulated_binary", 1.0, eta=eta), Flat(5000), one, two)
        apart.append(np.abs(np.minimum(left, right)).mean())
    assert apart[1] < apart[0] / 5


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000))
def test_spherical_children_of_parents_at_equal_distance_keep_that_distance(seed):
    space = Flat(60)
    one, two = draws(60, seed) - 3
    one, two = (space.origin + side / np.linalg.norm(side) * 5 * space.scale for side in (one, two))
    for child in crossed(Crossover("spherical", 1.0), space, one, two, seed):
        assert np.linalg.norm((child - space.origin) / space.scale) == pytest.approx(5)


def test_spherical_children_of_opposite_or_equal_parents_are_finite():
    space = Flat(10)
    side = np.linspace(1, 2, 10)
    for two in (space.origin - side, space.origin + side, space.origin):
        for child in crossed(Crossover("spherical", 1.0), space, space.origin + side, two):
            assert np.isfinite(child).all()


@pytest.mark.parametrize("kind", [Elementwise, Coherent])
def test_halves_gives_each_child_the_timbre_of_one_and_the_prosody_of_the_other(kind):
    rng = np.random.default_rng(0)
    bank = list((rng.standard_normal((3, *VOICE_SHAPE)) * VOICE_STD).astype(np.float32))
    space = kind(bank=bank, top=bank, base=bank[0])
    one, two = space.encode(bank[1]), space.encode(bank[2])
    parents = [space.decode(genome) for genome in (one, two)]
    children = [space.decode(genome) for genome in crossed(Crossover("halves", 1.0), space, one, two)]
    for child, timbre, prosody in zip(children, parents[::-1], parents, strict=True):
        assert np.allclose(child[..., TIMBRE], timbre[..., TIMBRE], atol=1e-6)
        assert np.allclose(child[..., PROSODY], prosody[..., PROSODY], atol=1e-6)


def test_a_crossover_of_probability_0_leaves_the_parents_as_they_were():
    one, two = draws(20, 0)
    assert np.array_equal(crossed(Crossover(probability=0.0), Flat(20), one, two), [one, two])


@pytest.mark.parametrize(("name", "share", "sigma"), [("gaussian", 0.3, 0.15), ("sparse", 0.03, 0.15 * np.sqrt(10))])
def test_a_mutation_changes_its_share_of_genes_by_sigma_scales(name, share, sigma):
    space = Flat(20_000)
    child = Candidate(space.origin)
    Mutation(name, sigma=0.15, share=0.3)(child, space, np.random.default_rng(0))
    moved = (child.genome - space.origin) / space.scale
    assert np.mean(moved != 0) == pytest.approx(share, rel=0.1)
    assert np.std(moved[moved != 0]) == pytest.approx(sigma, rel=0.1)
    assert child.notes["Sigma"] == pytest.approx(sigma)


def test_a_self_adaptive_step_is_inherited_and_varies():
    space, rng, steps = Flat(50), np.random.default_rng(0), []
    for inherited in (None, 0.01):
        for _ in range(200):
            child = Candidate(space.origin, notes={"Sigma": inherited} if inherited else None)
            Mutation("self_adaptive", sigma=0.15)(child, space, rng)
            steps.append(child.notes["Sigma"])
    assert np.median(steps[:200]) == pytest.approx(0.15, rel=0.05)
    assert np.median(steps[200:]) == pytest.approx(0.01, rel=0.05)
    assert len(set(steps)) == 400


def population(scores):
    people = [Candidate([score]) for score in scores]
    for one, score in zip(people, scores, strict=True):
        one.evaluate(Evaluation("complete" if score else "stopped", score, score / 100))
    return people


@pytest.mark.parametrize("name", ["tournament", "best", "lexicase"])
def test_selection_prefers_the_better_and_random_does_not(name):
    people, rng = population(np.linspace(10, 90, 20)), np.random.default_rng(0)
    chosen = Selection(name)(people, 400, rng)
    blind = Selection("random")(people, 400, rng)
    assert len(chosen) == 400
    assert np.mean([one.fitness.values[0] for one in blind]) == pytest.approx(50, abs=5)
    assert np.mean([one.fitness.values[0] for one in chosen]) > 65


def test_newcomers_are_blends_of_the_seeds_with_a_little_noise():
    space = Flat(1000)
    seeds = [Candidate(np.full(1000, level)) for level in (0.0, 1.0, 4.0)]
    for one in newcomers(space, seeds, 20, np.random.default_rng(0)):
        assert -0.1 < one.genome.mean() < 4.1
        assert np.std((one.genome - one.genome.mean()) / space.scale) == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Selection("roulette"), "expected tournament, best, lexicase, random; got 'roulette'"),
        (lambda: Selection(size=0), "selection.size"),
        (lambda: Crossover("two_point"), "blend, simulated_binary, spherical, halves"),
        (lambda: Crossover(probability=1.1), "crossover.probability"),
        (lambda: Crossover(alpha=-1), "crossover.alpha"),
        (lambda: Mutation("uniform"), "gaussian, sparse, self_adaptive"),
        (lambda: Mutation(sigma=float("nan")), "mutation.sigma"),
        (lambda: Mutation(share=0), "mutation.share"),
    ],
)
def test_unknown_names_and_numbers_out_of_range_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()

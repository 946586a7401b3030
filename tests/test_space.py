from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from deap import tools
from hypothesis import given, settings
from hypothesis import strategies as st

from kvw.candidate import Candidate, Evaluation, Score
from kvw.space import VOICE_STD, Coherent, Elementwise, spread
from kvw.types import VOICE_SHAPE


def voices(seed, count=4):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((count, 1, 1, 256)) * 0.14 + np.linspace(0, 0.1, 510)[None, :, None, None]
    return list(rows.astype(np.float32))


def make(kind, seed):
    top = voices(seed)
    return kind(bank=top, top=top, base=np.mean(top, axis=0))


@pytest.mark.parametrize("kind", [Elementwise, Coherent])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), size=st.floats(0.01, 3))
def test_a_genome_comes_back_from_its_voice(kind, seed, size):
    space = make(kind, seed)
    genome = space.origin + np.random.default_rng(seed).standard_normal(space.dim) * space.scale * size
    voice = space.decode(genome)
    assert voice.shape == VOICE_SHAPE
    assert voice.dtype == np.float32
    assert np.allclose(space.encode(voice), genome, atol=1e-5)


@pytest.mark.parametrize("kind", [Elementwise, Coherent])
def test_the_origin_is_the_base_voice_and_scales_are_positive(kind):
    base = voices(5)[0]
    space = kind(bank=voices(1), top=voices(1), base=base)
    assert np.allclose(space.decode(space.origin), base, atol=1e-7)
    assert space.scale.shape == (space.dim,)
    assert (space.scale > 0).all()


def test_the_elementwise_space_loses_nothing():
    space, voice = make(Elementwise, 0), voices(9)[0]
    assert np.array_equal(space.decode(space.encode(voice)), voice)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_coherent_space_keeps_the_row_curve_of_the_base_voice(seed):
    base = voices(seed)[1]
    space = Coherent(bank=voices(seed), top=voices(seed), base=base)
    moved = space.decode(np.random.default_rng(seed).standard_normal(256))
    assert np.allclose(np.diff(moved, axis=0), np.diff(base, axis=0), atol=1e-6)


def test_spread_is_the_sample_deviation_and_that_of_kokoros_voices_where_there_is_none():
    genomes = [np.array([0.0, 1.0]), np.array([2.0, 1.0])]
    assert spread(genomes) == pytest.approx([np.sqrt(2), VOICE_STD])
    assert spread(genomes[:1]) == pytest.approx([VOICE_STD, VOICE_STD])


def test_deaps_crossover_exchanges_slices_rather_than_copying_one_over_the_other():
    first, second = Candidate(np.zeros(10)), Candidate(np.ones(10))
    tools.cxTwoPoint(first, second)
    assert np.array_equal(first.genome + second.genome, np.ones(10))
    assert 0 < first.genome.sum() < 10


def test_a_candidate_survives_pickling_and_deep_copies_with_its_fitness():
    candidate = Candidate([1.0, 2.0], notes={"Diversity": 0.1})
    candidate.evaluate(Evaluation("complete", 50.0, 0.5))
    for twin in (pickle.loads(pickle.dumps(candidate)), copy.deepcopy(candidate)):
        assert np.array_equal(twin.genome, candidate.genome)
        assert twin.genome is not candidate.genome
        assert (twin.fitness.values, twin.notes) == ((50.0, 0.5), {"Diversity": 0.1})


def test_candidates_that_were_stopped_are_ordered_by_similarity_below_every_complete_one():
    ordered = [Score((0.0, -1.0)), Score((0.0, 0.3)), Score((0.0, 0.6)), Score((10.0, 0.2))]
    assert sorted((ordered[2], ordered[0], ordered[3], ordered[1])) == ordered


def test_deap_stacks_candidates_as_arrays():
    mean = np.dot(np.array([0.5, 0.5]), [Candidate([1.0, 2.0]), Candidate([3.0, 4.0])])
    assert mean == pytest.approx([2.0, 3.0])

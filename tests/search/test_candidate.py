"""Candidates as DEAP sees them."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from deap import tools

from kvw.evaluation import Evaluation
from kvw.search.candidate import Candidate, Score


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

"""What the executors share."""

from __future__ import annotations

import numpy as np
import pytest

from kvw.errors import KvwError
from kvw.evaluation import OPEN, Evaluation
from kvw.executors.base import evaluate_with, evaluated

VOICES = [np.full((510, 1, 256), number, np.float32) for number in range(3)]


def own_fitness(voices, gate, cache):
    """A user's own: it has no answer for the second voice."""
    assert len(gate) == len(voices)
    return [Evaluation("complete", 100 / (voice[0, 0, 0] - 1), 0.5) for voice in voices]


def test_a_fitness_that_raises_fails_the_candidate_alone():
    with np.errstate(divide="raise"):
        found = evaluated(own_fitness, VOICES, [OPEN] * 3)
        worker, _ = evaluate_with(own_fitness, VOICES, [OPEN] * 3, {})
    assert [one.status for one in found] == ["complete", "raised", "complete"]
    assert found[1].failed and found[1].detail.startswith("FloatingPointError: divide by zero")
    assert worker == found


@pytest.mark.parametrize("error", [KvwError("the model is gone"), KeyboardInterrupt()])
def test_what_no_candidate_can_help_ends_the_search(error):
    def fitness(voices, gate, cache):
        raise error

    with pytest.raises(type(error)):
        evaluated(fitness, VOICES, OPEN)

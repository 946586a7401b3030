"""Gates: the margin of the incumbent, and the rule that never stops a winner."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvw.evaluation import OPEN, Gate, harmonic_mean
from kvw.fitness.hybrid import NEEDED, STAGES
from kvw.fitness.rules import KeepsUp, Lossless, Margin
from tests.conftest import WEIGHTS

SIMILARITY = st.floats(0.01, 1.0)

WEIGHED = st.fixed_dictionaries(
    dict.fromkeys(NEEDED, st.floats(0.01, 1)), optional=dict.fromkeys(set(STAGES) - set(NEEDED), st.floats(0, 1))
)


def test_the_margin_stops_below_its_share_of_the_incumbent_and_not_at_it():
    rule, gate = Margin(0.98), Gate(score=80, parts={"target": 0.5, "self": 0.9})
    edge = 0.98 * 0.5
    assert rule("target", {"target": edge}, WEIGHTS, gate)
    assert rule("target", {"target": np.nextafter(edge, 1)}, WEIGHTS, gate)
    assert not rule("target", {"target": np.nextafter(edge, 0)}, WEIGHTS, gate)
    assert not rule("self", {"target": edge, "self": 0.8}, WEIGHTS, gate)
    assert rule("probe", {"probe": 0.0}, WEIGHTS, gate), "the reference has no such part"
    assert rule("target", {"target": 0.0}, WEIGHTS, OPEN)


def test_a_candidate_keeps_up_with_the_best_stock_voice_whatever_the_incumbent_has_lost():
    rule, gate = KeepsUp(0.125), Gate(score=80, parts={"words": 0.5}, stock={"words": 0.75, "target": 0.9})
    assert rule("words", {"words": 0.625}, WEIGHTS, gate)
    assert not rule("words", {"words": np.nextafter(0.625, 0)}, WEIGHTS, gate)
    assert rule("words", {"words": 0.0}, WEIGHTS, OPEN), "there is no stock voice"


@pytest.mark.parametrize("rule", [lambda: Margin(-0.1), lambda: Margin(float("nan")), lambda: KeepsUp(-0.1)])
def test_a_rule_out_of_its_range_is_refused(rule):
    with pytest.raises(ValueError, match="expected"):
        rule()


@given(st.fixed_dictionaries(dict.fromkeys(STAGES, SIMILARITY)), WEIGHED, st.floats(0, 100))
def test_the_lossless_rule_never_stops_a_winner_after_any_stage(parts, weights, incumbent):
    score = harmonic_mean(parts, weights)
    ran = [stage for stage in STAGES if stage in weights]
    for reached, stage in enumerate(ran, start=1):
        passed = Lossless()(stage, {name: parts[name] for name in ran[:reached]}, weights, Gate(score=incumbent))
        assert passed or score <= incumbent
    assert passed == (score > incumbent), "nothing remains"


def test_the_lossless_rule_stops_who_can_not_win():
    assert not Lossless()("target", {"target": 0.5}, WEIGHTS, Gate(score=80))

from __future__ import annotations

import numpy as np
import pytest
import resemblyzer
import torch
from hypothesis import given
from hypothesis import strategies as st

from kvw import features
from kvw.fitness import OPEN, Gate, HybridFitness, Lossless, Margin, harmonic_mean
from kvw.types import SAMPLE_RATE, KvwError
from tests.conftest import SHORT, WEIGHTS, Recorded, default_fitness, numbered
from tests.reference import own_embedding

SIMILARITY = st.floats(0.01, 1.0)


@pytest.mark.parametrize(
    ("target", "self_", "feature", "score"),
    [(0.709, 0.978, 0.47, 81.22), (0.780, 0.973, 0.34, 84.20), (0.917, 0.971, 0.54, 92.99)],
)
def test_the_documents_rows_have_the_documents_scores(target, self_, feature, score):
    parts = {"target": target, "self": self_, "feature": feature}
    assert harmonic_mean(parts, WEIGHTS) == pytest.approx(score, abs=0.05)


def test_a_similarity_of_zero_gives_a_score_of_zero():
    assert harmonic_mean({"target": 0.9, "self": 0.0, "feature": 0.5}, WEIGHTS) == 0.0


def test_the_margin_stops_below_its_share_of_the_incumbent_and_not_at_it():
    rule, gate = Margin(0.98), Gate(score=80, target_similarity=0.5)
    edge = 0.98 * 0.5
    assert rule({"target": edge}, WEIGHTS, gate)
    assert rule({"target": np.nextafter(edge, 1)}, WEIGHTS, gate)
    assert not rule({"target": np.nextafter(edge, 0)}, WEIGHTS, gate)
    assert rule({"target": 0.0}, WEIGHTS, OPEN)


@given(SIMILARITY, SIMILARITY, SIMILARITY, st.floats(0, 100))
def test_the_lossless_rule_never_stops_a_winner_and_stops_whoever_can_not_win(target, self_, feature, incumbent):
    gate = Gate(score=incumbent, target_similarity=0.5)
    score = harmonic_mean({"target": target, "self": self_, "feature": feature}, WEIGHTS)
    passed = Lossless()({"target": target, "self": self_}, WEIGHTS, gate)
    if score > incumbent:
        assert passed
    if not passed:
        assert score <= incumbent


def test_a_score_is_what_resemblyzers_own_functions_and_the_formula_say(fitness, embedded, demo, bank):
    voice = bank["af_grace"]
    spoken = {text: fitness.ear.speak([voice], embedded.script(text))[0] for text in SHORT.values()}
    own = resemblyzer.VoiceEncoder("cpu", verbose=False)

    target_wave, other_wave = spoken[SHORT["target_text"]], spoken[SHORT["other_text"]]
    target = float(np.inner(own_embedding(own, target_wave), own_embedding(own, demo)))
    itself = float(np.inner(own_embedding(own, target_wave), own_embedding(own, other_wave)))
    feature = features.capped_similarity(features.statistics(target_wave), features.statistics(demo))
    (evaluation,) = fitness([voice])
    assert evaluation.complete
    assert evaluation.parts["target"] == pytest.approx(target, abs=1e-6)
    assert evaluation.parts["self"] == pytest.approx(itself, abs=1e-6)
    assert evaluation.parts["feature"] == pytest.approx(feature, abs=1e-9)
    assert evaluation.score == pytest.approx(100 / (0.48 / target + 0.5 / itself + 0.02 / feature), abs=1e-4)
    assert evaluation.synthesised == pytest.approx((len(target_wave) + len(other_wave)) / SAMPLE_RATE)


def test_a_batch_scores_as_its_voices_one_by_one_bit_for_bit(fitness, bank):
    voices = list(bank.values())[:5]
    median = float(np.median([seen.target_similarity for seen in fitness(voices, Gate(stages=1))]))
    gate = Gate(score=20, target_similarity=median / 0.98)
    together = fitness(voices, gate)
    assert together == [fitness([voice], gate)[0] for voice in voices]
    assert len({evaluation.status for evaluation in together}) > 1, "the gate should divide these voices"


def test_an_evaluation_leaves_the_global_random_states_alone(fitness, bank):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002 - the state under test
    fitness([bank["am_hugo"]])
    assert torch.equal(torch_state, torch.get_rng_state())
    assert np.array_equal(numpy_state[1], np.random.get_state()[1])  # noqa: NPY002


def test_ranking_runs_the_first_stage_alone(fitness, bank):
    (evaluation,) = fitness([bank["af_iris"]], Gate(stages=1))
    assert (evaluation.status, evaluation.stage, list(evaluation.parts)) == ("stopped", "target", ["target"])
    assert (evaluation.score, evaluation.target_similarity) == (0.0, evaluation.parts["target"])


@pytest.fixture
def speech(fitness, embedded, bank):
    return fitness.ear.speak([bank["af_iris"]], embedded.script(SHORT["target_text"]))[0]


def recorded_fitness(waves, other, encoder, demo, **settings):
    synthesizer = Recorded(waves, other)
    made = default_fitness(synthesizer=synthesizer, encoder=encoder, target=demo, **SHORT, **settings)
    return made, synthesizer


def test_a_stopped_candidate_never_speaks_the_other_text(speech, encoder, demo):
    fitness, synthesizer = recorded_fitness([speech], speech, encoder, demo)
    (evaluation,) = fitness([numbered(0)], Gate(score=99, target_similarity=1.0))
    assert (evaluation.status, evaluation.stage) == ("stopped", "target")
    assert synthesizer.spoken == [SHORT["target_text"]]


def test_each_wave_is_embedded_once(speech, encoder, demo):
    fitness, _ = recorded_fitness([speech], speech, encoder, demo)
    heard = []

    def counting(waves):
        heard.extend(waves)
        return encoder(waves)

    fitness.ear.encoder = counting
    assert fitness([numbered(0)])[0].complete
    assert len(heard) == 2


@pytest.mark.parametrize(
    ("status", "wave"),
    [
        ("empty", np.zeros(0, np.float32)),
        ("not finite", np.full(SAMPLE_RATE * 2, np.nan, np.float32)),
        ("not finite", np.full(SAMPLE_RATE * 2, np.inf, np.float32)),
        ("too short", np.ones(100, np.float32)),
        ("too long", np.ones(SAMPLE_RATE * 60, np.float32)),
        ("silent", np.zeros(SAMPLE_RATE * 2, np.float32)),
        ("silent", np.full(SAMPLE_RATE * 2, 1e-6, np.float32)),
        ("no speech", np.sin(np.arange(SAMPLE_RATE * 2) / 2000).astype(np.float32)),
    ],
)
def test_bad_audio_is_a_named_failure_and_harms_no_neighbour(status, wave, speech, encoder, demo):
    fitness, _ = recorded_fitness([speech, wave], speech, encoder, demo)
    good, bad, again = fitness([numbered(0), numbered(1), numbered(0)])
    assert (bad.status, bad.score, bad.target_similarity, bad.failed) == (status, 0.0, -1.0, True)
    assert good == again == fitness([numbered(0)])[0]
    assert good.complete


def test_a_voice_with_infinity_in_a_row_that_nobody_hears_is_a_failure(fitness, bank):
    voice = bank["af_iris"].copy()
    voice[500, 0, 0] = np.inf
    (evaluation,) = fitness([voice])
    assert (evaluation.status, evaluation.score, evaluation.synthesised) == ("not finite", 0.0, 0.0)


def test_audio_that_fails_in_the_second_stage_is_a_failure_too(speech, encoder, demo):
    fitness, _ = recorded_fitness([speech], np.zeros(SAMPLE_RATE * 2, np.float32), encoder, demo)
    (evaluation,) = fitness([numbered(0)])
    assert (evaluation.status, evaluation.stage, evaluation.target_similarity) == ("silent", "self", -1.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weights": {"target": 1.0}}, "weights"),
        ({"weights": WEIGHTS | {"self": -1.0}}, "weights"),
        ({"weights": dict.fromkeys(WEIGHTS, 0.0)}, "weights"),
        ({"gates": {"pitch": Margin()}}, "gates"),
        ({"formula": "best"}, "formula"),
        ({"target": np.zeros(SAMPLE_RATE * 5, np.float32)}, "target"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message, speech, encoder, demo):
    with pytest.raises(ValueError, match=message):
        given = {"synthesizer": Recorded([speech], speech), "encoder": encoder, "target": demo, "seed": 0}
        HybridFitness(**{**given, **SHORT, "weights": WEIGHTS, "gates": {}, **settings})


def test_a_text_that_can_not_be_spoken_is_refused(embedded, encoder, demo):
    with pytest.raises(KvwError, match="text"):
        HybridFitness(
            synthesizer=embedded,
            encoder=encoder,
            target=demo,
            target_text="!?",
            other_text="words",
            seed=0,
            weights=WEIGHTS,
            gates={},
        )

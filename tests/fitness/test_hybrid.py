"""The whole evaluation: scores, stages, gates between them, and failures with names.

Above 300 lines, because every optional stage is tested within the whole.
"""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import resemblyzer
import torch

from kvw.config.fitness import FitnessSpec, prior_of
from kvw.config.inputs import read_inputs
from kvw.config.invocation import compose
from kvw.config.nodes import build
from kvw.config.paths import CONF
from kvw.config.schema import plain
from kvw.errors import KvwError
from kvw.evaluation import Gate, harmonic_mean
from kvw.fitness import acoustics
from kvw.fitness.bank_distance import BankDistance
from kvw.fitness.hybrid import STAGES, HybridFitness
from kvw.fitness.rules import Lossless, Margin
from kvw.fitness.speaker import SpeakerEncoder
from kvw.types import SAMPLE_RATE
from tests.conftest import SHORT, WEIGHTS, Recorded, default_fitness, numbered
from tests.support.fitness import recorded_fitness
from tests.support.reference import own_embedding

PROBE = "She carried nine lemons home."
FURTHER = ["Nobody was there.", "The boats lay still in the quiet harbour."]
AVERAGED = {"target": 0.24, "others": 0.24, "self": 0.5, "feature": 0.02}


@pytest.mark.parametrize(
    ("target", "self_", "feature", "score"),
    [(0.709, 0.978, 0.47, 81.22), (0.780, 0.973, 0.34, 84.20), (0.917, 0.971, 0.54, 92.99)],
)
def test_kvoicewalks_rows_have_kvoicewalks_scores(target, self_, feature, score):
    parts = {"target": target, "self": self_, "feature": feature}
    assert harmonic_mean(parts, WEIGHTS) == pytest.approx(score, abs=0.05)


def test_a_similarity_of_zero_gives_a_score_of_zero():
    assert harmonic_mean({"target": 0.9, "self": 0.0, "feature": 0.5}, WEIGHTS) == 0.0


def test_what_weighs_nothing_does_not_count():
    parts = {"target": 0.7, "self": 0.9, "feature": 0.5}
    assert harmonic_mean(parts | {"probe": 0.0}, WEIGHTS | {"probe": 0.0}) == harmonic_mean(parts, WEIGHTS)


def test_a_score_is_what_resemblyzers_own_functions_and_the_formula_say(fitness, embedded, demo, bank):
    voice = bank["af_grace"]
    spoken = {text: fitness.listener.speak([voice], embedded.script(text))[0] for text in SHORT.values()}
    own = resemblyzer.VoiceEncoder("cpu", verbose=False)

    target_wave, other_wave = spoken[SHORT["target_text"]], spoken[SHORT["other_text"]]
    target = float(np.inner(own_embedding(own, target_wave), own_embedding(own, demo)))
    itself = float(np.inner(own_embedding(own, target_wave), own_embedding(own, other_wave)))
    feature = acoustics.capped_similarity(acoustics.statistics(target_wave), acoustics.statistics(demo))
    (evaluation,) = fitness([voice])
    assert evaluation.complete
    assert evaluation.parts["target"] == pytest.approx(target, abs=1e-6)
    assert evaluation.parts["self"] == pytest.approx(itself, abs=1e-6)
    assert evaluation.parts["feature"] == pytest.approx(feature, abs=1e-9)
    assert evaluation.score == pytest.approx(100 / (0.48 / target + 0.5 / itself + 0.02 / feature), abs=1e-4)
    assert evaluation.synthesised == pytest.approx((len(target_wave) + len(other_wave)) / SAMPLE_RATE)


def test_a_batch_scores_as_its_voices_one_by_one_bit_for_bit(fitness, bank):
    voices = list(bank.values())[:5]
    median = float(np.median([seen.target_similarity for seen in fitness(voices, Gate(only="target"))]))
    gate = Gate(score=20, parts={"target": median / 0.98})
    together = fitness(voices, gate)
    assert together == [fitness([voice], gate)[0] for voice in voices]
    assert len({evaluation.status for evaluation in together}) > 1, "the gate should divide these voices"


def test_an_evaluation_leaves_the_global_random_states_alone(fitness, bank):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002 - the state under test
    fitness([bank["am_hugo"]])
    assert torch.equal(torch_state, torch.get_rng_state())
    assert np.array_equal(numpy_state[1], np.random.get_state()[1])  # noqa: NPY002


def test_ranking_runs_the_first_stage_alone(fitness, bank):
    (evaluation,) = fitness([bank["af_iris"]], Gate(only="target"))
    assert (evaluation.status, evaluation.stage, list(evaluation.parts)) == ("stopped", "target", ["target"])
    assert (evaluation.score, evaluation.target_similarity) == (0.0, evaluation.parts["target"])


@pytest.fixture
def speech(fitness, embedded, bank):
    return fitness.listener.speak([bank["af_iris"]], embedded.script(SHORT["target_text"]))[0]


def test_a_stopped_candidate_never_speaks_the_other_text(speech, encoder, demo):
    fitness, synthesizer = recorded_fitness([speech], speech, encoder, demo)
    (evaluation,) = fitness([numbered(0)], Gate(score=99, parts={"target": 1.0}))
    assert (evaluation.status, evaluation.stage) == ("stopped", "target")
    assert synthesizer.spoken == [SHORT["target_text"]]


def test_each_wave_is_embedded_once(speech, encoder, demo, monkeypatch):
    fitness, _ = recorded_fitness([speech], speech, encoder, demo)
    heard = []

    def counting(wave):
        heard.append(wave)
        return SpeakerEncoder.embedding(encoder, wave)

    monkeypatch.setattr(encoder, "embedding", counting)
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
        ({"weights": WEIGHTS | {"self": None}}, "weights"),
        ({"weights": WEIGHTS | {"self": np.inf}}, "weights"),
        ({"weights": WEIGHTS | {"pitch": 0.1}}, "weights.*feature.*prior, probe, others.*pitch"),
        ({"gates": {"pitch": Margin()}}, "gates.*target, self"),
        ({"gates": {"probe": Margin()}}, "gates"),
        ({"weights": WEIGHTS | {"probe": 0.0}}, "probe_text"),
        ({"weights": WEIGHTS | {"prior": 0.1}}, "prior"),
        ({"prior_limit": 0.0}, "prior_limit"),
        ({"more_texts": 3, "further_texts": FURTHER}, "more_texts: expected 0 to 2.*got 3"),
        ({"more_texts": -1}, "more_texts"),
        ({"most_characters": 5}, "most_characters: expected 20 or more, or null .*got 5"),
        ({"more_texts": 1, "further_texts": [SHORT["other_text"]]}, "differ"),
        ({"formula": "best"}, "formula"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message, speech, encoder, demo):
    with pytest.raises(ValueError, match=message):
        given = {"synthesizer": Recorded([speech], speech), "encoder": encoder, "target": [demo], "seed": 0}
        HybridFitness(**{**given, **SHORT, "weights": WEIGHTS, "gates": {}, **settings})


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ([np.zeros(SAMPLE_RATE * 5, np.float32)], "target_audio: .* none is heard in 1 of 1"),
        ([], "target_audio: .*none"),
    ],
)
def test_a_target_without_speech_is_refused(target, message, speech, encoder):
    with pytest.raises(KvwError, match=message):
        given = {"synthesizer": Recorded([speech], speech), "encoder": encoder, "target": target, "seed": 0}
        HybridFitness(**given, **SHORT, weights=WEIGHTS, gates={})


def test_of_long_texts_the_first_sentences_are_spoken_where_that_is_wanted(embedded, encoder, demo):
    texts = {
        "target_text": "The ships are at sea. They sail home.",
        "other_text": "A cold wind came up, over the hill.",
    }
    given = {"synthesizer": embedded, "encoder": encoder, "target": [demo], **texts}
    short = default_fitness(most_characters=25, **given)
    assert [script.text for script in short.scripts] == ["The ships are at sea.", "A cold wind came up,"]
    assert [script.text for script in default_fitness(**given).scripts] == list(texts.values())


def test_a_text_that_can_not_be_spoken_is_refused(embedded, encoder, demo):
    with pytest.raises(KvwError, match="text"):
        HybridFitness(
            synthesizer=embedded,
            encoder=encoder,
            target=[demo],
            target_text="!?",
            other_text="words",
            seed=0,
            weights=WEIGHTS,
            gates={},
        )


def test_averaging_is_the_formula_over_resemblyzers_own_functions(embedded, encoder, demo, bank):
    voice = bank["af_grace"]
    fitness = default_fitness(
        synthesizer=embedded,
        encoder=encoder,
        target=[demo],
        **SHORT,
        weights=AVERAGED,
        more_texts=1,
        further_texts=FURTHER,
    )
    own = resemblyzer.VoiceEncoder("cpu", verbose=False)
    texts = [*SHORT.values(), FURTHER[0]]
    waves = [fitness.listener.speak([voice], embedded.script(text))[0] for text in texts]
    first, *rest = [own_embedding(own, wave) for wave in waves]
    aim = own_embedding(own, demo)
    target, others = float(np.inner(first, aim)), float(np.mean([np.inner(other, aim) for other in rest]))
    itself = float(np.mean([np.inner(first, other) for other in rest]))
    (evaluation,) = fitness([voice])
    assert list(evaluation.parts) == ["target", "self", "others", "feature"]
    assert evaluation.parts["others"] == pytest.approx(others, abs=1e-6)
    assert evaluation.parts["self"] == pytest.approx(itself, abs=1e-6)
    feature = evaluation.parts["feature"]
    expected = 100 / (0.24 / target + 0.24 / others + 0.5 / itself + 0.02 / feature)
    assert evaluation.score == pytest.approx(expected, abs=1e-4)
    assert evaluation.synthesised == pytest.approx(sum(map(len, waves)) / SAMPLE_RATE)


def test_several_recordings_are_one_speaker_with_the_mean_of_their_statistics(embedded, encoder, demo, bank):
    voice, clips = bank["af_grace"], [demo[: 5 * SAMPLE_RATE], demo[5 * SAMPLE_RATE : 9 * SAMPLE_RATE], 0.3 * demo]
    fitness = default_fitness(synthesizer=embedded, encoder=encoder, target=clips, **SHORT)
    own = resemblyzer.VoiceEncoder("cpu", verbose=False)
    (wave,) = fitness.listener.speak([voice], embedded.script(SHORT["target_text"]))
    mean = np.mean([own_embedding(own, clip) for clip in clips], axis=0)
    target = float(own_embedding(own, wave) @ mean / np.linalg.norm(mean))
    statistics = np.mean([acoustics.statistics(clip) for clip in clips], axis=0)
    (evaluation,) = fitness([voice])
    assert evaluation.parts["target"] == pytest.approx(target, abs=1e-6)
    expected = acoustics.capped_similarity(acoustics.statistics(wave), statistics)
    assert evaluation.parts["feature"] == pytest.approx(expected, abs=1e-9)
    alone = default_fitness(synthesizer=embedded, encoder=encoder, target=clips[:1], **SHORT)([voice])[0]
    assert evaluation.parts["target"] != alone.parts["target"]


def test_a_single_recording_is_itself_to_the_last_bit(fitness, encoder, demo):
    (embedding,) = encoder([demo])
    target, *_ = fitness.stages
    assert np.array_equal(target.target, embedding)
    assert np.array_equal(fitness.stages[-1].target, acoustics.statistics(demo))


def test_more_texts_hear_more_rows(fitness, embedded, encoder, demo, bank):
    given = {"synthesizer": embedded, "encoder": encoder, "target": [demo], "further_texts": FURTHER}
    more = default_fitness(**given, **SHORT, more_texts=2)
    assert [script.text for script in more.scripts] == [*SHORT.values(), *FURTHER]
    voice, torn = bank["af_iris"], bank["af_iris"].copy()
    torn[more.scripts[-1].segments[0].row] *= -1
    assert fitness([torn]) == fitness([voice])
    before, after = (more([one])[0].parts for one in (voice, torn))
    assert {name for name in before if before[name] != after[name]} == {"self"}


def test_averaging_speaks_nothing_twice(speech, encoder, demo):
    settings = {"weights": AVERAGED, "more_texts": 2, "further_texts": FURTHER}
    fitness, synthesizer = recorded_fitness([speech], speech, encoder, demo, **settings)
    assert fitness([numbered(0)])[0].complete
    assert synthesizer.spoken == [*SHORT.values(), *FURTHER]


@pytest.fixture
def probed(speech, encoder, demo):
    weights, gates = WEIGHTS | {"probe": 0}, {"probe": Margin(0.95), "target": Margin()}
    return recorded_fitness([speech], speech, encoder, demo, weights=weights, gates=gates, probe_text=PROBE)


def test_a_candidate_that_the_probe_stops_never_speaks_the_target_text(probed):
    fitness, synthesizer = probed
    (evaluation,) = fitness([numbered(0)], Gate(score=99, parts={"probe": 1.0, "target": 1.0}))
    assert (evaluation.status, evaluation.stage, evaluation.score) == ("stopped", "probe", 0.0)
    assert evaluation.target_similarity == evaluation.parts["probe"] > 0
    assert synthesizer.spoken == [PROBE]


def test_a_probe_that_weighs_nothing_leaves_the_score_as_it_was(probed, speech, encoder, demo):
    fitness, synthesizer = probed
    plain_fitness, _ = recorded_fitness([speech], speech, encoder, demo)
    (evaluation,), (expected,) = fitness([numbered(0)]), plain_fitness([numbered(0)])
    assert synthesizer.spoken == [PROBE, *SHORT.values()]
    assert (evaluation.score, evaluation.target_similarity) == (expected.score, expected.target_similarity)
    assert list(evaluation.parts) == ["probe", "target", "self", "feature"]


def test_ranking_runs_the_target_stage_alone_whatever_comes_before_it(probed):
    fitness, synthesizer = probed
    (evaluation,) = fitness([numbered(0)], Gate(only="target"))
    assert (evaluation.status, evaluation.stage, list(evaluation.parts)) == ("stopped", "target", ["target"])
    assert synthesizer.spoken == [SHORT["target_text"]]
    with pytest.raises(ValueError, match=r"only.*probe, target.*'prior'"):
        fitness([numbered(0)], Gate(only="prior"))


def test_a_short_text_without_a_weight_is_there_for_the_ranking_alone(speech, encoder, demo):
    fitness, synthesizer = recorded_fitness([speech], speech, encoder, demo, probe_text=PROBE)
    (evaluation,) = fitness([numbered(0)], Gate(only="probe"))
    assert (evaluation.status, list(evaluation.parts), synthesizer.spoken) == ("stopped", ["probe"], [PROBE])
    assert evaluation.target_similarity == evaluation.parts["probe"]
    assert "probe" not in fitness([numbered(0)])[0].parts
    assert synthesizer.spoken == [PROBE, *SHORT.values()]
    assert PROBE not in [script.text for script in fitness.scripts], "improvements are not spoken with it"


@pytest.fixture(scope="module")
def every_stage(fitness, embedded, encoder, demo, bank, model):
    wave = fitness.listener.speak([bank["af_iris"]], embedded.script(SHORT["target_text"]))[0]
    settings = {"weights": dict.fromkeys(STAGES, 1), "probe_text": PROBE, "prior": BankDistance([numbered(0)])}
    settings["words_model"] = str(model)
    return recorded_fitness([wave], wave, encoder, demo, **settings)[0]


def test_every_stage_can_be_run_alone_and_finds_what_it_finds_in_a_whole_run(every_stage):
    (whole,) = every_stage([numbered(0)])
    assert (whole.complete, list(whole.parts)) == (True, list(STAGES))
    for stage in STAGES:
        assert every_stage([numbered(0)], Gate(only=stage))[0].parts == {stage: whole.parts[stage]}


@pytest.mark.parametrize("stage", STAGES[:-1])
@pytest.mark.parametrize("rule", [Margin(1.0), Lossless()])
def test_a_gate_works_after_each_stage(rule, stage, every_stage, monkeypatch):
    monkeypatch.setattr(every_stage, "gates", {stage: rule})
    (evaluation,) = every_stage([numbered(0)], Gate(score=100, parts={stage: 1.01}))
    assert (evaluation.status, evaluation.stage) == ("stopped", stage)
    assert list(evaluation.parts) == list(STAGES[: STAGES.index(stage) + 1])
    assert every_stage([numbered(0)])[0].complete, "there is no reference"


def composed(*overrides):
    return compose(*list(overrides)).cfg


EXTRAS = {"two_encoders"}
"""Configs of the fitness that need an optional package."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(path.stem, marks=pytest.mark.extras if path.stem in EXTRAS else ())
        for path in sorted((CONF / "fitness").glob("*.yaml"))
    ],
)
def test_every_config_of_the_fitness_makes_one_that_scores(name, speech, encoder, demo, model):
    cfg = composed(f"fitness={name}", f"fitness.words_model='{model}'")
    node, texts = plain(cfg.fitness), plain(cfg.language)["other_texts"]
    prior = prior_of([numbered(0)], node)
    runtime = {"encoder": encoder, "target": [demo], "seed": 0, "further_texts": texts, "prior": prior}
    fitness = build(node, "fitness", synthesizer=Recorded([speech], speech), **SHORT, **runtime)
    (evaluation,) = fitness([numbered(0)])
    assert evaluation.complete
    assert list(evaluation.parts) == [stage for stage in STAGES if node["weights"][stage] is not None]
    assert (prior is None) == (node["weights"]["prior"] is None)


def test_optional_stages_can_be_chosen_on_the_command_line(speech, encoder, demo):
    node = plain(composed("fitness.weights.others=0.24", "fitness.weights.target=0.24").fitness)
    runtime = {"synthesizer": Recorded([speech], speech), "encoder": encoder, "target": [demo], "seed": 0}
    assert build(node, "fitness", **SHORT, **runtime).weights == AVERAGED


def test_the_users_further_texts_are_read_and_reach_the_fitness_of_a_worker(tmp_path, bank):
    path = tmp_path / "mine, too.txt"
    path.write_text("\n".join(FURTHER), "utf-8")
    cfg = composed("synth=embedded", "fitness=near_bank", "fitness.more_texts=2", f"other_texts='{path}'")
    inputs = read_inputs(cfg)
    node = plain(cfg.fitness)
    settings = FitnessSpec(plain(cfg.synth), node, "cpu", "a", 0, inputs, prior_of(bank.values(), node))
    (evaluation,) = pickle.loads(pickle.dumps(settings))()([bank["af_iris"]], Gate(only="prior"))
    assert evaluation.parts == {"prior": 1.0}
    assert [script.text for script in settings.scripts()] == [inputs.target_text, inputs.other_text, *FURTHER]


def test_further_texts_that_can_not_be_read_are_named():
    with pytest.raises(KvwError, match=r"other_texts.*none\.txt"):
        read_inputs(composed("other_texts=none.txt"))

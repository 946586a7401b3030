"""Gradients through a synthesiser and Resemblyzer: against finite differences, and as the fitness measures them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from kvw.config.paths import DEMO
from kvw.evaluation import Gate, Pullback
from kvw.executors.local import LocalExecutor
from kvw.executors.processes import ProcessExecutor
from kvw.fitness.gradient import COST, Gradient
from kvw.fitness.listener import Listener
from kvw.fitness.utterances import DictCache
from kvw.spaces.base import TIMBRE
from kvw.speech.embedded.synthesizer import EmbeddedSynthesizer
from kvw.types import SAMPLE_RATE
from tests.conftest import SHORT, default_fitness
from tests.support.embedded import AMBER, BANK
from tests.support.recordings import read_by_librosa

TEXTS = ("The kettle began to sing.", "Nobody answered when I knocked.")
UNIT = (256**-0.5,) * 256


def made():
    from kvw.fitness.speaker import SpeakerEncoder

    return default_fitness(
        synthesizer=EmbeddedSynthesizer(),
        encoder=SpeakerEncoder(),
        target=[read_by_librosa(DEMO)],
        short_texts=TEXTS,
        **SHORT,
    )


@pytest.fixture(scope="module")
def climbing():
    return made()


def asked(cotangent=UNIT, text=0, seed=5):
    return Gate(pullback=Pullback(text, seed, tuple(map(float, cotangent))))


def moved(voice, direction, by):
    return (voice + by * direction).astype(np.float32)


@pytest.mark.parametrize("name", ["af_amber", "am_boris"])
def test_a_gradient_is_what_finite_differences_find_along_timbre(climbing, name):
    listener, script = climbing.listener, climbing.short_scripts[0]
    voice, rng = BANK[name], np.random.default_rng(0)
    cotangent = rng.standard_normal(256).astype(np.float32)

    def heard(one):
        wave, _ = listener.synthesizer.vjp(one, script, 5)
        return float(listener.encoder.vjp(wave)[0].astype(np.float64) @ cotangent)

    wave, by_offset = listener.synthesizer.vjp(voice, script, 5)
    _, by_wave = listener.encoder.vjp(wave)
    gradient = by_offset(by_wave(cotangent))
    direction = np.zeros(256)
    direction[TIMBRE] = gradient[TIMBRE] / np.linalg.norm(gradient[TIMBRE])
    step = 2e-3
    found = (heard(moved(voice, direction, step)) - heard(moved(voice, direction, -step))) / (2 * step)
    assert found == pytest.approx(float(gradient @ direction), rel=0.02)


def test_the_wave_and_the_embedding_are_nearly_the_ordinary_ones(climbing):
    listener, script = climbing.listener, climbing.short_scripts[1]
    (spoken,) = listener.synthesizer([AMBER], script, 5)
    wave, _ = listener.synthesizer.vjp(AMBER, script, 5)
    np.testing.assert_allclose(wave, spoken, atol=1e-5)
    embedding, _ = listener.encoder.vjp(spoken)
    assert embedding @ listener.encoder.embedding(spoken) > 0.997


def test_steps_along_the_gradient_bring_a_voice_nearer(climbing):
    target = climbing._gradient.target
    voice, found = AMBER, []
    for _ in range(4):
        (evaluation,) = climbing([voice], asked(target))
        found.append(evaluation.target_similarity)
        step = evaluation.gradient / np.linalg.norm(evaluation.gradient)
        voice = moved(voice, step, 0.15)
    assert min(found[1:]) > found[0] + 0.02


def test_a_voice_that_asks_for_a_gradient_beside_others_is_neither_scored_nor_stopped(climbing):
    first, second, third = climbing([AMBER, AMBER, AMBER], [Gate(), asked(), Gate(score=99, parts={"target": 1.0})])
    assert (first.status, second.status, third.status) == ("complete", "gradient", "stopped")
    assert (second.score, second.failed, second.complete, second.stage) == (0.0, False, False, "")
    assert second.gradient.shape == (256,)
    assert first.gradient is None
    assert 0 < second.target_similarity == second.parts["target"] < 1
    wave, _ = climbing.listener.synthesizer.vjp(AMBER, climbing.short_scripts[0], 5)
    assert second.synthesised == pytest.approx(COST * len(wave) / SAMPLE_RATE)


def test_a_gradient_that_is_known_is_not_measured_again_and_any_other_is(climbing, monkeypatch):
    cache = DictCache()
    (before,) = climbing([AMBER], asked(), cache)
    assert len(cache) == 1
    monkeypatch.setattr(climbing.listener.encoder, "vjp", lambda wave: pytest.fail("measured again"))
    (after,) = climbing([AMBER], asked(), cache)
    assert after == before
    assert np.array_equal(after.gradient, before.gradient)
    monkeypatch.undo()
    for other in (asked(text=1), asked(seed=6), asked(-np.array(UNIT))):
        climbing([AMBER], other, cache)
    climbing([BANK["am_boris"]], asked(), cache)
    assert len(cache) == 5


@pytest.mark.parametrize(
    ("wave", "gradient", "status"),
    [
        (np.zeros(SAMPLE_RATE, np.float32), 1.0, "silent"),
        (np.full(SAMPLE_RATE, 0.1, np.float32), 1.0, "no speech"),
        (None, 0.0, "no gradient"),
        (None, np.nan, "no gradient"),
    ],
)
def test_what_can_not_be_differentiated_is_a_named_failure(climbing, wave, gradient, status):
    script = climbing.short_scripts[0]
    spoken = climbing.listener.synthesizer([AMBER], script, 5)[0] if wave is None else wave
    faulty = SimpleNamespace(
        identity="faulty", vjp=lambda voice, script, seed: (spoken, lambda slope: np.full(256, gradient, np.float32))
    )
    listener = Listener(faulty, climbing.listener.encoder, 0)
    fitness = made()
    fitness._gradient = Gradient(listener, climbing.short_scripts, fitness._gradient.target)
    cache = DictCache()
    (evaluation,) = fitness([AMBER], asked(), cache)
    assert (evaluation.status, evaluation.failed, evaluation.gradient) == (status, True, None)
    assert [one.status for one in cache.values()] == [status]


def test_a_voice_with_a_nan_is_not_spoken(climbing):
    broken = AMBER.copy()
    broken[7, 0, 3] = np.nan
    (evaluation,) = climbing([broken], asked())
    assert evaluation.status == "not finite"


def test_processes_measure_the_same_gradients_and_hand_them_to_the_cache():
    here, there = LocalExecutor(fitness=made, scorers=0), ProcessExecutor(fitness=made, workers=1)
    try:
        cache = DictCache()
        voices, gates = [AMBER, AMBER], [asked(), Gate()]
        mine, theirs = here(voices, gates), there(voices, gates, cache)
        assert theirs == mine
        assert np.array_equal(mine[0].gradient, theirs[0].gradient)
        assert sum(one.gradient is not None for one in cache.values()) == 1
        assert there(voices[:1], gates[:1], cache) == theirs[:1]
    finally:
        there.close()

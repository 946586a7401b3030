"""The distance of a voice from the stock voices."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from kvw.evaluation import Gate, harmonic_mean
from kvw.fitness.bank_distance import BankDistance
from kvw.fitness.rules import Margin
from kvw.voices.files import load_bank
from tests.conftest import SHORT, WEIGHTS, default_fitness, numbered


def torn(voice):
    """What ten accepted steps of KVoiceWalk's walk make of a voice."""
    noise = np.random.default_rng(0).standard_normal(voice.shape)
    return (voice + 0.14 * 0.08 * np.sqrt(10) * noise).astype(np.float32)


def test_the_prior_spares_stock_voices_and_finds_voices_that_are_torn_or_far(bank):
    prior = BankDistance(list(bank.values()))
    assert max(map(prior, bank.values())) < 1.5
    mean = np.mean(list(bank.values()), axis=0)
    far = mean + np.float32(3 * 0.14) * np.random.default_rng(1).standard_normal(256).astype(np.float32)
    assert prior(mean) < 1 < 2 < prior(far) < 40
    assert prior(torn(mean)) > 20
    assert pickle.loads(pickle.dumps(prior))(far) == prior(far)


def test_the_default_limit_spares_kokoros_own_voices(shared):
    stock = list(load_bank(shared / "voices").voices.values())
    prior = BankDistance(stock)
    assert max(map(prior, stock)) < 2
    assert prior(torn(np.mean(stock, axis=0))) > 20


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_prior_of_few_or_equal_voices_is_finite(count, bank):
    stock = list(bank.values())[:count]
    for prior in (BankDistance(stock), BankDistance([stock[0]] * count), BankDistance([numbered(0)] * count)):
        assert 0 <= prior(stock[0]) < 1000


def test_a_voice_that_the_prior_stops_never_speaks(embedded, encoder, demo, bank):
    fitness = default_fitness(
        **{"synthesizer": embedded, "encoder": encoder, "target": [demo], **SHORT},
        weights=WEIGHTS | {"prior": 0.05},
        gates={"prior": Margin(0.5)},
        prior=BankDistance(list(bank.values())),
    )
    good, bad = fitness([bank["af_iris"], torn(bank["af_iris"])], Gate(parts={"prior": 1.0}))
    assert (good.status, good.parts["prior"]) == ("complete", 1.0)
    assert good.score == pytest.approx(harmonic_mean(good.parts, WEIGHTS | {"prior": 0.05}), rel=1e-12)
    assert (bad.status, bad.stage, bad.synthesised) == ("stopped", "prior", 0.0)
    assert (bad.target_similarity, list(bad.parts)) == (0.0, ["prior"])
    assert 0 < bad.parts["prior"] < 0.2

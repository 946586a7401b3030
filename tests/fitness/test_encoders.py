"""Further speaker encoders beside Resemblyzer: joined ones against each alone, and CAM++ against Kaldi's features."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch

from kvw.errors import EXIT_BAD_INPUT
from kvw.fitness.encoders import JoinedEncoder
from kvw.fitness.speaker import SpeakerEncoder
from kvw.runs.folders import SUMMARY
from kvw.runs.reader import Run
from kvw.speech.pullback import pullback
from kvw.tasks.examine import SCORED
from kvw.types import EMBEDDING_WIDTH, SAMPLE_RATE


class Tilt:
    """An encoder: the level of a wave and of its differences."""

    identity = "tilt"

    def __call__(self, wave):
        return self.embedded(torch.from_numpy(wave)).numpy()

    def vjp(self, wave):
        given = torch.from_numpy(wave).requires_grad_()
        embedding = self.embedded(given)
        return embedding.detach().numpy(), pullback(embedding, given)

    def embedded(self, wave):
        levels = torch.stack([wave.square().mean(), wave.diff().square().mean(), wave.diff().diff().square().mean()])
        return levels / levels.norm()


@pytest.fixture(scope="module")
def joined():
    return JoinedEncoder(SpeakerEncoder(), [Tilt()])


@pytest.fixture(scope="module")
def waves(demo):
    return [demo[: 3 * SAMPLE_RATE], demo[5 * SAMPLE_RATE : 8 * SAMPLE_RATE], demo[9 * SAMPLE_RATE :]]


def test_a_joined_cosine_is_the_mean_of_the_encoders_own(joined, waves, encoder):
    own, other = encoder(waves), [Tilt()(wave) for wave in waves]
    speaker, theirs = encoder.speaker(waves[:2], "target"), np.mean(other[:2], axis=0)
    alone = [own[2] @ speaker, other[2] @ theirs / np.linalg.norm(theirs)]
    assert abs(alone[0] - alone[1]) > 0.01
    assert joined(waves)[2] @ joined.speaker(waves[:2], "target") == pytest.approx(np.mean(alone), abs=1e-6)
    assert pickle.loads(pickle.dumps(joined.measure))(waves[2]) == pytest.approx(joined(waves)[2], abs=0)
    assert joined([np.zeros(SAMPLE_RATE, np.float32)]) == [None]


def test_a_joined_gradient_is_the_mean_of_the_encoders_own(joined, waves, encoder):
    (wave, *_), rng = waves, np.random.default_rng(0)
    embedding, back = joined.vjp(wave)
    own, by_own = encoder.vjp(wave)
    other, by_other = Tilt().vjp(wave)
    target = rng.standard_normal(len(embedding)).astype(np.float32)
    expected = (by_own(target[:EMBEDDING_WIDTH]) + by_other(target[EMBEDDING_WIDTH:])) / np.sqrt(2)
    np.testing.assert_allclose(back(target), expected, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(embedding, np.concatenate([own, other]) / np.sqrt(2), rtol=1e-6)
    assert joined.vjp(np.zeros(SAMPLE_RATE, np.float32)) is None


@pytest.fixture(scope="module")
def campplus():
    from kvw.fitness.campplus import CAMPPlus

    return CAMPPlus()


@pytest.mark.extras
def test_campplus_hears_kaldis_features(waves):
    import kaldi_native_fbank as kaldi

    from kvw.fitness.campplus import RATE, features, speech_of

    options = kaldi.FbankOptions()
    options.frame_opts.dither, options.mel_opts.num_bins = 0, 80
    for wave in (*waves, 1e-3 * waves[0], waves[0][:77]):
        speech = speech_of(torch.from_numpy(wave))
        theirs = kaldi.OnlineFbank(options)
        theirs.accept_waveform(RATE, speech.tolist())
        expected = np.array([theirs.get_frame(number) for number in range(theirs.num_frames_ready)])
        np.testing.assert_allclose(features(speech).numpy(), expected, atol=0.02)


@pytest.mark.extras
def test_the_gradient_of_campplus_is_what_finite_differences_find(campplus, waves):
    wave, target = waves[0], campplus(waves[1])
    embedding, back = campplus.vjp(wave)
    np.testing.assert_allclose(embedding, campplus(wave), atol=1e-5)
    exact = copy.copy(campplus)
    exact._network = copy.deepcopy(campplus._network).double()
    given = torch.from_numpy(wave).double().requires_grad_()
    (exact._embedded(given) @ torch.from_numpy(target).double()).backward()
    gradient, rounded = given.grad.numpy(), back(target)
    assert gradient @ rounded > 0.99 * np.linalg.norm(gradient) * np.linalg.norm(rounded)
    # its many ReLUs bend what is longer, and float32 drowns what is as short
    for direction in (np.sin(np.arange(len(wave)) / 400), np.random.default_rng(0).standard_normal(len(wave))):
        step = 1e-9 * wave * direction
        with torch.no_grad():
            found = [exact._embedded(torch.from_numpy(wave + sign * step)).numpy() @ target for sign in (1, -1)]
        assert found[0] - found[1] == pytest.approx(2 * gradient @ step, rel=0.02, abs=0)


@pytest.mark.extras
def test_a_search_may_hear_two_encoders_and_then_says_that_the_second_is_no_judge(kvw, monkeypatch):
    monkeypatch.setattr("kvw.tasks.examine.JUDGES", {"speaker": "same_speaker"})
    given = ["strategy=gradient", "strategy.steps=2", "strategy.every=2", "fitness=two_encoders", "synth=embedded"]
    code, (folder,) = kvw(*given, "fitness.more_texts=0", "population_limit=2", "judges=independent")
    assert code == 0
    assert f"CAM++: {SCORED}" in (folder / SUMMARY).read_text("utf-8")
    run = Run(folder)
    assert run.about["encoders"] == ["resemblyzer", "campplus"]
    embeddings = run.training().embeddings
    assert embeddings.shape[1:] == (2, EMBEDDING_WIDTH)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=-1), 1, rtol=1e-5)


PLUGIN = """
class Deaf:
    identity = "deaf"

    def __call__(self, wave):
        return abs(wave[9999:10002]) / (wave[9999:10002] @ wave[9999:10002]) ** 0.5
"""


def test_an_encoder_without_gradients_is_refused_by_name_where_a_strategy_asks_for_them(kvw, tmp_path, capsys):
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "deaf_encoder.py").write_text(PLUGIN)
    given = ["+fitness.encoders.deaf._target_=strategies.deaf_encoder.Deaf", "synth=embedded", "step_limit=1"]
    assert kvw(*given, "strategy=gradient")[0] == EXIT_BAD_INPUT
    assert "fitness.encoders: expected one that can be differentiated" in (said := capsys.readouterr().err)
    assert "got deaf" in said
    assert kvw(*given, "population_limit=2")[0] == 0

"""The vocoder, judged by its audio."""

from __future__ import annotations

from dataclasses import replace

import librosa
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from resemblyzer import VoiceEncoder, preprocess_wav

from kvw.speech.embedded import espeak
from kvw.speech.embedded.stock_voices import stock_voices
from kvw.speech.embedded.style import decode_style
from kvw.speech.embedded.synthesizer import EmbeddedSynthesizer, analysis
from kvw.speech.embedded.vocoder import HOP, render
from kvw.speech.synthesizer import Script
from kvw.types import SAMPLE_RATE, Wave

TEXT = "The old clock struck nine as Martha closed the heavy door."


BANK = stock_voices()


VOICES = list(BANK.values())


AMBER = BANK["af_amber"]


@pytest.fixture(scope="module")
def synth() -> EmbeddedSynthesizer:
    return EmbeddedSynthesizer()


@pytest.fixture(scope="module")
def script(synth: EmbeddedSynthesizer) -> Script:
    return synth.script(TEXT)


@pytest.fixture(scope="module")
def encoder() -> VoiceEncoder:
    return VoiceEncoder("cpu", verbose=False)


def embedding(encoder: VoiceEncoder, wave: Wave) -> NDArray[np.float32]:
    return encoder.embed_utterance(preprocess_wav(wave, SAMPLE_RATE))


def rms(wave: Wave) -> float:
    return float(np.sqrt(np.mean(wave**2)))


def log_mel(wave: Wave) -> NDArray[np.float32]:
    mel = librosa.feature.melspectrogram(y=wave / rms(wave), sr=SAMPLE_RATE, n_fft=1024, hop_length=HOP, n_mels=80)
    return librosa.power_to_db(mel, top_db=60)


def neutral_wave() -> Wave:
    """TEXT by a speaker with nothing changed, at espeak's own pitch and without the pauses."""
    source = analysis(TEXT, "en-us")
    neutral = replace(decode_style(torch.zeros(1, 256)), f0=torch.tensor([source.f0]))
    return render(source, neutral, 0)[0].numpy()


def test_the_neutral_speaker_sounds_like_espeak_itself(encoder: VoiceEncoder) -> None:
    original, copy = espeak.utter(TEXT, "en-us").wave, neutral_wave()
    frames = 1 + len(original) // HOP
    assert 0 <= len(copy) - len(original) < 3 * HOP
    assert np.corrcoef(log_mel(original).ravel(), log_mel(copy)[:, :frames].ravel())[0, 1] > 0.95
    assert embedding(encoder, original) @ embedding(encoder, copy) > 0.88


def test_voices_rendered_in_one_tensor_sound_as_if_rendered_alone() -> None:
    source = analysis(TEXT, "en-us")
    rows = torch.from_numpy(np.stack([voice[60, 0] for voice in VOICES[:4]]))
    together = render(source, decode_style(rows), 0)
    for row, wave in zip(rows, together, strict=True):
        torch.testing.assert_close(wave, render(source, decode_style(row[None]), 0)[0], rtol=0, atol=1e-4)


def test_gradients_reach_timbre_and_dynamics_even_after_inference_mode(
    synth: EmbeddedSynthesizer, script: Script
) -> None:
    with torch.inference_mode():
        synth([AMBER], script, 99)
    row = torch.from_numpy(AMBER[script.segments[0].row]).requires_grad_()
    render(analysis(TEXT, "en-us"), decode_style(row), 99)[0].pow(3).sum().backward()
    assert row.grad is not None and torch.isfinite(row.grad).all()
    assert row.grad[0, :128].norm() > 0 and row.grad[0, 128:].norm() > 0

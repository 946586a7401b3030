"""The vocoder, judged by its audio."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from resemblyzer import VoiceEncoder

from kvw.speech.embedded import espeak
from kvw.speech.embedded.style import decode_style
from kvw.speech.embedded.synthesizer import EmbeddedSynthesizer, analysis
from kvw.speech.embedded.vocoder import HOP, render
from kvw.speech.synthesizer import Script
from kvw.types import Wave
from tests.support.embedded import AMBER, TEXT, VOICES, embedding, log_mel


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

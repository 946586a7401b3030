"""Kokoro made faster says what kokoro's own KModel says: its architecture, with random weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kvw.speech.kokoro.cpu_decoder import CPUDecoder
from kvw.speech.kokoro.gpu_decoder import GPUDecoder
from kvw.speech.kokoro.model import Kokoro
from tests.support.reference import snr

TEXTS = {"hˈaɪ": 4, "ðə ʃˈɪps ɑɹ æt sˈi.": 4, "ɪt sˈeɪld əwˈeɪ fɹʌm hˈoʊm, ænd nˈɛvəɹ kˈeɪm.": 1}
"""And in how many voices each is compared."""
TEXT = list(TEXTS)[1]
SEED = 11


@pytest.fixture(scope="module", params=[CPUDecoder, GPUDecoder])
def speak(request, stripped):
    return Kokoro(stripped, request.param(stripped))


@pytest.fixture(scope="module")
def styles():
    """Rows whose numbers are as large as those of real voices."""
    return 0.3 * torch.randn(4, 256, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def alone(kokoro, styles):
    """What KModel itself says."""
    return {text: [own(kokoro, text, style) for style in styles[:voices]] for text, voices in TEXTS.items()}


def own(model, text, style, speed=1.0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return model(text, style[None], speed)


@pytest.mark.parametrize("text", TEXTS)
def test_it_speaks_as_kokoros_own_model_does_whatever_the_voice(speak, alone, styles, text):
    state = torch.get_rng_state()
    waves = speak(text, styles[: TEXTS[text]], SEED)
    assert torch.equal(state, torch.get_rng_state())
    for wave, wanted in zip(waves, alone[text], strict=True):
        assert wave.shape == wanted.shape, "durations"
        assert wave.dtype == torch.float32
        assert snr(wanted, wave) > 105


def test_pitch_and_durations_are_kokoros_to_the_last_bit(stripped, kokoro, styles, monkeypatch):
    seen = []

    def renderer(frames, styles, seed):
        seen.extend(frames)
        return []

    Kokoro(stripped, renderer)(TEXT, styles, SEED)
    stock = []
    monkeypatch.setattr(kokoro.decoder, "forward", lambda *given: stock.append(given) or torch.zeros(1, 1, 1))
    for style in styles:
        own(kokoro, TEXT, style)
    for ours, (text, pitch, energy, _) in zip(seen, stock, strict=True):
        assert torch.equal(ours.text, text[0])
        assert torch.equal(ours.pitch, pitch)
        assert torch.equal(ours.energy, energy)
    assert any((frames.pitch > 10).any() and (frames.pitch < 10).any() for frames in seen), "voiced and unvoiced"


def test_a_voice_is_the_same_to_the_last_bit_alone_and_in_company_on_a_cpu(stripped, styles):
    speak = Kokoro(stripped, CPUDecoder(stripped))
    together = speak(TEXT, styles[:2], SEED)
    for wave, style in zip(together, styles[:2], strict=True):
        assert torch.equal(wave, speak(TEXT, style[None], SEED)[0])
    again = speak("hˈaɪ", styles[:1], SEED), speak(TEXT, styles[:1], SEED)  # another length in between
    assert torch.equal(again[1][0], together[0])


def test_speed_and_symbols_that_it_does_not_know_are_as_kokoro_has_them(speak, kokoro, styles):
    for text, speed in ((TEXT, 1.5), ("ðə Ж ʃˈɪp", 0.7)):
        (wave,) = speak(text, styles[:1], SEED, speed)
        wanted = own(kokoro, text, styles[0], speed)
        assert wave.shape == wanted.shape
        assert snr(wanted, wave) > 105


def test_a_style_that_is_not_finite_ends_in_audio_that_is_not(speak, styles):
    broken = styles[:1].clone()
    broken[0, 5] = np.nan
    (wave,) = speak("hˈaɪ", broken, SEED)
    assert not torch.isfinite(wave).all()

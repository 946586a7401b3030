"""Kokoro's gradients: on a CPU against torch's own through kokoro's modules, and against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kvw.fitness.speaker import SpeakerEncoder
from kvw.speech.kokoro.cpu_decoder import CPUDecoder
from kvw.speech.kokoro.gradient import Differentiable
from kvw.speech.kokoro.model import Kokoro
from kvw.voices.stock import stock_voices
from tests.support.reference import snr

TEXT = "ðə ʃˈɪps ɑɹ æt sˈi."
SEED = 11


@pytest.fixture(scope="module")
def kokoro_(stripped):
    return Kokoro(stripped, CPUDecoder(stripped))


def gradient(speak, style, slope):
    given = style[None].clone().requires_grad_()
    wave = speak(TEXT, given, SEED)
    (found,) = torch.autograd.grad(wave, given, slope(wave))
    return wave.detach(), found[0]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_blocks_of_the_cpu_have_torchs_gradient(kokoro_, seed):
    ours, torchs = Differentiable(kokoro_), Differentiable(kokoro_)
    generator = kokoro_.model.decoder.generator
    torchs._noise, torchs._blocks = list(generator.noise_res), list(generator.resblocks)
    draw = torch.Generator().manual_seed(seed)
    style = 0.3 * torch.randn(256, generator=draw)
    noise = torch.randn(30 * 24_000, generator=draw)
    wave, found = gradient(ours, style, lambda wave: noise[: len(wave)])
    wanted_wave, wanted = gradient(torchs, style, lambda wave: noise[: len(wave)])
    assert snr(wanted_wave, wave) > 100
    assert (found - wanted).norm() < 3e-3 * wanted.norm()  # of random weights; 5e-6 of the real ones
    assert wanted[:128].norm() > 0
    assert wanted[128:].norm() > 0


def test_it_speaks_what_the_fast_renderer_speaks(kokoro_):
    style = 0.3 * torch.randn(256, generator=torch.Generator().manual_seed(2))
    (wanted,) = kokoro_(TEXT, style[None], SEED)
    with torch.inference_mode():  # where gradients are wanted, the pitch differs in its last bits, and moves the pulses
        wave = Differentiable(kokoro_)(TEXT, style[None], SEED)
    assert snr(wanted, wave) > 100


@pytest.mark.real
@pytest.mark.parametrize("name", ["af_heart", "am_adam"])
def test_a_gradient_is_what_finite_differences_find_along_timbre_on_the_real_weights(real, name):
    from kvw.speech.kokoro.synthesizer import KokoroSynthesizer

    synthesizer = KokoroSynthesizer(model=str(real / "kokoro" / "kokoro-v1.0.int8.onnx"))
    encoder, script = SpeakerEncoder(), synthesizer.script("The kettle began to sing.")
    voice = stock_voices()[name]
    cotangent = np.random.default_rng(0).standard_normal(256).astype(np.float32)

    def heard(one):
        wave, _ = synthesizer.vjp(one.astype(np.float32), script, SEED)
        return float(encoder.vjp(wave)[0].astype(np.float64) @ cotangent)

    wave, by_offset = synthesizer.vjp(voice, script, SEED)
    _, by_wave = encoder.vjp(wave)
    found = by_offset(by_wave(cotangent))
    direction = np.zeros(256)
    direction[:128] = found[:128] / np.linalg.norm(found[:128])
    step = 1e-3
    wanted = (heard(voice + step * direction) - heard(voice - step * direction)) / (2 * step)
    assert float(found @ direction) == pytest.approx(wanted, rel=0.02)

"""Many voices rendered at once are each what kokoro makes of them alone: its architecture, with random weights."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import pytest
import torch
from kokoro import KModel
from torch import Tensor

from kvw.errors import KvwError
from kvw.speech.kokoro.gpu_decoder import GPUDecoder, _batches
from kvw.speech.kokoro.model import Frames
from tests.support.reference import snr

LENGTHS = [26, 9, 50, 14]
SEED = 5


@pytest.fixture(scope="module")
def styles() -> Tensor:
    return 0.3 * torch.randn(len(LENGTHS), 256, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def frames(kokoro, styles) -> list[Frames]:
    made = [front(kokoro, length, style[None]) for length, style in zip(LENGTHS, styles, strict=True)]
    voiced = (torch.cat([each.pitch for each in made], dim=1) > 10).float().mean()
    assert 0.05 < voiced < 0.95, "voiced and unvoiced"
    return made


@torch.no_grad()
def front(model: KModel, length: int, style: Tensor) -> Frames:
    """A text of so many frames, three a phoneme or so, as the first part of ``forward_with_tokens`` has it."""
    ids = torch.randint(1, 170, (1, length // 3 + 2), generator=torch.Generator().manual_seed(length))
    count, mask = torch.tensor([ids.shape[1]]), torch.zeros(ids.shape, dtype=torch.bool)
    heard = model.bert_encoder(model.bert(ids, attention_mask=(~mask).int())).mT
    prosody = model.predictor.text_encoder(heard, style[:, 128:], count, mask).mT
    text = model.text_encoder(ids, count, mask)
    at = torch.arange(length) * ids.shape[1] // length
    return Frames(text[0][:, at], *model.predictor.F0Ntrain(prosody[:, :, at], style[:, 128:]))


@pytest.fixture(scope="module")
def alone(kokoro, frames, styles) -> list[Tensor]:
    """What kokoro makes of each by itself."""
    waves = []
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for voice, style in zip(frames, styles[:, None], strict=True):
            torch.manual_seed(SEED)
            waves.append(kokoro.decoder(voice.text[None], *voice[1:], style[:, :128]).squeeze())
    return waves


def check(wanted: Sequence[Tensor], got: Sequence[Tensor]) -> None:
    assert [wave.shape for wave in got] == [wave.shape for wave in wanted]
    ratios = [snr(*pair) for pair in zip(wanted, got, strict=True)]
    assert min(ratios) > 110, ratios


def test_voices_of_very_different_lengths_in_one_batch_are_what_they_are_alone(kokoro, frames, styles, alone):
    state = torch.get_rng_state()
    decoder = GPUDecoder(kokoro)
    assert _batches([2, 0, 3, 1], LENGTHS, decoder.most) == [[2, 0, 3, 1]]
    check(alone, decoder(frames, styles, SEED))
    assert torch.equal(state, torch.get_rng_state())
    assert [wave.shape for wave in alone] == [(600 * length,) for length in LENGTHS]


def test_a_model_without_weight_norm_in_several_batches_gives_the_same_in_order(stripped, frames, styles, alone):
    most = 30
    assert _batches([2, 0, 3, 1], LENGTHS, most) == [[2], [0], [3, 1]]
    check(alone, GPUDecoder(stripped, most_frames=most)(frames, styles, SEED))


def test_batches_are_cut_where_padding_would_cost_more_than_one_more():
    assert _batches([], [], 100) == []
    lengths = [400] * 3 + [130] * 3
    assert _batches(range(6), lengths, 4000) == [[0, 1, 2], [3, 4, 5]]
    assert _batches(range(6), lengths, 800) == [[0], [1, 2], [3, 4, 5]]
    assert _batches(range(6), lengths, 100) == [[0], [1], [2], [3], [4], [5]], "one that is too long goes by itself"


@pytest.fixture
def cramped(kokoro, monkeypatch):
    """A decoder on a device with memory for 100 frames; of a voice it says no more than the style's first number."""
    tried: list[int] = []
    failed: list[weakref.ref[Tensor]] = []

    def render(self: GPUDecoder, frames: Sequence[Frames], styles: Tensor, seed: int) -> list[Tensor]:
        assert not any(reference() is not None for reference in failed), "what failed is still in memory"
        lengths = [voice.text.shape[1] for voice in frames]
        tried.append(len(lengths) * max(lengths))
        activations = torch.zeros(tried[-1])
        if len(activations) > 100:
            failed.append(weakref.ref(activations))
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return [style[0].expand(600 * length) for style, length in zip(styles, lengths, strict=True)]

    monkeypatch.setattr(GPUDecoder, "_render", render)
    return GPUDecoder(kokoro), tried


def numbered(lengths: Sequence[int]) -> tuple[list[Frames], Tensor]:
    empty = [Frames(torch.zeros(512, length), *torch.zeros(2, 1, 2 * length)) for length in lengths]
    return empty, torch.arange(len(lengths)).float()[:, None].expand(-1, 256)


def test_a_batch_that_does_not_fit_is_halved_for_good_with_a_word(cramped, said):
    decoder, tried = cramped
    lengths = [40, 45, 41, 44]
    for _ in range(2):
        waves = decoder(*numbered(lengths), SEED)
        assert [len(wave) for wave in waves] == [600 * length for length in lengths]
        assert [float(wave[0]) for wave in waves] == [0, 1, 2, 3]
    assert tried == [180, 90, 82, 90, 82]
    assert said == ["batch halved to 2.2 s of audio: out of memory on cpu"]


@pytest.mark.parametrize(
    "words", ["MPS backend out of memory (MPS allocated: 8 GB)", "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"]
)
def test_memory_runs_out_in_other_words_too_and_other_errors_are_errors(kokoro, monkeypatch, words):
    def render(self, frames, styles, seed):
        raise RuntimeError(words if len(frames) > 1 else "something else")

    monkeypatch.setattr(GPUDecoder, "_render", render)
    with pytest.raises(RuntimeError, match="something else"):
        GPUDecoder(kokoro)(*numbered([10, 12]), SEED)


def test_a_single_voice_that_does_not_fit_is_an_error_in_one_line(cramped):
    decoder, _ = cramped
    with pytest.raises(KvwError, match=r"5\.0 s of audio.*shorter texts, or device=cpu") as error:
        decoder(*numbered([60, 200]), SEED)
    assert "\n" not in str(error.value)

"""Kokoro's own model up to its frames: what a text and a voice's prosody make of each other, before it becomes sound.

Read :class:`Kokoro`. The values are those of ``kokoro.model.KModel.forward_with_tokens``; what does not depend on the
voice is worked out once a text, and weight norm once at all. What turns frames into sound is a *renderer*:
:mod:`kvw.speech.kokoro.cpu_decoder` one voice at a time on a CPU, :mod:`kvw.speech.kokoro.gpu_decoder` many at once on
a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

import torch
from kokoro import KModel
from kokoro.istftnet import Generator
from torch import Tensor, nn


class Frames(NamedTuple):
    """A text in a voice's rhythm, 40 frames a second of 600 samples each: what the model's last part is given.

    Attributes:
        text: float32 ``(512, frames)``: what is said (``asr`` in KModel).
        pitch: float32 ``(1, 2 * frames)``, Hz; unvoiced up to 10.
        energy: float32 ``(1, 2 * frames)``.
    """

    text: Tensor
    pitch: Tensor
    energy: Tensor


class Renderer(Protocol):
    """Turns frames into sound."""

    def __call__(self, frames: Sequence[Frames], styles: Tensor, seed: int) -> list[Tensor]:
        """One wave a voice, float32 ``(600 * frames,)``.

        Args:
            frames: of each voice; their numbers may differ.
            styles: ``(voices, 256)``, a style row each.
            seed: of the noise: each voice hears what it would hear alone.
        """


class _Text(NamedTuple):
    """What a text is to every voice: its number of tokens ``(1,)``, the mask ``(1, tokens)`` and two encodings.

    Both are float32 ``(1, 512, tokens)``.
    """

    length: Tensor
    mask: Tensor
    prosody: Tensor
    text: Tensor


class Kokoro:
    """Speaks phonemes in one or several voices.

    Args:
        model: on its device, without weight norm: see :func:`remove_weight_norm`.
        renderer: of its frames.

    Attributes:
        model: as given.
    """

    def __init__(self, model: KModel, renderer: Renderer) -> None:
        self.model, self._renderer = model, renderer
        self._texts = lru_cache(maxsize=64)(self._read)  # a search has a dozen, of 1 MB at most

    @torch.inference_mode()
    def __call__(self, phonemes: str, styles: Tensor, seed: int, speed: float = 1.0) -> list[Tensor]:
        """Speaks.

        Args:
            phonemes: 1 to 510; those that the model does not know are left out, as KModel does.
            styles: ``(voices, 256)``, the row of each voice that belongs to the phonemes.
            seed: of the noise.
            speed: durations are divided by it.

        Returns:
            one wave a voice, float32 ``(samples,)`` at 24 kHz, on the model's device.
        """
        styles = styles.to(self.model.device)
        text = self._texts(phonemes)
        # one voice at a time, by the model's own modules: the source's phase is a running sum of the pitch, and the
        # angles of its spectrum jump at half a turn, so that a pitch which differs in its last bits, as it would in a
        # batch, makes another wave (25 dB where it is voiced)
        frames = [self._frames(text, style[None, 128:], speed) for style in styles]
        return self._renderer(frames, styles, seed)

    def _read(self, phonemes: str) -> _Text:
        """What does not depend on the voice."""
        model = self.model
        known = [token for symbol in phonemes if (token := model.vocab.get(symbol)) is not None]
        tokens = torch.tensor([[0, *known, 0]], device=model.device)
        length = torch.tensor([tokens.shape[1]])
        mask = torch.zeros_like(tokens, dtype=torch.bool)
        prosody = model.bert_encoder(model.bert(tokens, attention_mask=(~mask).int())).transpose(1, 2)
        return _Text(length, mask, prosody, model.text_encoder(tokens, length, mask))

    def _frames(self, text: _Text, style: Tensor, speed: float) -> Frames:
        """The text in a voice's rhythm and melody."""
        predictor = self.model.predictor
        encoded = predictor.text_encoder(text.prosody, style, text.length, text.mask)
        hidden, _ = predictor.lstm(encoded)
        durations = torch.sigmoid(predictor.duration_proj(hidden)).sum(dim=-1)[0] / speed
        counts = torch.round(durations).clamp(min=1).long()
        pitch, energy = predictor.F0Ntrain(encoded.mT.repeat_interleave(counts, dim=2), style)
        return Frames(text.text[0].repeat_interleave(counts, dim=1), pitch, energy)


def harmonics(generator: Generator, pitch: Tensor, seed: int) -> Tensor:
    """Magnitudes and phases of the voice's source: harmonics of the pitch and noise.

    Args:
        generator: of KModel's decoder.
        pitch: float32 ``(1, 2 * frames)``, Hz.
        seed: of the noise; every random state is left as it was.

    Returns:
        float32 ``(22, 120 * frames + 1)``.
    """
    with torch.random.fork_rng(devices=[pitch.device] if pitch.device.type == "cuda" else []):
        torch.manual_seed(seed)
        wave, _, _ = generator.m_source(generator.f0_upsamp(pitch[None]).mT)
    return torch.cat(generator.stft.transform(wave[..., 0]), dim=1)[0]


def remove_weight_norm(model: KModel) -> None:
    """Works out the weights of every weight-normed layer, once and for all, in place."""
    for module in model.modules():
        if hasattr(module, "weight_g"):
            nn.utils.remove_weight_norm(module)

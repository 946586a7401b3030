"""Kokoro's own model up to its frames: a text in the rhythm and melody of a voice, not yet sound.

Read :class:`Kokoro`. The values are those of ``kokoro.model.KModel.forward_with_tokens``; the parts that do not depend
on the voice are computed once a text, and weight norm once for all. A *renderer* turns frames into sound:
:mod:`kvw.speech.kokoro.cpu_decoder` one voice at a time on a CPU, :mod:`kvw.speech.kokoro.gpu_decoder` many voices at
once on a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

import torch
from kokoro import KModel
from kokoro.istftnet import Generator
from torch import Tensor, nn
from torch.nn.utils import parametrize


class Frames(NamedTuple):
    """A text in a voice's rhythm, in frames of 600 samples, 40 a second: the input of the model's last part.

    Attributes:
        text: float32 ``(512, frames)``: the encoded text (``asr`` in KModel).
        pitch: float32 ``(1, 2 * frames)``, Hz; up to 10 means unvoiced.
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
            frames: of each voice; voices may have different numbers of frames.
            styles: ``(voices, 256)``, a style row for each voice.
            seed: of the noise: each voice gets the noise that it would get alone.
        """


class _Text(NamedTuple):
    """A text encoded for every voice: number of tokens ``(1,)``, mask ``(1, tokens)``, and two encodings.

    Both encodings are float32 ``(1, 512, tokens)``.
    """

    length: Tensor
    mask: Tensor
    prosody: Tensor
    text: Tensor


class Kokoro:
    """Speaks phonemes in one or several voices.

    Args:
        model: on its device, without weight norm: see :func:`remove_weight_norm`. Its weights want no gradient from
            here on.
        renderer: turns frames into sound.

    Attributes:
        model: as given.
    """

    def __init__(self, model: KModel, renderer: Renderer) -> None:
        self.model, self._renderer = model.requires_grad_(False), renderer
        self._texts = lru_cache(maxsize=64)(self._encoded)  # a search has a dozen texts, of 1 MB at most

    @torch.inference_mode()
    def __call__(self, phonemes: str, styles: Tensor, seed: int, speed: float = 1.0) -> list[Tensor]:
        """Speaks phonemes in each voice.

        Args:
            phonemes: 1 to 510; symbols that the model does not know are left out, as KModel does.
            styles: ``(voices, 256)``, the row of each voice for this number of phonemes.
            seed: of the noise.
            speed: durations are divided by it.

        Returns:
            one wave a voice, float32 ``(samples,)`` at 24 kHz, on the model's device.
        """
        styles = styles.to(self.model.device)
        # one voice at a time, by the model's own modules: in a batch the pitch would differ in its last bits, and make
        # another wave (25 dB where voiced), since the source's phase is a running sum of the pitch, and the angles of
        # the source's spectrum jump at half a turn
        frames = [self.frames(phonemes, style[None, 128:], speed) for style in styles]
        return self._renderer(frames, styles, seed)

    @torch.inference_mode(False)  # a tensor that is kept: a later caller may want gradients
    @torch.no_grad()
    def _encoded(self, phonemes: str) -> _Text:
        """All of the model's work on phonemes that does not depend on the voice."""
        model = self.model
        known = [token for symbol in phonemes if (token := model.vocab.get(symbol)) is not None]
        tokens = torch.tensor([[0, *known, 0]], device=model.device)
        length = torch.tensor([tokens.shape[1]])
        mask = torch.zeros_like(tokens, dtype=torch.bool)
        prosody = model.bert_encoder(model.bert(tokens, attention_mask=(~mask).int())).transpose(1, 2)
        return _Text(length, mask, prosody, model.text_encoder(tokens, length, mask))

    def frames(self, phonemes: str, style: Tensor, speed: float = 1.0) -> Frames:
        """Phonemes in a voice's rhythm and melody, whose gradient is lost where durations are rounded.

        Args:
            phonemes: as for a call.
            style: the prosody half of a style row, ``(1, 128)``.
            speed: as for a call.
        """
        text, predictor = self._texts(phonemes), self.model.predictor
        encoded = predictor.text_encoder(text.prosody, style, text.length, text.mask)
        hidden, _ = predictor.lstm(encoded)
        durations = torch.sigmoid(predictor.duration_proj(hidden)).sum(dim=-1)[0] / speed
        counts = torch.round(durations).clamp(min=1).long()
        pitch, energy = predictor.F0Ntrain(encoded.mT.repeat_interleave(counts, dim=2), style)
        return Frames(text.text[0].repeat_interleave(counts, dim=1), pitch, energy)


def harmonics(generator: Generator, pitch: Tensor, seed: int) -> Tensor:
    """Magnitudes and phases of the voice's excitation: harmonics of the pitch, and noise.

    Args:
        generator: the one of KModel's decoder.
        pitch: float32 ``(1, 2 * frames)``, Hz.
        seed: of the noise; no random state changes.

    Returns:
        float32 ``(22, 120 * frames + 1)``.
    """
    with torch.random.fork_rng(devices=[pitch.device] if pitch.device.type == "cuda" else []):
        torch.manual_seed(seed)
        wave, _, _ = generator.m_source(generator.f0_upsamp(pitch[None]).mT)
    return torch.cat(generator.stft.transform(wave[..., 0]), dim=1)[0]


def remove_weight_norm(model: KModel) -> None:
    """Replaces every weight-normed layer's parametrisation by its weights, in place."""
    for module in list(model.modules()):
        if hasattr(module, "weight_g"):
            nn.utils.remove_weight_norm(module)
        elif parametrize.is_parametrized(module, "weight"):  # torch's newer weight norm, as kokoro will have it
            parametrize.remove_parametrizations(module, "weight")

"""Many voices' frames made sound at once, for a GPU: Kokoro's decoder, with masks.

Read :class:`GPUDecoder`, then :class:`_Span`. Source: ``Decoder`` of kokoro 0.9.4 (``kokoro.istftnet``); its
convolutions are called as they are, and what holds them together is written anew. A voice's wave is what it would be
alone, but for the rounding of float32.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import torch
from kokoro import KModel
from kokoro.istftnet import AdaIN1d, AdainResBlk1d, AdaINResBlock1
from torch import Tensor
from torch.nn.functional import leaky_relu, pad

from kvw.errors import KvwError
from kvw.speech.kokoro.model import Frames, harmonics

log = logging.getLogger(__name__)
_FRAMES_A_SECOND = 40

_OUT_OF_MEMORY = ("out of memory", "ALLOC_FAILED")
"""Of what torch raises on CUDA (``OutOfMemoryError``) and MPS, and what CUDA's libraries say."""

_BATCH_COST = 200
"""Padding, in frames, that is as dear as one more batch: what a GPU renders while a batch's kernels are launched."""


class GPUDecoder:
    """Renders many voices, those of about the same length together.

    Args:
        model: Kokoro, with or without weight norm; its layers are used where they are.
        most_frames: most frames of a batch, padding included. 40 are a second of audio, and each takes up to 0.8 MB of
            memory: the default is two minutes, in up to 4 GB. Where memory runs out it is halved, for good.
    """

    def __init__(self, model: KModel, *, most_frames: int = 4800) -> None:
        self._decoder = model.decoder
        self.most = most_frames

    @torch.no_grad()
    def __call__(self, frames: Sequence[Frames], styles: Tensor, seed: int) -> list[Tensor]:
        """One wave a voice, float32 ``(600 * frames,)``, in order.

        Args:
            frames: of each voice; their numbers may differ.
            styles: ``(voices, 256)``, a style row each.
            seed: of the noise: each voice hears what it would hear alone.

        Raises:
            KvwError: a single voice does not fit into memory.
        """
        lengths = [voice.text.shape[1] for voice in frames]
        order = sorted(range(len(frames)), key=lambda voice: -lengths[voice])
        waves: dict[int, Tensor] = {}
        while left := [voice for voice in order if voice not in waves]:
            for batch in _batches(left, lengths, self.most):
                rendered = self._attempt([frames[voice] for voice in batch], styles[batch], seed)
                if rendered is None:
                    self._halve([lengths[voice] for voice in batch], styles.device)
                    break
                waves.update(zip(batch, rendered, strict=True))
        return [waves[voice] for voice in range(len(frames))]

    def _attempt(self, frames: Sequence[Frames], styles: Tensor, seed: int) -> list[Tensor] | None:
        """The waves of a batch, or None where memory runs out; nothing but the error holds what was in it."""
        try:
            return self._render(frames, styles, seed)
        except RuntimeError as error:
            if not any(sign in str(error) for sign in _OUT_OF_MEMORY):
                raise
            return None

    def _halve(self, lengths: Sequence[int], device: torch.device) -> None:
        """Has the batch that did not fit, and all that come, cut in two."""
        if device.type != "cpu":
            torch.accelerator.empty_cache()
        if len(lengths) == 1:
            raise KvwError(
                f"device: expected memory for {lengths[0] / _FRAMES_A_SECOND:.1f} s of audio; {device} has too little "
                "for one voice alone; give shorter texts, or device=cpu"
            )
        self.most = min(self.most, len(lengths) * max(lengths)) // 2
        log.warning("batch halved to %.1f s of audio: out of memory on %s", self.most / _FRAMES_A_SECOND, device)

    def _render(self, frames: Sequence[Frames], styles: Tensor, seed: int) -> list[Tensor]:
        """The waves of one batch, of which the first voice is the longest."""
        spans = _Spans([voice.text.shape[1] for voice in frames], styles.device)
        timbre, (texts, pitches, energies) = styles[:, :128], zip(*frames, strict=True)
        source = _stack([harmonics(self._decoder.generator, pitch, seed) for pitch in pitches])
        x = self._decode(_stack(texts), _stack(pitches), _stack(energies), timbre, spans)
        return self._generate(x, source, timbre, spans)

    def _decode(self, text: Tensor, pitch: Tensor, energy: Tensor, style: Tensor, spans: _Spans) -> Tensor:
        """What the generator is given, ``(voices, 512, 2 * frames)``."""
        decoder, span = self._decoder, spans.frame
        curves = span.clear(torch.cat([decoder.F0_conv(pitch), decoder.N_conv(energy)], dim=1))
        again = torch.cat([span.clear(decoder.asr_res(text)), curves], dim=1)
        x = _block(decoder.encode, torch.cat([text, curves], dim=1), style, span, span)
        for block in decoder.decode:
            after = span if block.upsample_type == "none" else spans.half  # the last block
            x = _block(block, torch.cat([x, again], dim=1), style, span, after)
        return x

    def _generate(self, x: Tensor, source: Tensor, style: Tensor, spans: _Spans) -> list[Tensor]:
        """The waves."""
        generator = self._decoder.generator
        kernels, bins = generator.num_kernels, generator.post_n_fft // 2 + 1
        for stage, span in enumerate(spans.stages):
            x = generator.ups[stage](leaky_relu(x, 0.1))
            if stage == generator.num_upsamples - 1:
                x = generator.reflection_pad(x)
            excitation = span.clear(generator.noise_convs[stage](source))
            mixed = span.add(_residual(generator.noise_res[stage], excitation, style, span), x)
            del x, excitation  # a fifth of the memory, and not needed any more
            first, *others = generator.resblocks[stage * kernels : (stage + 1) * kernels]
            x = _residual(first, mixed, style, span)
            for block in others:
                x += _residual(block, mixed, style, span)
            x /= kernels
        x = generator.conv_post(leaky_relu(x))
        spectra = zip(span.cut(x[:, :bins].exp()), span.cut(x[:, bins:].sin()), strict=True)
        return [generator.stft.inverse(magnitude, phase).flatten() for magnitude, phase in spectra]


class _Span:
    """Where the voices of a batch are in time: each has its first ``length`` positions, the first voice all there are.

    A tensor ``(voices, channels, positions)`` that goes into a layer across time is zero beyond each voice's end: that
    is what Kokoro's convolutions see there when the voice is alone, and it leaves sums over time as they are.

    Args:
        lengths: of each voice, the longest first.
        device: where the tensors are.
    """

    def __init__(self, lengths: list[int], device: torch.device) -> None:
        self.lengths = lengths
        self._count = torch.tensor(lengths, device=device)[:, None, None]
        self._mask = (torch.arange(lengths[0], device=device) < self._count).float()

    def clear(self, x: Tensor) -> Tensor:
        """Zeroes ``x`` beyond the ends, in place."""
        return x.mul_(self._mask)

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        """``x``, which is clear, and ``y``, which need not be."""
        return torch.addcmul(x, y, self._mask)

    def cut(self, x: Tensor) -> list[Tensor]:
        """Each voice's own, ``(1, channels, length)``."""
        return [x[voice : voice + 1, :, :length] for voice, length in enumerate(self.lengths)]

    def norm(self, adain: AdaIN1d, x: Tensor, style: Tensor) -> Tensor:
        """``adain`` of ``x``, which is clear, by the mean and the variance of each voice's own time; clear too."""
        norm, (gamma, beta) = adain.norm, adain.fc(style)[..., None].chunk(2, dim=1)
        mean = x.sum(2, keepdim=True) / self._count
        x = torch.addcmul(x, mean, self._mask, value=-1)
        # not the mean square less the squared mean: float32 has too few digits for their difference
        variance = torch.linalg.vector_norm(x, dim=2, keepdim=True).square() / self._count
        scale = (1 + gamma) * norm.weight[:, None] * torch.rsqrt(variance + norm.eps)
        shift = (1 + gamma) * norm.bias[:, None] + beta
        return x.mul_(scale).addcmul_(shift, self._mask)


class _Spans:
    """The resolutions that a batch goes through.

    Attributes:
        frame: 40 a second.
        half: half a frame: the curves, and what the generator is given.
        stages: the generator's: 20 a frame, then 120 and one more at the start, as hops of a spectrum have it.
    """

    def __init__(self, lengths: Sequence[int], device: torch.device) -> None:
        self.frame = _Span(list(lengths), device)
        self.half = _Span([2 * length for length in lengths], device)
        self.stages = (
            _Span([20 * length for length in lengths], device),
            _Span([120 * length + 1 for length in lengths], device),
        )


def _stack(voices: Sequence[Tensor]) -> Tensor:
    """Tensors ``(channels, length)`` as one, zero beyond their ends; the first is the longest."""
    longest = voices[0].shape[1]
    return torch.stack([pad(voice, (0, longest - voice.shape[1])) for voice in voices])


def _block(block: AdainResBlk1d, x: Tensor, style: Tensor, span: _Span, after: _Span) -> Tensor:
    """``block`` of ``x``, which is clear; from one resolution to the same or to twice as fine a one."""
    y = block.pool(block.actv(span.norm(block.norm1, x, style)))
    if after is not span:
        after.clear(y)  # the pool spreads to the right, and has a bias
    y = after.clear(block.conv1(y))
    y = block.conv2(block.actv(after.norm(block.norm2, y, style)))
    shortcut = block.conv1x1(block.upsample(x)) if block.learned_sc else block.upsample(x)
    return after.clear(y.add_(shortcut).mul_(math.sqrt(0.5)))


def _residual(block: AdaINResBlock1, x: Tensor, style: Tensor, span: _Span) -> Tensor:
    """``block`` of ``x``, which is clear; so is the result."""
    layers = (block.convs1, block.convs2, block.adain1, block.adain2, block.alpha1, block.alpha2)
    for conv1, conv2, norm1, norm2, alpha1, alpha2 in zip(*layers, strict=True):
        y = span.clear(conv1(_snake(span.norm(norm1, x, style), alpha1)))
        x = span.add(x, conv2(_snake(span.norm(norm2, y, style), alpha2)))
    return x


def _snake(x: Tensor, alpha: Tensor) -> Tensor:
    """``x + sin(alpha * x)^2 / alpha``, in place."""
    return x.addcdiv_((alpha * x).sin_().square_(), alpha)


def _batches(voices: Sequence[int], lengths: Sequence[int], most: int) -> list[list[int]]:
    """Cuts ``voices``, the longest first, where padding and the batches' own cost come to least.

    No batch of several voices has more than ``most`` frames, padding included.
    """
    least, cuts = [0], [0]  # of the first voices, by their number: the cost, and where their last batch begins
    for end in range(1, len(voices) + 1):
        costs: list[tuple[int, int]] = []
        for start in reversed(range(end)):
            padded = (end - start) * lengths[voices[start]]
            if padded > most and costs:
                break
            costs.append((least[start] + padded + _BATCH_COST, start))
        cost, cut = min(costs)
        least.append(cost)
        cuts.append(cut)
    batches, end = [], len(voices)
    while end:
        batches.append(list(voices[cuts[end] : end]))
        end = cuts[end]
    return batches[::-1]

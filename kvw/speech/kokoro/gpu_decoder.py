"""Renders the frames of many voices at once, for a GPU: Kokoro's decoder, with masks.

Read :class:`GPUDecoder`, then :class:`_Span`. Source: ``Decoder`` of kokoro 0.9.4 (``kokoro.istftnet``), whose
convolutions are called, while the code between them is written anew. A voice's wave is the same as alone, but for the
rounding of float32.
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
"""In messages of torch on CUDA (``OutOfMemoryError``) and MPS, and of CUDA's libraries."""

_BATCH_COST = 200
"""Frames of padding that cost as much as one more batch: as many as a GPU renders while kernels are launched."""


class GPUDecoder:
    """Renders many voices, those of about the same length together.

    Args:
        model: Kokoro, with or without weight norm; its layers are shared, not copied.
        most_frames: most frames of a batch, padding included. 40 frames are a second of audio, and a frame takes up to
            0.8 MB of memory: the default is two minutes, in up to 4 GB. Where memory runs out, it is halved for good.
    """

    def __init__(self, model: KModel, *, most_frames: int = 4800) -> None:
        self._decoder = model.decoder
        self.most = most_frames

    @torch.no_grad()
    def __call__(self, frames: Sequence[Frames], styles: Tensor, seed: int) -> list[Tensor]:
        """One wave a voice, float32 ``(600 * frames,)``, in order.

        Args:
            frames: of each voice; voices may have different numbers of frames.
            styles: ``(voices, 256)``, a style row for each voice.
            seed: of the noise: each voice gets the noise that it would get alone.

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
        """The waves of a batch; None where memory runs out, all tensors of the attempt being free by then."""
        try:
            return self._render(frames, styles, seed)
        except RuntimeError as error:
            if not any(sign in str(error) for sign in _OUT_OF_MEMORY):
                raise
            return None

    def _halve(self, lengths: Sequence[int], device: torch.device) -> None:
        """Halves the limit of a batch's frames, after a batch that did not fit."""
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
        """The generator's input, ``(voices, 512, 2 * frames)``."""
        decoder, span = self._decoder, spans.frame
        curves = span.clear(torch.cat([decoder.F0_conv(pitch), decoder.N_conv(energy)], dim=1))
        again = torch.cat([span.clear(decoder.asr_res(text)), curves], dim=1)
        x = _block(decoder.encode, torch.cat([text, curves], dim=1), style, span, span)
        for block in decoder.decode:
            after = span if block.upsample_type == "none" else spans.half  # the last block
            x = _block(block, torch.cat([x, again], dim=1), style, span, after)
        return x

    def _generate(self, x: Tensor, source: Tensor, style: Tensor, spans: _Spans) -> list[Tensor]:
        """The wave of each voice."""
        generator = self._decoder.generator
        kernels, bins = generator.num_kernels, generator.post_n_fft // 2 + 1
        for stage, span in enumerate(spans.stages):
            x = generator.ups[stage](leaky_relu(x, 0.1))
            if stage == generator.num_upsamples - 1:
                x = generator.reflection_pad(x)
            excitation = span.clear(generator.noise_convs[stage](source))
            mixed = span.add(_residual(generator.noise_res[stage], excitation, style, span), x)
            del x, excitation  # a fifth of the memory
            first, *others = generator.resblocks[stage * kernels : (stage + 1) * kernels]
            x = _residual(first, mixed, style, span)
            for block in others:
                x += _residual(block, mixed, style, span)
            x /= kernels
        x = generator.conv_post(leaky_relu(x))
        spectra = zip(span.cut(x[:, :bins].exp()), span.cut(x[:, bins:].sin()), strict=True)
        return [generator.stft.inverse(magnitude, phase).flatten() for magnitude, phase in spectra]


class _Span:
    """The extent in time of each voice of a padded batch: its first ``length`` positions, of the first voice's length.

    A tensor ``(voices, channels, positions)`` is *clear* if it is zero beyond each voice's end. Inputs of layers across
    time must be clear: Kokoro's convolutions pad a voice alone with zeros too, and zeros leave sums over time as they
    are.

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
        """``x + y``, clear; ``x`` must be clear, ``y`` need not be."""
        return torch.addcmul(x, y, self._mask)

    def cut(self, x: Tensor) -> list[Tensor]:
        """The part of each voice, ``(1, channels, length)``."""
        return [x[voice : voice + 1, :, :length] for voice, length in enumerate(self.lengths)]

    def norm(self, adain: AdaIN1d, x: Tensor, style: Tensor) -> Tensor:
        """``adain`` of ``x``, by mean and variance over each voice's extent; ``x`` must be clear, the result is."""
        norm, (gamma, beta) = adain.norm, adain.fc(style)[..., None].chunk(2, dim=1)
        mean = x.sum(2, keepdim=True) / self._count
        x = torch.addcmul(x, mean, self._mask, value=-1)
        # not the mean square less the squared mean: float32 has too few digits for their difference
        variance = torch.linalg.vector_norm(x, dim=2, keepdim=True).square() / self._count
        scale = (1 + gamma) * norm.weight[:, None] * torch.rsqrt(variance + norm.eps)
        shift = (1 + gamma) * norm.bias[:, None] + beta
        return x.mul_(scale).addcmul_(shift, self._mask)


class _Spans:
    """The extents of a batch at each resolution of the decoder.

    Attributes:
        frame: 40 positions a second.
        half: two positions a frame: the curves, and the generator's input.
        stages: of the generator: 20 positions a frame, then 120 and one more in front, as a spectrum's hops have it.
    """

    def __init__(self, lengths: Sequence[int], device: torch.device) -> None:
        self.frame = _Span(list(lengths), device)
        self.half = _Span([2 * length for length in lengths], device)
        self.stages = (
            _Span([20 * length for length in lengths], device),
            _Span([120 * length + 1 for length in lengths], device),
        )


def _stack(voices: Sequence[Tensor]) -> Tensor:
    """Stacks tensors ``(channels, length)``, the longest first, padding them with zeros."""
    longest = voices[0].shape[1]
    return torch.stack([pad(voice, (0, longest - voice.shape[1])) for voice in voices])


def _block(block: AdainResBlk1d, x: Tensor, style: Tensor, span: _Span, after: _Span) -> Tensor:
    """``block`` of ``x``, from the resolution of ``span`` to that of ``after``; ``x`` must be clear, the result is."""
    y = block.pool(block.actv(span.norm(block.norm1, x, style)))
    if after is not span:
        after.clear(y)  # the pool spreads to the right, and has a bias
    y = after.clear(block.conv1(y))
    y = block.conv2(block.actv(after.norm(block.norm2, y, style)))
    shortcut = block.conv1x1(block.upsample(x)) if block.learned_sc else block.upsample(x)
    return after.clear(y.add_(shortcut).mul_(math.sqrt(0.5)))


def _residual(block: AdaINResBlock1, x: Tensor, style: Tensor, span: _Span) -> Tensor:
    """``block`` of ``x``; ``x`` must be clear, and the result is."""
    layers = (block.convs1, block.convs2, block.adain1, block.adain2, block.alpha1, block.alpha2)
    for conv1, conv2, norm1, norm2, alpha1, alpha2 in zip(*layers, strict=True):
        y = span.clear(conv1(_snake(span.norm(norm1, x, style), alpha1)))
        x = span.add(x, conv2(_snake(span.norm(norm2, y, style), alpha2)))
    return x


def _snake(x: Tensor, alpha: Tensor) -> Tensor:
    """``x + sin(alpha * x)^2 / alpha``, in place."""
    return x.addcdiv_((alpha * x).sin_().square_(), alpha)


def _batches(voices: Sequence[int], lengths: Sequence[int], most: int) -> list[list[int]]:
    """Cuts ``voices``, the longest first, into batches of the least total cost: padding, and :data:`_BATCH_COST` each.

    No batch of several voices has more than ``most`` frames, padding included.
    """
    least, cuts = [0], [0]  # by the number of first voices: their cost, and where their last batch begins
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

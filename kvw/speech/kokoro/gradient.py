"""Kokoro as a differentiable function of a style row: what a small change of the row does to the wave.

Read :class:`Differentiable`. The layers are those of ``kokoro/istftnet.py``. On a CPU the residual blocks of the
generator, which take nearly all of the time, are :mod:`kvw.speech.kokoro.winograd`'s, forwards and backwards (the
gradient of a convolution is one with the same taps, turned round); elsewhere, and in the rest of the model, torch
differentiates.

Kokoro rounds durations, and places the pulses of its source without a gradient: the pitch moves them, and no gradient
tells. What remains is how timbre shapes the sound, and how prosody does through the energy and the pitch curve that
the decoder reads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from kokoro import KModel
from kokoro.istftnet import AdaIN1d, AdaINResBlock1
from torch import Tensor, nn

from kvw.speech.kokoro.cpu_decoder import sine, snake, unchanged
from kvw.speech.kokoro.model import Frames, Kokoro, harmonics
from kvw.speech.kokoro.winograd import BLOCK, Convolution, Moments, Workspace, compiled


class Differentiable:
    """Speaks phonemes so that the wave can be differentiated by the style row.

    Args:
        kokoro: the model; its layers are shared, and their weights want no gradient.
    """

    def __init__(self, kokoro: Kokoro) -> None:
        self._kokoro, model = kokoro, kokoro.model
        generator = model.decoder.generator
        space = Workspace()
        on_cpu = model.device.type == "cpu"
        # elsewhere Kokoro's own, as torch differentiates them
        self._noise, self._blocks = (
            [_SnakeBlock(block, space) for block in blocks] if on_cpu else list(blocks)
            for blocks in (generator.noise_res, generator.resblocks)
        )

    def __call__(self, phonemes: str, style: Tensor, seed: int) -> Tensor:
        """The wave, float32 ``(samples,)``, of a style row ``(1, 256)`` that may want a gradient."""
        with torch.backends.cudnn.flags(enabled=False):  # its LSTM has no gradient but in training
            frames = self._kokoro.frames(phonemes, style[:, 128:])
        return self._rendered(self._kokoro.model, frames, style[:, :128], seed)

    def _rendered(self, model: KModel, frames: Frames, timbre: Tensor, seed: int) -> Tensor:
        """As ``Decoder.forward`` and ``Generator.forward`` do."""
        decoder, generator = model.decoder, model.decoder.generator
        with torch.no_grad():
            source = harmonics(generator, frames.pitch.detach(), seed)[None]
        curves = torch.cat([decoder.F0_conv(frames.pitch[None]), decoder.N_conv(frames.energy[None])], dim=1)
        text = frames.text[None]
        beside = torch.cat([decoder.asr_res(text), curves], dim=1)
        x = decoder.encode(torch.cat([text, curves], dim=1), timbre)
        for block in decoder.decode:
            x = block(torch.cat([x, beside], dim=1), timbre)
        kernels, bins = generator.num_kernels, generator.post_n_fft // 2 + 1
        for stage, (up, noise) in enumerate(zip(generator.ups, generator.noise_convs, strict=True)):
            excited = self._noise[stage](noise(source), timbre)
            x = up(F.leaky_relu(x, 0.1))
            if stage == generator.num_upsamples - 1:
                x = generator.reflection_pad(x)
            mixed = x + excited
            blocks = self._blocks[stage * kernels : (stage + 1) * kernels]
            x = torch.stack([block(mixed, timbre) for block in blocks]).mean(dim=0)
        x = generator.conv_post(F.leaky_relu(x))
        wave: Tensor = generator.stft.inverse(x[:, :bins].exp(), x[:, bins:].sin()).flatten()
        return wave


class _SnakeBlock:
    """``AdaINResBlock1`` on a CPU: three steps, each of twice AdaIN, snake and a convolution, added to the input."""

    def __init__(self, block: AdaINResBlock1, space: Workspace) -> None:
        firsts = zip(block.adain1, block.alpha1, block.convs1, strict=True)
        seconds = zip(block.adain2, block.alpha2, block.convs2, strict=True)
        self._steps = [[_Layer(*half, space) for half in step] for step in zip(firsts, seconds, strict=True)]

    def __call__(self, x: Tensor, style: Tensor) -> Tensor:
        rows = x[0].T.contiguous()
        for first, second in self._steps:
            rows = rows + second(first(rows, style), style)
        return rows.T[None]


class _Layer:
    """AdaIN, snake and a convolution of ``(time, channels)``, with the convolution of the way back."""

    def __init__(self, norm: AdaIN1d, alpha: Tensor, convolution: nn.Conv1d, space: Workspace) -> None:
        self._norm, self.eps = norm, norm.norm.eps
        self.alpha = alpha.detach().numpy().ravel()
        self.forth, self.back = Convolution(convolution, space), Convolution(_turned(convolution), space)

    def __call__(self, rows: Tensor, style: Tensor) -> Tensor:
        gamma, beta = self._norm.fc(style)[0].chunk(2)
        weight, bias = self._norm.norm.weight, self._norm.norm.bias
        run: Callable[..., Tensor] = _SnakeConvolution.apply
        return run(rows, (1 + gamma) * weight, (1 + gamma) * bias + beta, self)


def _turned(layer: nn.Conv1d) -> nn.Conv1d:
    """The convolution that brings a gradient by the output of ``layer`` back to its input."""
    turned = nn.Conv1d(
        layer.out_channels,
        layer.in_channels,
        layer.kernel_size[0],
        padding=layer.padding[0],
        dilation=layer.dilation[0],
        bias=False,
    )
    turned.weight.data = layer.weight.detach().flip(2).transpose(0, 1)
    return turned


class _SnakeConvolution(torch.autograd.Function):
    """What :class:`_Layer` does; it keeps its input for the way back, and computes everything else anew."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, scale: Tensor, shift: Tensor, layer: _Layer) -> Tensor:
        moments = Moments.of(rows.numpy())
        inverse = 1 / np.sqrt(moments.variance + layer.eps)  # of the standard deviations
        factor = scale.double().numpy() * inverse
        offset = shift.double().numpy() - factor * moments.mean
        ctx.layer, ctx.rows = layer, rows
        ctx.constants = [array.astype(np.float32) for array in (factor, offset, moments.mean, inverse)]
        active = partial(snake, layer.alpha, *ctx.constants[:2])
        return torch.from_numpy(layer.forth(rows.numpy(), active, np.empty_like(rows.numpy())))

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> Any:
        layer, rows = ctx.layer, ctx.rows.numpy()
        inner = layer.back(slopes[0].contiguous().numpy(), unchanged(rows.shape[1]), np.empty_like(rows))
        by_scale, by_shift = np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
        factor, offset, mean, inverse = ctx.constants
        _snake_back(layer.alpha, factor, offset, mean, inverse, rows, inner, by_scale, by_shift)
        sums = [torch.from_numpy(array.astype(np.float32)) for array in (by_scale, by_shift)]
        return torch.from_numpy(inner), *sums, None


@compiled
def _snake_back(
    alpha: Any, factor: Any, offset: Any, mean: Any, inverse: Any, rows: Any, slopes: Any, by_scale: Any, by_shift: Any
) -> None:
    """From the gradient by ``snake(AdaIN(rows))``, in ``slopes``, to that by ``rows``, in place.

    The gradients by AdaIN's scale and shift are added to ``by_scale`` and ``by_shift``, float64 ``(channels,)``. The
    derivative of ``y + sin(alpha y)^2 / alpha`` is ``1 + sin(2 alpha y)``; sine and cosine change their signs together.
    """
    length, channels = rows.shape
    for first in range(0, length, BLOCK):
        scales, shifts = np.zeros(channels, np.float32), np.zeros(channels, np.float32)
        for i in range(first, min(first + BLOCK, length)):
            row, slope = rows[i], slopes[i]
            for channel in range(channels):
                root = sine(alpha[channel] * (row[channel] * factor[channel] + offset[channel]))
                cosine = np.sqrt(max(np.float32(1) - root * root, np.float32(0)))  # of an angle in [-pi/2, pi/2]
                through = slope[channel] * (np.float32(1) + np.float32(2) * root * cosine)
                slope[channel] = through
                shifts[channel] += through
                scales[channel] += through * (row[channel] - mean[channel]) * inverse[channel]
        for channel in range(channels):
            by_scale[channel] += scales[channel]
            by_shift[channel] += shifts[channel]
    level, along = (by_shift / length).astype(np.float32), (by_scale / length).astype(np.float32)
    for i in range(length):
        row, slope = rows[i], slopes[i]
        for channel in range(channels):
            normal = (row[channel] - mean[channel]) * inverse[channel]
            slope[channel] = factor[channel] * (slope[channel] - level[channel] - normal * along[channel])

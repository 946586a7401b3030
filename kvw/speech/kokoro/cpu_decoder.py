"""Renders Kokoro's frames on a CPU, one voice at a time: the last part of the model, which takes 98 % of the time.

Read :meth:`CPUDecoder.__call__`. The modules are those of ``kokoro/istftnet.py`` and ``kokoro/modules.py``, by the same
names; but activations are ``(time, channels)``, AdaIN is fused with the activation after it, and convolutions are
:mod:`kvw.speech.kokoro.winograd`'s. Noise is drawn as in the original, so that a seed means the same noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from kokoro import KModel
from kokoro.istftnet import AdaIN1d, AdainResBlk1d, AdaINResBlock1, Generator
from numpy.typing import NDArray
from torch import Tensor, nn

from kvw.speech.kokoro.model import Frames, harmonics
from kvw.speech.kokoro.winograd import Activation, Convolution, Moments, Rows, Workspace, compiled

_PI_PARTS = (np.float32(3.140625), np.float32(9.67502593994140625e-4), np.float32(1.50995799097e-7))
"""Pi in three parts, whose products with small whole numbers are exact but for the last."""

_SINE = tuple(map(np.float32, (-2.3889859e-08, 2.7525562e-06, -1.9840874e-04, 8.3333310e-03, -1.6666667e-01)))
"""Coefficients of the sine's odd polynomial on [-pi/2, pi/2], of the highest power first; that of the first is 1."""


class CPUDecoder:
    """Renders frames as ``KModel`` does, but for rounding: the signal-to-noise ratio is over 100 dB.

    Args:
        model: on the CPU, its weight norm removed.
    """

    def __init__(self, model: KModel) -> None:
        space = Workspace()
        decoder = model.decoder
        self._halve = decoder.F0_conv, decoder.N_conv
        self._text = _pointwise(decoder.asr_res[0])
        self._encode = _ResidualBlock(decoder.encode, space)
        self._decode = [_ResidualBlock(block, space) for block in decoder.decode]
        self._generator = _Generator(decoder.generator, space)
        # compiles what numba's cache lacks now: processes that compile at the same time can spoil the cache
        self([Frames(torch.zeros(512, 2), torch.zeros(1, 4), torch.zeros(1, 4))], torch.zeros(1, 256), 0)

    @torch.inference_mode()
    def __call__(self, frames: Sequence[Frames], styles: Tensor, seed: int) -> list[Tensor]:
        """Renders one voice after the other; see :class:`kvw.speech.kokoro.model.Renderer`."""
        return [self._render(voice, style, seed) for voice, style in zip(frames, styles, strict=True)]

    def _render(self, frames: Frames, style: Tensor, seed: int) -> Tensor:
        timbre = style[:128]
        pitch, energy = (halve(curve).T for halve, curve in zip(self._halve, frames[1:], strict=True))
        text = frames.text.T.contiguous()
        rows = self._encode(torch.cat([text, pitch, energy], 1).numpy(), timbre)
        beside = torch.cat([self._text(text), pitch, energy], 1)
        for block in self._decode:
            rows = block(torch.cat([torch.from_numpy(rows), beside], 1).numpy(), timbre)
        return self._generator(torch.from_numpy(rows), frames.pitch, timbre, seed)


class _AdaIN:
    """``AdaIN1d``: instance norm, then an affine map by the style; as a factor and a shift of each channel."""

    def __init__(self, layer: AdaIN1d) -> None:
        self._fc, self._eps = layer.fc, layer.norm.eps
        self._weight = layer.norm.weight.detach().double().numpy()
        self._bias = layer.norm.bias.detach().double().numpy()

    def __call__(self, style: Tensor, moments: Moments) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        gamma, beta = self._fc(style).double().numpy().reshape(2, -1)
        factor = (1 + gamma) * self._weight / np.sqrt(moments.variance + self._eps)
        shift = (1 + gamma) * self._bias + beta - factor * moments.mean
        return factor.astype(np.float32), shift.astype(np.float32)


class _ResidualBlock:
    """``AdainResBlk1d``: two convolutions with AdaIN and leaky ReLU, beside a shortcut; may double the rows."""

    def __init__(self, block: AdainResBlk1d, space: Workspace) -> None:
        half = 2**-0.5  # keeps the variance of a sum of two branches
        self._norms = _AdaIN(block.norm1), _AdaIN(block.norm2)
        self._convolutions = Convolution(block.conv1, space), Convolution(block.conv2, space, half)
        self._width = block.conv1.out_channels
        self._pool = block.pool if block.upsample_type != "none" else None
        self._shortcut = partial(torch.mul, other=half)
        if block.learned_sc:
            weight = half * block.conv1x1.weight.detach()[:, :, 0]
            self._shortcut = partial(F.linear, weight=weight)
        self._slope = np.float32(block.actv.negative_slope)

    def __call__(self, rows: Rows, style: Tensor) -> Rows:
        first, second = self._norms
        active: Activation = partial(_leaky, self._slope, *first(style, Moments.of(rows)))
        given = rows
        if self._pool:
            given = np.empty_like(rows)
            active(rows, given)
            given = self._pool(torch.from_numpy(given).T[None])[0].T.contiguous().numpy()
            active = unchanged(rows.shape[1])
        shape, moments = (len(given), self._width), Moments(self._width)
        inner = self._convolutions[0](given, active, np.empty(shape, np.float32), moments=moments)
        out = self._shortcut(torch.from_numpy(rows))
        if self._pool:
            out = out.repeat_interleave(2, 0)
        return self._convolutions[1](
            inner, partial(_leaky, self._slope, *second(style, moments)), out.numpy(), add=True
        )


class _SnakeBlock:
    """``AdaINResBlock1``: three steps, each of twice AdaIN, snake and a convolution, added to the step's input."""

    def __init__(self, block: AdaINResBlock1, space: Workspace) -> None:
        halves = []
        for norms, alphas, convolutions in (
            (block.adain1, block.alpha1, block.convs1),
            (block.adain2, block.alpha2, block.convs2),
        ):
            halves.append(
                [
                    (_AdaIN(norm), alpha.detach().numpy().ravel(), Convolution(convolution, space))
                    for norm, alpha, convolution in zip(norms, alphas, convolutions, strict=True)
                ]
            )
        self._steps = list(zip(*halves, strict=True))

    def __call__(self, rows: Rows, style: Tensor, moments: Moments, inner: Rows) -> Rows:
        """Transforms ``rows``, whose moments are ``moments``, in place; ``inner`` is a buffer of the same shape."""
        for (norm1, alpha1, convolution1), (norm2, alpha2, convolution2) in self._steps:
            between = Moments(rows.shape[1])
            convolution1(rows, partial(snake, alpha1, *norm1(style, moments)), inner, moments=between)
            moments = Moments(rows.shape[1])
            convolution2(inner, partial(snake, alpha2, *norm2(style, between)), rows, add=True, moments=moments)
        return rows


class _Generator:
    """``Generator``: shapes harmonics of the pitch and noise by the decoder's output, to a spectrum and a wave."""

    def __init__(self, generator: Generator, space: Workspace) -> None:
        self._origin, self._stft = generator, generator.stft
        ups = [_Upsampling(layer) for layer in generator.ups]
        noise = [_Downsampling(layer) if layer.stride[0] > 1 else _pointwise(layer) for layer in generator.noise_convs]
        noise_blocks = [_SnakeBlock(block, space) for block in generator.noise_res]
        blocks = [_SnakeBlock(block, space) for block in generator.resblocks]
        of_stage = [blocks[at : at + generator.num_kernels] for at in range(0, len(blocks), generator.num_kernels)]
        self._stages = list(zip(ups, noise, noise_blocks, of_stage, strict=True))
        self._post = Convolution(generator.conv_post, space)
        self._bins = generator.post_n_fft // 2 + 1

    def __call__(self, rows: Tensor, pitch: Tensor, style: Tensor, seed: int) -> Tensor:
        har = harmonics(self._origin, pitch, seed).T.contiguous()
        for up, noise, noise_block, blocks in self._stages:
            source = noise(har).numpy()
            inner = np.empty_like(source)
            noise_block(source, style, Moments.of(source), inner)
            rows = up(F.leaky_relu(rows, 0.1))
            # the last stage has one more row, in front: a reflection
            mixed = torch.from_numpy(source)
            mixed[len(source) - len(rows) :] += rows
            mixed[: len(source) - len(rows)] += rows[1:2]
            moments = Moments.of(source)
            total = torch.zeros_like(mixed)
            for block in blocks:
                last = block is blocks[-1]
                total += torch.from_numpy(block(source if last else source.copy(), style, moments, inner))
            rows = total / len(blocks)
        spectrum = np.empty((len(rows), 2 * self._bins), np.float32)
        ones, zeros = np.ones(rows.shape[1], np.float32), np.zeros(rows.shape[1], np.float32)
        self._post(rows.numpy(), partial(_leaky, np.float32(0.01), ones, zeros), spectrum)
        magnitude, phase = torch.from_numpy(spectrum).T[None].chunk(2, dim=1)
        wave: Tensor = self._stft.inverse(magnitude.exp(), phase.sin()).ravel()
        return wave


class _Upsampling:
    """A transposed convolution with twice as many taps as its stride, as two matrix products."""

    def __init__(self, layer: nn.ConvTranspose1d) -> None:
        self._stride, self._padding = layer.stride[0], int(layer.padding[0])
        if (layer.kernel_size[0], 2 * self._padding) != (2 * self._stride, self._stride):
            raise ValueError(f"expected twice as many taps as the stride, and half of it as padding; got {layer}")
        taps = layer.weight.detach().permute(0, 2, 1).flatten(1)  # (in, taps * out)
        self._now, self._before = (half.contiguous() for half in taps.chunk(2, 1))
        self._bias = _bias(layer)

    def __call__(self, rows: Tensor) -> Tensor:
        """``(time, in)`` to ``(stride * time, out)``."""
        out = self._bias.repeat(len(rows) + 1, self._stride)
        out[:-1].addmm_(rows, self._now)
        out[1:].addmm_(rows, self._before)
        return out.view(-1, len(self._bias))[self._padding : -self._padding]


class _Downsampling:
    """A convolution with twice as many taps as its stride, as two matrix products."""

    def __init__(self, layer: nn.Conv1d) -> None:
        self._stride, self._padding = layer.stride[0], int(layer.padding[0])
        if layer.kernel_size[0] != 2 * self._stride:
            raise ValueError(f"expected twice as many taps as the stride; got {layer}")
        taps = layer.weight.detach().permute(2, 1, 0).flatten(0, 1)  # (taps * in, out)
        self._first, self._second = (half.contiguous() for half in taps.chunk(2))
        self._bias = _bias(layer)

    def __call__(self, rows: Tensor) -> Tensor:
        """``(time, in)`` to ``((time + 2 padding) // stride - 1, out)``."""
        length = len(rows) + 2 * self._padding
        padded = F.pad(rows, (0, 0, self._padding, self._padding))[: length - length % self._stride]
        strides = padded.view(-1, self._stride * rows.shape[1])
        return torch.addmm(self._bias, strides[:-1], self._first).addmm_(strides[1:], self._second)


def _pointwise(layer: nn.Conv1d) -> partial[Tensor]:
    """A convolution of one tap, on ``(time, in)``."""
    return partial(F.linear, weight=layer.weight.detach()[:, :, 0], bias=_bias(layer))


def _bias(layer: nn.Conv1d | nn.ConvTranspose1d) -> Tensor:
    return torch.zeros(layer.out_channels) if layer.bias is None else layer.bias.detach()


def unchanged(channels: int) -> Activation:
    """The activation that changes nothing."""
    return partial(_leaky, np.float32(1), np.ones(channels, np.float32), np.zeros(channels, np.float32))


@compiled
def _leaky(slope: Any, factor: Any, shift: Any, rows: Any, out: Any) -> None:
    """AdaIN and leaky ReLU."""
    for i in range(len(rows)):
        row, active = rows[i], out[i]
        for channel in range(len(active)):
            value = row[channel] * factor[channel] + shift[channel]
            active[channel] = max(value, slope * value)


@compiled
def sine(angle: Any) -> Any:
    """The sine of an angle less a multiple of pi, which brings it to [-pi/2, pi/2] and may change the sign.

    The multiple is taken in three parts. There the sine is an odd minimax polynomial of degree 11, exact but for
    rounding.
    """
    turns = np.rint(angle * np.float32(1 / np.pi))
    for part in _PI_PARTS:
        angle -= turns * part
    square = angle * angle
    series = np.float32(0)
    for coefficient in _SINE:
        series = series * square + coefficient
    return angle + angle * square * series


@compiled
def snake(alpha: Any, factor: Any, shift: Any, rows: Any, out: Any) -> None:
    """AdaIN and snake, ``y + sin(alpha y)^2 / alpha``; the library's sine would not become vector instructions.

    The sign that :func:`sine` may change is lost in the square.
    """
    inverse = np.float32(1) / alpha
    for i in range(len(rows)):
        row, active = rows[i], out[i]
        for channel in range(len(active)):
            value = row[channel] * factor[channel] + shift[channel]
            root = sine(alpha[channel] * value)
            active[channel] = value + inverse[channel] * root * root

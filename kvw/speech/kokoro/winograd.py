"""Convolutions over time on a CPU, with half of the multiplications, in blocks that stay in the cache.

Read :class:`Convolution`. Winograd's minimal filtering (Lavin and Gray, "Fast Algorithms for Convolutional Neural
Networks", 2016, arXiv:1509.09308): four outputs of three taps cost 6 products and not 12, of four taps 7 and not 16;
longer filters are sums of filters of four taps. The products are matrix products over the channels. The operations
before a convolution (AdaIN's affine map and an activation) and after it (bias, residual, the moments that the next
AdaIN needs) are done block by block too: a wave of 19 s has 90,000 rows, which no cache holds.

Arrays are ``(time, channels)``, float32, C order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import nn

Rows: TypeAlias = NDArray[np.float32]
"""``(time, channels)``."""

Activation: TypeAlias = Callable[[Rows, Rows], None]
"""Applies a function to its first argument, and writes the result into the second, of as many rows."""

TILE = 4
"""Outputs that are computed together."""

BLOCK = 1024
"""Approximate outputs of a block: few enough for the cache, enough to be worth reading 1 MB or more of filters."""

# the fewest bits are lost with points near 0 and, of a pair, one inverted
_POINTS: dict[int, tuple[Fraction, ...]] = {
    3: tuple(Fraction(point) for point in ("0", "1", "-1", "2", "-1/2")),
    4: tuple(Fraction(point) for point in ("0", "1", "-1", "1/2", "-1/2", "2")),
}

# fastmath lets loops over channels become vector instructions; finite numbers stay finite
compiled = njit(nogil=True, cache=True, fastmath=True, error_model="numpy")


class Moments:
    """Count, mean and sum of squared deviations of each channel, updated block by block; float64 ``(channels,)``."""

    def __init__(self, channels: int) -> None:
        self.count = 0
        self.mean, self.squares = np.zeros(channels), np.zeros(channels)

    def add(self, rows: Rows) -> None:
        """Includes a block."""
        _add_moments(rows, self.count, self.mean, self.squares)
        self.count += len(rows)

    @classmethod
    def of(cls, rows: Rows) -> Moments:
        """The moments of a whole array."""
        moments = cls(rows.shape[1])
        for first in range(0, len(rows), BLOCK):
            moments.add(rows[first : first + BLOCK])
        return moments

    @property
    def variance(self) -> NDArray[np.float64]:
        """The biased variance of each channel."""
        return self.squares / self.count


class Workspace:
    """Buffers that convolutions share, one for each use: buffers of their own would have left the cache by then."""

    def __init__(self) -> None:
        self._arrays: dict[str, torch.Tensor] = {}

    def __call__(self, use: str, *shape: int) -> torch.Tensor:
        """The buffer for a use, uninitialised."""
        size = math.prod(shape)
        if use not in self._arrays or len(self._arrays[use]) < size:
            self._arrays[use] = torch.empty(size)
        return self._arrays[use][:size].view(shape)


class Convolution:
    """``torch.nn.Conv1d`` of stride 1 and an odd number of taps, 3 or more, which keeps the length.

    Args:
        layer: the convolution, its weight norm removed.
        workspace: buffers, which convolutions that run one after the other may share.
        scale: factor on weight and bias.

    Raises:
        ValueError: the layer is of another kind.
    """

    def __init__(self, layer: nn.Conv1d, workspace: Workspace, scale: float = 1.0) -> None:
        width, self.dilation = layer.kernel_size[0], layer.dilation[0]
        same = self.dilation * (width - 1) // 2
        if width < 3 or (layer.stride[0], layer.padding[0], layer.groups, width % 2) != (1, same, 1, 1):
            raise ValueError(f"expected a convolution of 3, 5, 7 ... taps that keeps the length; got {layer}")
        taps = 3 if width == 3 else 4
        _, filters, transform = cook_toom(taps)
        self.points, self.groups, self.before = len(transform), -(-width // taps), same
        self._taps, self._input_transform = taps, _input_transform(taps)
        weight = np.zeros((layer.out_channels, layer.in_channels, self.groups * taps))
        weight[:, :, :width] = layer.weight.detach().numpy()
        grouped = weight.reshape(layer.out_channels, layer.in_channels, self.groups, taps)
        products = scale * np.einsum("pt,oigt->gpio", np.array(filters, dtype=float), grouped)
        self._filters = torch.from_numpy(np.ascontiguousarray(products, dtype=np.float32))
        bias = np.zeros(layer.out_channels) if layer.bias is None else layer.bias.detach().numpy()
        self._bias = np.asarray(scale * bias, dtype=np.float32)
        self._workspace = workspace

    def __call__(
        self,
        rows: Rows,
        activation: Activation,
        out: Rows,
        add: bool = False,
        moments: Moments | None = None,
    ) -> Rows:
        """Convolves ``activation(rows)``.

        Args:
            rows: ``(time, in channels)``.
            activation: applied to the input.
            out: ``(time, out channels)``, not ``rows``: receives the result, and is returned.
            add: whether to add the result to ``out`` in place of overwriting it.
            moments: updated with the result.
        """
        dilation, groups, ins, outs = self.dilation, self.groups, rows.shape[1], out.shape[1]
        blocks = -(-len(out) // BLOCK)
        tiles = -(-len(out) // (blocks * TILE * dilation)) * dilation  # in a block; `dilation` tiles interlock
        inputs = tiles + (groups - 1) * dilation
        active = self._workspace("active", TILE * (inputs - dilation) + self.points * dilation, ins)
        seen = self._workspace("seen", self.points, inputs, ins)
        product = self._workspace("product", self.points, tiles, outs)
        block, waves, products = active.numpy(), seen.numpy(), product.numpy()
        output_transform = _output_transform(self._taps, add)
        for first in range(0, len(out), TILE * tiles):
            begin = first - self.before
            given = rows[max(0, begin) : max(0, begin + len(block))]
            lead = min(max(0, -begin), len(block))
            block[:lead], block[lead + len(given) :] = 0, 0
            activation(given, block[lead : lead + len(given)])
            self._input_transform(block, dilation, waves)
            torch.bmm(seen[:, :tiles], self._filters[0], out=product)
            for group in range(1, groups):
                at = group * dilation
                product.baddbmm_(seen[:, at : at + tiles], self._filters[group])
            output_transform(products, dilation, self._bias, out, first)
            if moments is not None:
                moments.add(out[first : first + TILE * tiles])
        return out


Matrix: TypeAlias = tuple[tuple[Fraction, ...], ...]


@lru_cache
def cook_toom(taps: int) -> tuple[Matrix, Matrix, Matrix]:
    """The matrices A^T, G and B^T of minimal filtering, exact: outputs = A^T ((G filter) * (B^T inputs)).

    Args:
        taps: of the filter, 3 or 4; :data:`TILE` outputs need ``TILE + taps - 1`` inputs.
    """
    points = _POINTS[taps]
    last = TILE + taps - 2
    norms = [math.prod(p - q for q in points if q != p) for p in points]
    inverse = tuple((*(p**i for p in points), Fraction(i == TILE - 1)) for i in range(TILE))
    filters = tuple(tuple(p**i / norm for i in range(taps)) for p, norm in zip(points, norms, strict=True))
    infinity = tuple(Fraction(i == taps - 1) for i in range(taps))

    def polynomial(roots: list[Fraction]) -> tuple[Fraction, ...]:
        coefficients: tuple[Fraction, ...] = (Fraction(1),)
        for root in roots:
            raised, lowered = (Fraction(0), *coefficients), (*(root * c for c in coefficients), Fraction(0))
            coefficients = tuple(up - down for up, down in zip(raised, lowered, strict=True))
        return (*coefficients, *(Fraction(0) for _ in range(last + 1 - len(coefficients))))

    transform = tuple(polynomial([q for q in points if q != p]) for p in points)
    return inverse, (*filters, infinity), (*transform, polynomial(list(points)))


def _constants(matrix: Matrix) -> tuple[tuple[np.float32, ...], ...]:
    return tuple(tuple(np.float32(float(entry)) for entry in row) for row in matrix)


@lru_cache
def _input_transform(taps: int) -> Callable[..., None]:
    """A compiled function that applies B^T, a constant to the compiler, to every tile of a block."""
    transform = _constants(cook_toom(taps)[2])
    points = len(transform)

    @compiled
    def transform_inputs(rows: Any, dilation: int, seen: Any) -> None:
        for tile in range(seen.shape[1]):
            first = TILE * (tile - tile % dilation) + tile % dilation
            for channel in range(rows.shape[1]):
                for point in range(points):
                    total = np.float32(0)
                    for i in range(points):
                        total += transform[point][i] * rows[first + i * dilation, channel]
                    seen[point, tile, channel] = total

    return cast("Callable[..., None]", transform_inputs)


@lru_cache
def _output_transform(taps: int, add: bool) -> Callable[..., None]:
    """A compiled function that applies A^T to every tile of a block, and adds the bias; ``add`` as in Convolution."""
    inverse = _constants(cook_toom(taps)[0])
    points = len(inverse[0])

    @compiled
    def transform_outputs(products: Any, dilation: int, bias: Any, out: Any, start: int) -> None:
        for tile in range(products.shape[1]):
            first = start + TILE * (tile - tile % dilation) + tile % dilation
            for i in range(min(TILE, (len(out) - first + dilation - 1) // dilation)):
                row = out[first + i * dilation]
                for channel in range(len(row)):
                    total = bias[channel]
                    for point in range(points):
                        total += inverse[i][point] * products[point, tile, channel]
                    row[channel] = total + row[channel] if add else total

    return cast("Callable[..., None]", transform_outputs)


@compiled
def _add_moments(rows: Any, count: int, mean: Any, squares: Any) -> None:
    """Chan's update, with a mean of the block before its deviations: nothing cancels."""
    length, channels = rows.shape
    sums, deviations = np.zeros(channels, np.float32), np.zeros(channels, np.float32)
    for row in range(length):
        for channel in range(channels):
            sums[channel] += rows[row, channel]
    for channel in range(channels):
        sums[channel] /= np.float32(length)
    for row in range(length):
        for channel in range(channels):
            deviation = rows[row, channel] - sums[channel]
            deviations[channel] += deviation * deviation
    total = count + length
    for channel in range(channels):
        step = sums[channel] - mean[channel]
        mean[channel] += step * length / total
        squares[channel] += deviations[channel] + step * step * count * length / total

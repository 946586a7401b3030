"""What torch has differentiated, as a function of arrays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def pullback(output: Tensor, given: Tensor) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """The function that brings a cotangent, of ``output``'s shape, back to the gradient by ``given``; for one call.

    Args:
        output: on the CPU.
        given: what ``output`` was computed from, a leaf on the CPU that wants a gradient.
    """

    def back(cotangent: NDArray[np.float32]) -> NDArray[np.float32]:
        (gradient,) = torch.autograd.grad(output, given, torch.from_numpy(cotangent))
        return np.asarray(gradient.numpy())

    return back

"""Kokoro's weights out of a file, by the names that they have in ``KModel`` once weight norm is removed.

Read :func:`read_weights`. A file is a checkpoint of torch, with weight norm in either layout (``weight_g`` and
``weight_v``, or ``parametrizations.weight.original0`` and ``1``); or kokoro-onnx's export of the model as an ONNX graph
(https://github.com/thewh1teagle/kokoro-onnx), in float32, float16, or int8, which is dequantised: what the export
rounded stays rounded. Reading is faster than reading a converted copy of 330 MB would be, so none is kept.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kvw.errors import KvwError
from kvw.speech.kokoro.sources import INSTALL

Numbers = NDArray[np.float32]
Tensors = Callable[[str], Tensor]
"""The tensor of a name; raises KeyError where there is none."""

NORMS = (("weight_g", "weight_v"), ("parametrizations.weight.original0", "parametrizations.weight.original1"))
"""Names of a weight's sizes and directions, in each layout of weight norm."""


def read_weights(files: Sequence[Path]) -> Tensors:
    """The tensors of a file of weights, each read when it is asked for.

    Args:
        files: whose bytes, one after the other, are the file.

    Returns:
        a function from a name in KModel, such as ``decoder.encode.conv1.weight``, to its float32 tensor.

    Raises:
        KvwError: the file is neither a checkpoint nor an export of Kokoro's, is damaged, or onnx is not installed.
    """
    with files[0].open("rb") as content:
        head = content.read(4)
    if head[:2] in (b"PK", b"\x80\x02"):  # torch's zip, and its older pickle
        return _of_checkpoint(files[0], mmap=head[:2] == b"PK")
    return _of_graph(files)


def _refused(file: Path, got: str) -> KvwError:
    return KvwError(
        f"synth.model: expected Kokoro's weights, a .pth of torch's or a .onnx of kokoro-onnx's; {file} is {got}; "
        "bring it again, or check the path"
    )


def _of_checkpoint(file: Path, mmap: bool) -> Tensors:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parts = torch.load(file, map_location="cpu", weights_only=True, mmap=mmap)
        state = {f"{part}.{name.removeprefix('module.')}": parts[part][name] for part in parts for name in parts[part]}
        foreign = not all(isinstance(value, Tensor) for value in state.values())
    except Exception as error:  # torch raises anything, and its advice is to run what the file says
        raise _refused(file, "damaged, or another program's") from error
    if foreign:
        raise _refused(file, "another model's checkpoint")

    def tensor(name: str) -> Tensor:
        if name in state:
            return Tensor.float(state[name])
        return _normed(name, state.__getitem__)

    return tensor


def _normed(name: str, tensor: Tensors) -> Tensor:
    """A weight out of its sizes and directions."""
    module = name.removesuffix("weight")
    for sizes, directions in NORMS:
        with suppress(KeyError):
            weight: Tensor = torch._weight_norm(tensor(module + directions).float(), tensor(module + sizes).float(), 0)
            return weight
    raise KeyError(name)


def _of_graph(files: Sequence[Path]) -> Tensors:
    try:
        import onnx
    except ImportError as error:
        raise KvwError(f"synth.model: {files[0]} needs the package onnx ({error}); {INSTALL}") from error
    model = onnx.ModelProto()
    try:
        model.ParseFromString(b"".join(file.read_bytes() for file in files))
    except Exception as error:  # protobuf's own class, which its versions have in several places
        raise _refused(files[0], "damaged, or another program's") from error
    if not model.graph.initializer:
        raise _refused(files[0], "another program's")
    if any(tensor.external_data for tensor in model.graph.initializer):
        raise _refused(files[0], "a graph whose numbers are in another file")
    graph = _Graph(model.graph)

    def tensor(name: str) -> Tensor:
        try:
            return torch.from_numpy(np.array(graph(name), order="C"))
        except (ValueError, IndexError, TypeError) as error:  # numbers that are fewer than their shape says
            raise _refused(files[0], "damaged") from error

    return tensor


class _Graph:
    """Finds a tensor of KModel's in a graph: under its own name, or as an input of the node that its module became.

    Args:
        graph: of the export.
    """

    def __init__(self, graph: Any) -> None:
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._nodes = {node.name: node for node in graph.node}
        quantised = (node for node in graph.node if node.op_type in ("ConvInteger", "MatMulInteger"))
        self._zeros = {node.input[1]: node.input[3] for node in quantised if len(node.input) > 3}
        # a linear layer's weight is the other way round where it is a factor of a product
        self._factors = {node.input[1] for node in graph.node if node.op_type in ("MatMulInteger", "MatMul")}

    def __call__(self, name: str) -> Numbers:
        """The numbers of a tensor, in its shape in KModel.

        Raises:
            KeyError: the graph has no such tensor.
        """
        module, _, leaf = name.rpartition(".")
        full = f"{'decoder' if name.startswith('decoder.') else 'encoder'}.{name}"
        for form in (full, full + "_quantized"):
            with suppress(KeyError):
                return self._weight(form)
        with suppress(KeyError):
            return _normed(full, lambda part: torch.from_numpy(self._numbers(part).copy())).numpy()
        for path in _paths(module):
            with suppress(KeyError):
                return self._of_recurrence(path, leaf) if leaf.endswith(("_l0", "_l0_reverse")) else self._of_node(path)
        raise KeyError(name)

    def _numbers(self, name: str) -> Numbers:
        from onnx import numpy_helper

        return np.asarray(numpy_helper.to_array(self._tensors[name]), np.float32)

    def _dequantised(self, name: str) -> Numbers:
        """The numbers of a tensor of 8 bits; float32 holds a difference of two of them, so one rounding is all."""
        base = name.removesuffix("_quantized")
        zero = self._zeros.get(name, base + "_zero_point")
        shift = self._numbers(zero) if zero in self._tensors else np.float32(0)
        return (self._numbers(name) - shift) * self._numbers(base + "_scale")

    def _weight(self, name: str) -> Numbers:
        found = self._dequantised(name) if name.endswith("_quantized") else self._numbers(name)
        return found.T if name in self._factors else found

    def _of_node(self, path: str) -> Numbers:
        """The weight of a convolution or of a linear layer."""
        for operation in ("Conv_quant", "MatMul_quant", "ConvTranspose", "Conv", "MatMul"):
            if node := self._nodes.get(f"{path}/{operation}"):
                return self._weight(node.input[1])
        raise KeyError(path)

    def _of_recurrence(self, path: str, leaf: str) -> Numbers:
        """A weight or bias of an LSTM in two directions; ONNX has the gates in the order i o f c, torch i f c o."""
        node = self._nodes.get(path + "/LSTM_quant") or self._nodes[path + "/LSTM"]
        direction, recurrent = int(leaf.endswith("_reverse")), "_hh_" in leaf
        if leaf.startswith("bias"):
            given = np.split(self._numbers(node.input[3])[direction], 2)[recurrent]
        elif node.op_type == "LSTM":
            given = self._numbers(node.input[1 + recurrent])[direction]
        else:
            scale, zero = (self._numbers(node.input[at + 2 * recurrent])[direction] for at in (8, 9))
            given = ((self._numbers(node.input[1 + recurrent])[direction] - zero) * scale).T
        i, o, f, c = np.split(given, 4)
        return np.concatenate([i, f, c, o])


def _paths(module: str) -> Iterator[str]:
    """The paths that a module's nodes may have in the graph: numbers of lists are a part of the list's name."""
    joined: list[str] = []
    for part in module.split("."):
        if part.isdigit() and joined:
            joined[-1] += f".{part}"
        else:
            joined.append(part)
    if module.startswith("text_encoder.cnn."):  # a Sequential's child repeats its list's name
        _, _, layer, child = module.split(".")
        yield f"/encoder/text_encoder/cnn.{layer}/cnn.{layer}.{child}"
    if module == "decoder.asr_res.0":
        yield "/decoder/decoder/asr_res/asr_res.0"
    root = "decoder" if joined[0] == "decoder" else "encoder"
    yield "/".join(["", root, *joined])
    yield "/".join(["", root, *(part for part in joined if part != "predictor")])

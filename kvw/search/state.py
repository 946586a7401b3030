"""The state from which a search resumes bit for bit, as JSON that refers to its arrays by their digests.

An array is stored once, however many states refer to it: in KVoiceWalk's space a genome has a megabyte, and a walk
changes it only when it accepts a step. This module converts strategies, candidates and random generators.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kvw.evaluation import Evaluation
from kvw.search.candidate import Candidate
from kvw.search.strategy import Strategy


def state_dict(strategy: Strategy) -> dict[str, Any]:
    """All that changes in ``strategy`` during a search, as numpy arrays and JSON values."""
    own = getattr(strategy, "state_dict", None)
    if own:
        given: dict[str, Any] = own()
        return given
    state = {}
    for name, value in vars(strategy).items():
        try:
            if not name.startswith("_"):
                state[name] = pack(value)
        except TypeError:  # space, rng and the like come from the constructor
            continue
    return state


def load_state_dict(strategy: Strategy, state: Mapping[str, Any]) -> None:
    """Restores ``strategy`` from its :func:`state_dict`."""
    own = getattr(strategy, "load_state_dict", None)
    if own:
        own(state)
    else:
        for name, value in state.items():
            setattr(strategy, name, unpack(value))


PACKED = "kvw.Candidate"
"""Marks a packed candidate."""


def pack(value: Any) -> Any:
    """A copy of ``value`` in which candidates are dicts.

    Raises:
        TypeError: ``value`` has anything but numbers, text, arrays, lists, tuples, dicts and candidates.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        return value.copy(order="K") if isinstance(value, np.ndarray) else value.item()
    if isinstance(value, Candidate):
        seen = value.evaluation
        return {
            PACKED: {"genome": value.genome.copy(), "notes": dict(value.notes), "evaluation": seen and pack(vars(seen))}
        }
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: pack(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [pack(item) for item in value]
    raise TypeError(f"can't be saved: {type(value).__name__}")


def unpack(value: Any) -> Any:
    """The reverse of :func:`pack`, with lists for tuples."""
    if isinstance(value, list):
        return [unpack(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.copy(order="K")
    if not isinstance(value, dict):
        return value
    if PACKED not in value:
        return {key: unpack(item) for key, item in value.items()}
    packed = value[PACKED]
    candidate = Candidate(packed["genome"], packed["notes"])
    if packed["evaluation"]:
        candidate.evaluate(Evaluation(**unpack(packed["evaluation"])))
    return candidate


ARRAY = "kvw.array"
"""Marks the digest of an array in the JSON."""

KINDS = frozenset("?bBhHiIlLqQefd")
"""Number types of stored arrays, as numpy's type characters."""

MOST_DIMENSIONS = 8


@dataclass(frozen=True)
class Stored:
    """An array as bytes.

    Attributes:
        dtype: the numbers' type, such as ``<f8``.
        shape: JSON list.
        order: memory layout, ``C`` or ``F``: ``eigh`` returns ``F``; products of a ``C`` copy differ in the last bits.
        data: the numbers in that order.
    """

    dtype: str
    shape: str
    order: Literal["C", "F"]
    data: bytes

    @property
    def digest(self) -> str:
        """sha256 of all attributes, 64 hex digits."""
        head = f"{self.dtype} {self.shape} {self.order}\n".encode()
        return hashlib.sha256(head + self.data).hexdigest()

    def array(self) -> NDArray[Any]:
        """The array, a new copy.

        Raises:
            ValueError: the attributes describe no array.
        """
        shape = json.loads(self.shape)
        plain = isinstance(shape, list) and len(shape) <= MOST_DIMENSIONS
        if not plain or not all(type(size) is int and size >= 0 for size in shape) or self.order not in ("C", "F"):
            raise ValueError(f"invalid array shape {self.shape!r:.40} or order {self.order!r:.10}")
        try:
            dtype = np.dtype(self.dtype)
        except TypeError as error:
            raise ValueError(f"invalid array type {self.dtype!r:.40}") from error
        if dtype.char not in KINDS or dtype.subdtype:
            raise ValueError(f"invalid array type {self.dtype!r:.40}")
        numbers: NDArray[Any] = np.frombuffer(self.data, dtype)
        return numbers.reshape(shape, order=self.order).copy(order=self.order)


def store_array(array: NDArray[Any]) -> Stored:
    """Converts an array to bytes.

    Raises:
        TypeError: the numbers' type is not in :data:`KINDS`.
    """
    if array.dtype.char not in KINDS:
        raise TypeError(f"can't be saved: an array of {array.dtype}")
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    order: Literal["C", "F"] = "F" if fortran else "C"
    return Stored(array.dtype.str, json.dumps(array.shape), order, array.tobytes(order=order))


def freeze(state: Any) -> tuple[str, dict[str, Stored]]:
    """A state as JSON, and its arrays by their digests.

    Args:
        state: of numpy arrays, numpy scalars and JSON values; floats may be infinite.

    Raises:
        TypeError: ``state`` has anything else.
    """
    arrays: dict[str, Stored] = {}

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            stored = store_array(value)
            digest = stored.digest
            arrays[digest] = stored
            return {ARRAY: digest}
        if isinstance(value, dict):
            if ARRAY in value or not all(isinstance(key, str) for key in value):
                raise TypeError(f"can't be saved: a dict with the keys {list(value)!r:.80}")
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, np.generic):
            return value.item()
        return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value

    return json.dumps(plain(state)), arrays


def thaw(text: str, find: Callable[[str], NDArray[Any]]) -> Any:
    """The reverse of :func:`freeze`, with lists for tuples.

    Args:
        text: JSON.
        find: returns the array of a digest.

    Raises:
        ValueError: ``text`` is not JSON, or nested too deeply.
    """

    def rich(value: dict[str, Any]) -> Any:
        return find(value[ARRAY]) if value.keys() == {ARRAY} else value

    try:
        return json.loads(text, object_hook=rich)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def random_state(rng: np.random.Generator) -> dict[str, Any]:
    """The state of ``rng``, and of the global generators: a plugin may draw from those, though it should not."""
    version, numbers, gauss = random.getstate()
    torch = sys.modules.get("torch")  # unless imported, nothing draws from it
    return {
        "rng": rng.bit_generator.state,
        "python": {"version": version, "numbers": np.array(numbers, dtype=np.uint32), "gauss": gauss},
        "numpy": dict(np.random.get_state(legacy=False)),  # noqa: NPY002 - what libraries draw from
        "torch": torch.get_rng_state().numpy().copy() if torch else None,
    }


def set_random_state(rng: np.random.Generator, state: Mapping[str, Any]) -> None:
    """Restores a :func:`random_state`."""
    rng.bit_generator.state = state["rng"]
    python = state["python"]
    random.setstate((python["version"], tuple(python["numbers"].tolist()), python["gauss"]))
    np.random.set_state(state["numpy"])  # noqa: NPY002
    if state["torch"] is not None and (torch := sys.modules.get("torch")):
        torch.set_rng_state(torch.from_numpy(state["torch"]))

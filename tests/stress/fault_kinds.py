"""The faults that an evaluation may meet, and the failure that each has to be named as."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from kvw.types import SAMPLE_RATE, Wave


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        what: happens.
        place: ``speech``, ``hearing``, ``statistics``, ``stage`` or ``gate``.
        stage: of the fitness that it happens in, or behind which, for a gate.
        status: of the evaluation then.
    """

    what: str
    place: str
    stage: str
    status: str

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.place} {self.what} ({self.stage})"


SPEECH = {
    "NaN": "not finite",
    "infinity": "not finite",
    "silence": "silent",
    "nothing": "empty",
    "10 ms": "too short",
    "hours": "too long",
    "hours of NaN": "too long",
    "no wave": "raised",
    "None": "raised",
    "RuntimeError": "raised",
    "MemoryError": "raised",
    "OutOfMemoryError": "raised",
}


HEARING = {"RuntimeError": "raised", "MemoryError": "raised", "NaN": "not finite", "no speech": "no speech"}


STATISTICS = {
    "RuntimeError": "raised",
    "OutOfMemoryError": "raised",
    "ValueError": "unmeasurable",
    "NaN": "not finite",
}


STAGE = {
    "RuntimeError": "raised",
    "NaN": "not finite",
    "infinity": "not finite",
    "no part": "not finite",
    "text": "not finite",
}


GATE = {"RuntimeError": "raised", "KeyError": "raised"}


FAULTS = [
    *(Fault(what, "speech", stage, status) for what, status in SPEECH.items() for stage in ("target", "self")),
    *(Fault(what, "hearing", stage, status) for what, status in HEARING.items() for stage in ("target", "self")),
    *(Fault(what, "stage", stage, status) for what, status in STAGE.items() for stage in ("target", "self")),
    *(Fault(what, "gate", stage, status) for what, status in GATE.items() for stage in ("target", "self")),
    *(Fault(what, "statistics", "feature", status) for what, status in STATISTICS.items()),
]


ERRORS: dict[str, Callable[[], Exception]] = {
    "RuntimeError": lambda: RuntimeError("as foretold:\nin two lines"),
    "MemoryError": MemoryError,
    "OutOfMemoryError": lambda: torch.OutOfMemoryError("CUDA out of memory, as foretold"),
    "ValueError": lambda: ValueError("as foretold"),
    "KeyError": lambda: KeyError("as foretold"),
}


HOURS = 2 * 3600 * SAMPLE_RATE


WAVES: dict[str, Callable[[Wave], Any]] = {
    "NaN": lambda wave: np.where(np.arange(len(wave)) == 77, np.float32(np.nan), wave),
    "infinity": lambda wave: np.where(np.arange(len(wave)) == 77, np.float32(-np.inf), wave),
    "silence": np.zeros_like,
    "nothing": lambda wave: wave[:0],
    "10 ms": lambda wave: wave[: SAMPLE_RATE // 100],
    "hours": lambda wave: np.broadcast_to(np.float32(0.1), (HOURS,)),  # which take no memory
    "hours of NaN": lambda wave: np.broadcast_to(np.float32(np.nan), (HOURS,)),
    "None": lambda wave: None,
}

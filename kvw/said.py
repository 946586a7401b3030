"""What the voices that a summary compares say, kept as files when a run ends: its report and judges need no models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from kvw import audio
from kvw.disk import insist
from kvw.types import Wave

FOLDER = "said"
"""Of a run; it holds ``ROLE_NUMBER.flac``."""

ROLES = ("stock", "start", "best")
"""The best stock voice, the first candidate, the result."""


def path(run: Path, role: str, number: int) -> Path:
    """The file of a voice speaking a text.

    Args:
        run: its folder.
        role: one of :data:`ROLES`.
        number: 0 is the target text, which the best says in ``best.wav`` already; then the held-out texts in order.
    """
    return run / FOLDER / f"{role}_{number}.flac"


def keep(run: Path, spoken: Mapping[str, Sequence[Wave | None]]) -> None:
    """Writes what was spoken in the place of what an earlier end of the run had left.

    Args:
        run: its folder.
        spoken: by role, for each text in the order of :func:`path`; None for what a voice failed to say.

    Raises:
        StorageError: the storage is full, broken or gone.
        OSError: the folder can't be written.
    """
    folder = run / FOLDER
    insist(folder, partial(folder.mkdir, exist_ok=True))
    for old in folder.glob("*.flac"):
        insist(old, partial(old.unlink, missing_ok=True))
    for role, waves in spoken.items():
        for number, wave in enumerate(waves):
            if wave is not None and len(wave) and np.isfinite(wave).all():
                audio.write(path(run, role, number), wave)

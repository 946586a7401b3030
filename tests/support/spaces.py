"""Spaces over banks of random voices that are smooth across their rows, as real ones are."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import settings

from kvw.spaces.base import PROSODY, TIMBRE, VOICE_STD
from kvw.spaces.blend import Blend
from kvw.spaces.offset import Coherent
from kvw.spaces.pca import PCA, PCAOffset

SIMPLEX = partial(Blend, weights="simplex")


SHIFTS = [Coherent, PCA, PCAOffset]


FREEZES = [None, "timbre", "prosody"]


FREE = {None: slice(256), "timbre": PROSODY, "prosody": TIMBRE}


every_freeze = pytest.mark.parametrize("freeze", FREEZES)


examples = settings(max_examples=10, deadline=None)


def voices(seed, count=4):
    """Rows as real voices have them: between voices a std of 0.14, and a smooth drift of each voice's own."""
    rng = np.random.default_rng(seed)
    means, drifts = rng.standard_normal((2, count, 1, 1, 256)) * [[[[[VOICE_STD]]]], [[[[0.05]]]]]
    return list((means + drifts * np.linspace(-1, 1, 510)[:, None, None]).astype(np.float32))


def make(kind, seed=0, count=4, **more):
    bank = voices(seed, count)
    return kind(**{"bank": bank, "top": bank[:3], "base": np.mean(bank[:3], axis=0), **more})


def somewhere(space, seed, size=1.0):
    """A genome that comes back: any, but for those of a blend, whose weights must be in range."""
    genome = space.origin + np.random.default_rng(seed).standard_normal(space.dim) * space.scale * size
    if isinstance(space, Blend) and space.dim == len(space._bank):
        return np.abs(genome) / np.abs(genome).sum()
    if isinstance(space, Blend):
        return genome * min(1, 5 / np.linalg.norm(genome))
    return genome


def row(voice):
    return voice.astype(np.float64).mean(axis=0)[0]

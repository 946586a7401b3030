"""A synthesiser and an encoder in one formula: a smooth function from style to embedding, and what texts add to it."""

from __future__ import annotations

import numpy as np

from kvw.spaces.base import VOICE_STD
from kvw.types import STYLE_WIDTH

TEXTS = 6

_draw = np.random.default_rng(12)
_MIX = _draw.standard_normal((STYLE_WIDTH, 12)) / 16
_OUT = _draw.standard_normal((12, STYLE_WIDTH))
_BASE = _draw.standard_normal(STYLE_WIDTH)
_PITCH = _draw.standard_normal(12) / 10
_TEXT = 0.3 * _draw.standard_normal((TEXTS, STYLE_WIDTH))
_DELIVERED = np.column_stack([_PITCH, _draw.standard_normal((12, 3)) / 10 * np.array([1, 1, 5])])


def styles(seed, count):
    """Styles of as many voices, ``(count, 256)``, that differ in a few directions more than in others."""
    rng = np.random.default_rng([7, seed])
    own = rng.standard_normal((count, 20)) @ np.random.default_rng(1).standard_normal((20, STYLE_WIDTH)) / 4
    return VOICE_STD * (own + 0.1 * rng.standard_normal((count, STYLE_WIDTH)))


def heard(some, texts):
    """The embeddings of styles that speak texts by their numbers; without what a text adds where it is None."""
    raw = _BASE + np.tanh(some / VOICE_STD @ _MIX) @ _OUT + (0 if texts is None else _TEXT[texts])
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def delivered(some):
    """The delivery of styles, ``(count, 4)``, as :class:`kvw.atlas.forward.Expected` has it."""
    felt = np.tanh(some / VOICE_STD @ _MIX)
    return np.array([5.2, 2.5, 7.3, 20.0]) + felt @ _DELIVERED

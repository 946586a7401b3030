"""KVoiceWalk's space."""

from __future__ import annotations

import numpy as np

from kvw.spaces.elementwise import Elementwise
from kvw.types import VOICE_SHAPE
from tests.support.spaces import voices


def test_the_elementwise_space_is_kvoicewalks():
    top, genome = voices(3, 5), np.random.default_rng(0).standard_normal(130560)
    space = Elementwise(bank=voices(1), top=top, base=top[2])
    assert np.array_equal(space.decode(genome), genome.astype(np.float32).reshape(VOICE_SHAPE))
    assert np.array_equal(space.origin, top[2].astype(np.float64).reshape(-1))
    assert np.array_equal(space.scale, np.std([one.astype(np.float64).reshape(-1) for one in top], axis=0, ddof=1))
    assert np.array_equal(space.decode(space.encode(top[0])), top[0])

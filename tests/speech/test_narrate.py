"""Texts of several paragraphs."""

import numpy as np

from kvw.speech.narrate import narrate
from kvw.types import SAMPLE_RATE


def test_paragraphs_are_apart(embedded, bank):
    voice = bank["am_felix"]
    apart = narrate(embedded, voice, "One is here.\n\nTwo is there.", 0)
    parts = [embedded([voice], embedded.script(text), 0)[0] for text in ("One is here.", "Two is there.")]
    assert len(apart) == sum(map(len, parts)) + round(0.4 * SAMPLE_RATE)
    assert np.array_equal(apart[: len(parts[0])], parts[0])
    assert np.array_equal(apart[-len(parts[1]) :], parts[1])

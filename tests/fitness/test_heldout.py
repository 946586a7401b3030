from __future__ import annotations

import numpy as np
import pytest

from kvw.errors import KvwError
from kvw.fitness.heldout import HeldOut
from kvw.fitness.listener import Listener
from kvw.fitness.speaker import cosine
from kvw.types import SAMPLE_RATE
from tests.conftest import SHORT, Recorded, numbered

TEXTS = ["Nobody was there.", "The harbour was quiet, and the boats lay still."]


def test_a_voice_is_compared_with_the_audio_on_every_text(embedded, encoder, bank, demo):
    listener = Listener(embedded, encoder, seed=11)
    clips = [demo[: 6 * SAMPLE_RATE], demo[8 * SAMPLE_RATE :]]
    first, second = encoder(clips)
    speaker = (first + second) / np.linalg.norm(first + second)
    expected = []
    for text in TEXTS:
        (embedding,) = encoder(listener.speak([bank["af_iris"]], embedded.script(text)))
        expected.append(cosine(embedding, speaker))
    assert HeldOut(listener, TEXTS, clips)(bank["af_iris"]) == pytest.approx(expected, abs=1e-6)


def test_a_text_that_a_voice_fails_to_speak_counts_as_nothing(embedded, encoder, bank, demo):
    good = embedded([bank["af_iris"]], embedded.script(TEXTS[1]), 0)[0]
    listener = Listener(Recorded([np.zeros(SAMPLE_RATE, np.float32)], good), encoder, seed=0)
    silent, spoken = HeldOut(listener, ["Silence.", SHORT["other_text"]], [demo])(numbered(0))
    assert silent == 0.0
    assert 0 < spoken < 1


def test_audio_without_speech_is_refused(embedded, encoder, demo):
    with pytest.raises(KvwError, match="heldout_audio"):
        HeldOut(Listener(embedded, encoder, 0), TEXTS, [demo, np.zeros(SAMPLE_RATE * 5, np.float32)])


def test_a_text_at_which_speech_raises_counts_as_nothing_and_no_search_is_lost(embedded, encoder, bank, demo):
    def stumbling(voices, script, seed):
        if script.text == TEXTS[0]:
            raise RuntimeError("CUDA out of memory")
        return embedded(voices, script, seed)

    listener = Listener(embedded, encoder, seed=0)
    listener.speak = lambda voices, script: stumbling(voices, script, 0)
    raised, spoken = HeldOut(listener, TEXTS, [demo])(bank["af_iris"])
    assert raised == 0.0
    assert 0 < spoken < 1

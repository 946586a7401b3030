"""Voice activity detection: a verdict for each frame, right on the demo clip."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kvw.audio.recordings import read_recording
from kvw.audio.vad import FRAME, speech_frames
from kvw.config.paths import DEMO
from kvw.types import SAMPLE_RATE


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 10 * FRAME))
def test_there_is_a_verdict_on_speech_for_each_whole_frame(samples: int) -> None:
    wave = np.random.default_rng(0).standard_normal(samples).astype(np.float32)
    assert speech_frames(wave).shape == (samples // FRAME,)


def test_speech_is_heard_where_somebody_speaks() -> None:
    wave = read_recording(DEMO)
    second = np.zeros(SAMPLE_RATE, np.float32)
    spoken = speech_frames(np.concatenate([second, wave[: 4 * SAMPLE_RATE], second]))
    frames = SAMPLE_RATE // FRAME
    assert not spoken[: frames - 1].any() and not spoken[-frames + 10 :].any()
    assert spoken[frames : 4 * frames].mean() > 0.7

"""Voice activity detection with Resemblyzer's settings: which frames of a wave are speech."""

from __future__ import annotations

import numpy as np
import soxr
import webrtcvad
from numpy.typing import NDArray

from kvw.types import SAMPLE_RATE, Wave

VAD_RATE = 16_000
"""Hz. This, VAD_FRAME, VAD_MODE and VAD_LEVEL are Resemblyzer's settings (its ``hparams.py`` and ``audio.py``)."""

VAD_FRAME = 480
"""Samples of a frame at VAD_RATE: 30 ms."""

FRAME = VAD_FRAME * SAMPLE_RATE // VAD_RATE
"""Samples of the same 30 ms in a :data:`Wave`."""

VAD_MODE = 3

VAD_LEVEL = 10 ** (-30 / 20)
"""RMS to which a quieter recording is raised."""


def speech_frames(wave: Wave) -> NDArray[np.bool_]:
    """Which frames of a wave the voice activity detector takes for speech, as in Resemblyzer's ``preprocess_wav``.

    Returns:
        bool ``(len(wave) // FRAME,)``: an entry for each whole :data:`FRAME`.
    """
    quiet = soxr.resample(wave, SAMPLE_RATE, VAD_RATE)
    level = float(np.sqrt(np.mean(np.square(quiet, dtype=np.float64))))
    loud = quiet * max(1.0, VAD_LEVEL / max(level, 1e-9))
    pcm = np.round(np.clip(loud, -1.0, 1.0) * 32767).astype("<i2")
    detector = webrtcvad.Vad(VAD_MODE)
    frames = pcm[: len(pcm) // VAD_FRAME * VAD_FRAME].reshape(-1, VAD_FRAME)
    return np.array([detector.is_speech(frame.tobytes(), VAD_RATE) for frame in frames], dtype=bool)


def speech_seconds(wave: Wave) -> float:
    """Seconds of speech in a wave."""
    return float(np.count_nonzero(speech_frames(wave))) * FRAME / SAMPLE_RATE

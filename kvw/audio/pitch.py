"""The pitch of a voice: its contour, its lower quartile, and a guess of the speaker's gender."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kvw.errors import KvwError
from kvw.types import SAMPLE_RATE, Wave

RANGE = (60.0, 400.0)
"""Hz: the lowest and the highest fundamental frequency that is looked for."""

FRAME, HOP = 2048, 480
"""Samples of an analysis frame (85 ms, two periods of the lowest pitch) and samples between frames (20 ms)."""

STEADY = 0.1
"""Most change of log pitch between neighbouring frames of a steady voice; frames that change more have no pitch."""

BOUNDARY = 157.0
"""Hz: the geometric mean of 119 and 207, the mean pitch of men and women in Traunmüller and Eriksson (1995), "The
frequency range of the voice fundamental in the speech of male and female adults"."""

_LONGEST = 30  # seconds of a recording that count for its pitch


def track(wave: Wave) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """The fundamental frequency, Hz in :data:`RANGE`, and the RMS level, every :data:`HOP` samples, voiced or not.

    Source: librosa's YIN.

    Args:
        wave: float32 ``(samples,)`` at 24 kHz, finite.
    """
    import librosa

    low, high = RANGE
    frequency = librosa.yin(wave, fmin=low, fmax=high, sr=SAMPLE_RATE, frame_length=FRAME, hop_length=HOP)
    return frequency.astype(np.float64), librosa.feature.rms(y=wave, frame_length=FRAME, hop_length=HOP)[0]


def contour(wave: Wave) -> NDArray[np.float64]:
    """The fundamental frequency, Hz in :data:`RANGE`, every :data:`HOP` samples; NaN where there is no steady voice."""
    low, high = RANGE
    if len(wave) < FRAME:
        return np.full(1, np.nan)
    frequency, level = track(wave)
    change = np.abs(np.diff(np.log(frequency)))
    steady = np.maximum(np.append(change, 0), np.append(0, change)) < STEADY
    edge = (frequency < low * 1.02) | (frequency > high * 0.98)  # YIN's answer where no period repeats
    frequency[(level < 0.25 * np.percentile(level, 90)) | ~steady | edge] = np.nan
    return frequency


def intonation(wave: Wave) -> NDArray[np.float64]:
    """Mean and standard deviation of the natural logarithm of the pitch in Hz, and the share of frames that have one.

    Where no frame has one all three are 0.
    """
    frequency = contour(wave)
    voiced = np.log(frequency[np.isfinite(frequency)])
    if not len(voiced):
        return np.zeros(3)
    return np.array([voiced.mean(), voiced.std(), len(voiced) / len(frequency)])


def median_pitch(waves: Sequence[Wave]) -> float:
    """The median of the fundamental frequency, Hz in :data:`RANGE`, over all waves; NaN where none has a steady voice.

    Args:
        waves: speech of one speaker, each float32 ``(samples,)`` at 24 kHz, finite.
    """
    contours = np.concatenate([np.full(1, np.nan), *map(contour, waves)])
    voiced = contours[np.isfinite(contours)]
    return float(np.exp(np.median(np.log(voiced)))) if len(voiced) else float("nan")


def low_pitch(wave: Wave) -> float:
    """The lower quartile of the fundamental frequency, Hz in :data:`RANGE`, over the louder half of the frames.

    Args:
        wave: speech, float32 ``(samples,)`` at 24 kHz; only its first 30 s count.

    Raises:
        KvwError: the wave is empty or silent, or has NaN or infinite samples.
    """
    heard = wave[: _LONGEST * SAMPLE_RATE]
    if not len(heard) or not np.isfinite(heard).all() or not np.ptp(heard):
        raise KvwError("expected speech to measure a pitch; got none")
    frequency, level = track(heard)
    return float(np.percentile(frequency[level >= np.median(level)], 25))


def gender_of(wave: Wave) -> str:
    """Guesses a speaker's gender by pitch: ``f`` or ``m``.

    The guess compares the lower quartile of the pitch, which a lively reader raises less than the median, with
    :data:`BOUNDARY`. It is right for 9 of 9 clips of five real speakers, for 61 of their 65 pieces of 2 s, and for 23
    of the 24 embedded voices that speak for 10 s; with a question of 1 s for 17 of 24.

    Raises:
        KvwError: as :func:`low_pitch`.
    """
    return "f" if low_pitch(wave) > BOUNDARY else "m"

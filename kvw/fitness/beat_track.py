"""Beats of an onset envelope: ``librosa.beat.beat_track``, whose import compiles for three seconds, for one case of it.

Source: Ellis, "Beat Tracking by Dynamic Programming", 2007, as librosa 0.11 has it; tests/fitness/test_acoustics.py
compares both.
"""

from __future__ import annotations

import numpy as np
from librosa.feature import tempo
from numpy.typing import NDArray

TIGHTNESS = np.float32(100)
"""How dear it is to stray from the tempo."""


def track(onsets: NDArray[np.float32], rate: int, hop: int) -> tuple[float, NDArray[np.intp]]:
    """The tempo and the beats.

    Args:
        onsets: ``(frames,)``, the strength of an onset in each frame.
        rate: samples a second.
        hop: samples between frames.

    Returns:
        beats a minute and the frames that beats fall on; 0 and none where there is no onset.
    """
    if not onsets.any():
        return 0.0, np.array([], dtype=np.intp)
    bpm = float(tempo(onset_envelope=onsets, sr=rate, hop_length=hop)[0])
    period = round(rate / hop * 60 / bpm)  # frames between beats
    at = np.arange(-period, period + 1)
    window = np.exp(-0.5 * (at * 32.0 / period) ** 2)
    levelled = onsets / (onsets.std(ddof=1) + np.finfo(onsets.dtype).tiny)
    levelled[0] = 0  # librosa never counts it
    strength = np.convolve(levelled, window)[period : period + len(onsets)]
    links, scores = _best_predecessors(strength, period)
    beat, beats = _last(scores), []
    while beat >= 0:
        beats.append(beat)
        beat = links[beat]
    return bpm, _trimmed(np.array(beats[::-1]), strength)


def _best_predecessors(strength: NDArray[np.float64], period: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """For each frame the beat before it, -1 for none, and the score of the best sequence of beats that ends there."""
    nearest, farthest = round(period / 2), 2 * period
    penalties = TIGHTNESS * (np.log(np.arange(nearest, farthest + 1)) - np.log(period)) ** 2
    links, scores = np.full(len(strength), -1), strength.copy()
    begun, floor = False, 0.01 * strength.max()
    for frame, own in enumerate(strength):
        before = scores[max(0, frame - farthest) : max(0, frame - nearest + 1)][::-1]  # the nearest first
        candidates = before - penalties[: len(before)]
        begun = begun or own >= floor
        if len(candidates):
            best = int(candidates.argmax())
            scores[frame] = own + candidates[best]
            if begun:
                links[frame] = frame - nearest - best
    return links, scores


def _last(scores: NDArray[np.float64]) -> int:
    """The last frame whose score is a peak of at least half of the median peak; the very last where none is."""
    padded = np.pad(scores, 1, mode="edge")
    peaks = np.flatnonzero((scores > padded[:-2]) & (scores >= padded[2:]))
    strong = peaks[scores[peaks] >= 0.5 * np.median(scores[peaks])] if peaks.size else peaks
    return int(strong[-1]) if strong.size else len(scores) - 1


def _trimmed(beats: NDArray[np.intp], strength: NDArray[np.float64]) -> NDArray[np.intp]:
    """Beats without those before the first and after the last strong frame."""
    smooth = np.convolve(strength[beats], np.hanning(5))[2 : len(strength) + 2]
    strong = np.flatnonzero(strength > 0.5 * np.sqrt(np.mean(smooth**2)))
    return beats[(beats >= strong[0]) & (beats <= strong[-1])] if strong.size else beats[:0]

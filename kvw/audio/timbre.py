"""How bright and how breathy a voice is, over the frames of speech that have a pitch."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from kvw.audio.pitch import FRAME, HOP, RANGE, contour
from kvw.types import SAMPLE_RATE, Wave

FLOOR = 1e-10
"""Least power in a spectrum, as a share of its greatest."""


def timbre(wave: Wave) -> NDArray[np.float64]:
    """Brightness and clearness: mean log spectral centroid (Hz), and mean cepstral peak prominence (dB).

    The centroid is what listeners call brightness (Schubert and Wolfe 2006). The prominence is how far the peak of a
    frame's cepstrum, at any pitch of :data:`kvw.audio.pitch.RANGE`, stands out of the line through it, which falls as
    breath is heard in a voice (Hillenbrand, Cleveland and Erickson 1994).

    Args:
        wave: float32 ``(samples,)`` at 24 kHz, finite.

    Returns:
        float64 ``(2,)``; zeros where no frame has a pitch.
    """
    import librosa

    voiced = np.isfinite(contour(wave))
    if not voiced.any():
        return np.zeros(2)
    magnitude = np.abs(librosa.stft(wave, n_fft=FRAME, hop_length=HOP))[:, : len(voiced)][:, voiced].astype(np.float64)
    centroid = librosa.feature.spectral_centroid(S=magnitude, sr=SAMPLE_RATE)[0]
    return np.array([np.log(centroid).mean(), prominence(magnitude).mean()])


def prominence(magnitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cepstral peak prominence of frames, dB.

    Args:
        magnitude: of spectra of :data:`kvw.audio.pitch.FRAME` samples, ``(FRAME // 2 + 1, frames)``, none silent.
    """
    low, high = RANGE
    power = magnitude**2
    level = 10 * np.log10(np.maximum(power, FLOOR * power.max(axis=0)))
    cepstrum = 20 * np.log10(np.abs(scipy.fft.irfft(level, axis=0)[: FRAME // 2]) + FLOOR)
    quefrencies = np.arange(round(SAMPLE_RATE / high), round(SAMPLE_RATE / low) + 1)
    searched = cepstrum[quefrencies]
    slope, offset = np.polyfit(quefrencies, searched, 1)
    peak = searched.argmax(axis=0)
    found: NDArray[np.float64] = searched.max(axis=0) - (slope * quefrencies[peak] + offset)
    return found

"""Acoustic statistics of a recording, and how alike two sets of them are: stage 3 of the fitness.

Read :data:`STATISTICS` first, then :func:`statistics`, then the two similarities. The statistics and the second
formula are KVoiceWalk's (``utilities/fitness_scorer.py``: ``extract_features`` and ``hybrid_similarity``), which calls
one librosa routine after the other. Here they share what those routines compute in common: one STFT, one mel
spectrogram. The values are those of the separate calls: tests/fitness/test_acoustics.py holds them side by side.
"""

from __future__ import annotations

from functools import lru_cache

import librosa
import numpy as np
import scipy.fft
from librosa.filters import wavelet
from librosa.onset import onset_strength
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from kvw.fitness.beat_track import track
from kvw.types import SAMPLE_RATE, Wave

N_FFT = 2048
"""Samples in one analysis frame (85 ms)."""

HOP = 512
"""Samples between frames (21 ms)."""

MIN_SAMPLES = 8 * HOP
"""The shortest wave that has statistics (171 ms): librosa's deltas need 9 frames."""

FLOOR = 0.01
"""The least similarity, KVoiceWalk's: in a harmonic mean a zero would hide the other terms."""

_N_MFCC = 13

_SUMMARISED = (
    *("spectral_centroid", "spectral_bandwidth", "spectral_rolloff", "spectral_contrast"),
    *(f"mfcc{i}" for i in range(1, _N_MFCC + 1)),
    *(f"mfcc{i}_delta" for i in range(1, _N_MFCC + 1)),
    *("chroma", *(f"chroma_{i}" for i in range(1, 13))),
    *("mel_spec", "spectral_flatness", "tonnetz"),
)

STATISTICS: tuple[str, ...] = (
    *("rms_energy", "zero_crossing_rate"),
    *(f"{name}_{moment}" for name in _SUMMARISED for moment in ("mean", "std")),
    *("tempo", "beat_mean", "beat_std", "pitch_mean", "pitch_std", "energy_mean", "energy_std", "harmonic_ratio"),
    *("audio_mean", "audio_std", "audio_skew", "audio_kurtosis"),
)
"""What :func:`statistics` measures, in its order, under KVoiceWalk's names.

Units: Hz (centroid, bandwidth, rolloff, pitch), dB (contrast, mfcc), beats a minute (tempo), seconds (beat); the
others have none."""

_FREQUENCIES = librosa.fft_frequencies(sr=SAMPLE_RATE, n_fft=N_FFT)


def statistics(wave: Wave) -> NDArray[np.float64]:
    """Measure a wave.

    Args:
        wave: ``(samples,)``, at least :data:`MIN_SAMPLES`, finite, neither silent nor constant.

    Returns:
        float64 ``(len(STATISTICS),)``, finite. Tempo, beat and pitch are 0 where there is no beat or pitch.

    Raises:
        ValueError: the wave is too short, or a statistic is not finite: the wave is constant or holds NaN or infinity.
    """
    wave = np.asarray(wave, dtype=np.float32)
    if wave.ndim != 1 or len(wave) < MIN_SAMPLES:
        raise ValueError(f"expected a mono wave of at least {MIN_SAMPLES} samples at 24 kHz, got shape {wave.shape}")
    if not np.isfinite(wave).all() or wave.min() == wave.max():
        raise ValueError("expected sound, got a wave that is constant, or that holds NaN or infinity")

    magnitude = np.abs(librosa.stft(wave, n_fft=N_FFT, hop_length=HOP))  # (1025, frames) float32
    power = magnitude**2
    mel = librosa.feature.melspectrogram(S=power, sr=SAMPLE_RATE)
    mel_db = librosa.power_to_db(mel)
    peaks = _Peaks(magnitude)
    mfcc = librosa.feature.mfcc(S=mel_db, n_mfcc=_N_MFCC)
    chroma = librosa.feature.chroma_stft(S=power, sr=SAMPLE_RATE, tuning=_Peaks(power).tuning(12))
    summarised = (
        *_centroid_and_bandwidth(magnitude),
        _rolloff(magnitude),
        librosa.feature.spectral_contrast(S=magnitude, sr=SAMPLE_RATE),
        *mfcc,
        *librosa.feature.delta(mfcc),
        chroma,
        *chroma,
        mel,
        librosa.feature.spectral_flatness(S=magnitude),
        librosa.feature.tonnetz(chroma=_constant_q_chroma(wave, peaks.tuning(36))),
    )
    onsets = onset_strength(S=mel_db, sr=SAMPLE_RATE, aggregate=np.median)
    tempo, beat_frames = track(onsets, SAMPLE_RATE, HOP)
    values = np.array(
        [
            np.sqrt(np.mean(wave**2)),
            _zero_crossing_rate(wave),
            *(moment for values in summarised for moment in _mean_and_std(values)),
            tempo,
            *_mean_and_std(np.diff(librosa.frames_to_time(beat_frames, sr=SAMPLE_RATE, hop_length=HOP))),
            *_mean_and_std(peaks.loudest()),
            *_mean_and_std(_frame_energy(wave)),
            _harmonic_ratio(power),
            np.mean(wave),
            np.std(wave),
            *_skew_and_kurtosis(wave),
        ],
        dtype=np.float64,
    )
    if not np.isfinite(values).all():
        unmeasured = [name for name, value in zip(STATISTICS, values, strict=True) if not np.isfinite(value)]
        raise ValueError(f"expected sound, got a wave whose {', '.join(unmeasured)} cannot be measured: is it silent?")
    return values


def capped_similarity(values: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """Compare statistics, each on equal terms: kvw's own formula, the default.

    1 - the mean over all statistics of their relative errors ``|value - target| / |target|``, each capped at 1 (0/0 is
    no error, x/0 and NaN full ones). No single ill-conditioned statistic can decide the figure, as one does in
    :func:`kvoicewalk_similarity`.

    Returns:
        [0.01, 1]; 1 where the statistics are the target's.
    """
    return max(FLOOR, 1.0 - float(np.mean(np.fmin(_relative_errors(values, target), 1.0))))


def kvoicewalk_similarity(values: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """Compare statistics by KVoiceWalk's formula, for comparison with its figures.

    ``(100 - penalty) / 100``, where the penalty is the sum of relative errors, uncapped; :data:`FLOOR` where that is
    *negative*, so a penalty of 99, 100, 100.1 gives 0.01, 0.0, 0.01. Where the original divides by zero and stops, here
    0/0 is no error and x/0 an infinite one.

    Returns:
        [0, 1]; 1 where the statistics are the target's.
    """
    penalty = sum(_relative_errors(values, target).tolist())  # one after the other, as the original adds them
    return (100.0 - penalty) / 100.0 if penalty <= 100.0 else FLOOR


def _relative_errors(values: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    error = np.abs(values - target)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        relative = error / np.abs(target)
    return np.where(error == 0.0, 0.0, relative)


def _mean_and_std(values: NDArray[np.floating]) -> tuple[float, float]:
    return (float(np.mean(values)), float(np.std(values))) if values.size else (0.0, 0.0)


def _skew_and_kurtosis(wave: Wave) -> tuple[float, float]:
    """``scipy.stats.skew`` and ``kurtosis``, the import of which takes a second."""
    centred = wave - np.mean(wave)
    square = centred**2
    variance = np.mean(square)
    with np.errstate(invalid="ignore"):  # of a wave too faint for float32, which is refused
        return float(np.mean(square * centred) / variance**1.5), float(np.mean(square**2) / variance**2) - 3.0


def _zero_crossing_rate(wave: Wave) -> float:
    """``librosa.feature.zero_crossing_rate``, averaged, by differences of one running count."""
    padded = np.pad(wave, N_FFT // 2, mode="edge")
    count = np.cumsum(librosa.zero_crossings(padded, pad=False))
    starts = np.arange(0, len(padded) - N_FFT + 1, HOP)
    return float(np.mean(count[starts + N_FFT - 1] - count[starts])) / N_FFT


def _centroid_and_bandwidth(magnitude: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``librosa.feature.spectral_centroid`` and ``spectral_bandwidth``, each ``(frames,)`` Hz, from three moments."""
    powers = np.vander(_FREQUENCIES, 3, increasing=True).T  # 1, f, f^2
    total, first, second = powers @ librosa.util.normalize(magnitude, norm=1, axis=0)
    variance = second - 2.0 * first * first + total * first**2
    return first, np.sqrt(np.maximum(variance, 0.0))


def _rolloff(magnitude: NDArray[np.float32]) -> NDArray[np.float64]:
    """``librosa.feature.spectral_rolloff``: ``(frames,)`` Hz, the lowest frequency with 85 % of the frame below it."""
    below = np.cumsum(magnitude, axis=0)
    return np.asarray(_FREQUENCIES[np.count_nonzero(below < 0.85 * below[-1], axis=0)])


def _frame_energy(wave: Wave) -> NDArray[np.float32]:
    """KVoiceWalk's: ``(ceil(samples / 512),)``, the sum of absolute samples; added one by one, as the original does."""
    padded = np.pad(np.abs(wave), (0, -len(wave) % HOP))
    return np.asarray(padded.reshape(-1, HOP).cumsum(axis=1)[:, -1])


def _harmonic_ratio(power: NDArray[np.float32]) -> float:
    """KVoiceWalk's: mean over frequency of (mean / std over time) of the power."""
    mean, std = power.mean(axis=1), power.std(axis=1)
    return float(np.mean(np.divide(mean, std, out=np.zeros_like(mean), where=std != 0)))


class _Peaks:
    """The peaks of ``librosa.piptrack(S=spectrum)``, which works out a parabola for every bin; here for peaks alone.

    Args:
        spectrum: float32 ``(1025, frames)``, magnitude or power; peaks are within 150-4000 Hz and above a tenth of the
            frame's maximum.
    """

    def __init__(self, spectrum: NDArray[np.float32]) -> None:
        low, high = np.searchsorted(_FREQUENCIES, (150.0, 4000.0))
        loud = spectrum[low - 1 : high + 1]
        loud = np.where(loud > 0.1 * spectrum.max(axis=0), loud, 0)
        bins, self.frames = np.nonzero((loud[1:-1] > loud[:-2]) & (loud[1:-1] >= loud[2:]))
        bins += low
        below, peak, above = (spectrum[bins + step, self.frames] for step in (-1, 0, 1))
        curvature, slope = above + below - 2 * peak, (above - below) / 2
        shift = np.divide(-slope, curvature, out=np.zeros_like(peak), where=np.abs(slope) < np.abs(curvature))
        self.frequencies = ((bins + shift) * float(SAMPLE_RATE) / N_FFT).astype(np.float32)  # Hz
        self.heights = peak + 0.5 * slope * shift

    def tuning(self, bins_per_octave: int) -> float:
        """``librosa.estimate_tuning``: deviation from A440, [-0.5, 0.5) of a bin."""
        if not self.frequencies.size:
            return 0.0
        strong = self.heights >= np.median(self.heights)
        return float(librosa.pitch_tuning(self.frequencies[strong], bins_per_octave=bins_per_octave))

    def loudest(self) -> NDArray[np.float32]:
        """Frequency in Hz of the highest peak of each frame that has one."""
        order = np.lexsort((-self.heights, self.frames))  # stable: of equal peaks, the lowest
        first = np.diff(self.frames[order], prepend=-1) > 0
        return np.asarray(self.frequencies[order][first])


_OCTAVES = 7
_BINS = 36  # in an octave


@lru_cache(maxsize=101)  # librosa's tuning is a multiple of 0.01 of a bin; some 7 kB each
def _wavelets(tuning: float) -> tuple[csr_matrix, NDArray[np.float64], int]:
    """The constant-Q filters of the highest octave: spectra ``(36, n_fft / 2 + 1)``, lengths in samples, and n_fft.

    Every lower octave has the same filters at half the sample rate. librosa builds all seven sets anew for every wave,
    which takes longer than the rest of the transform.
    """
    fmin = librosa.note_to_hz("C1") * 2.0 ** (_OCTAVES - 1)
    frequencies = librosa.cqt_frequencies(_BINS, fmin=fmin, bins_per_octave=_BINS, tuning=tuning)
    filters, lengths = wavelet(freqs=frequencies, sr=SAMPLE_RATE)
    n_fft = filters.shape[1]
    filters *= (lengths / n_fft)[:, np.newaxis]
    spectra = scipy.fft.fft(filters, axis=1)[:, : n_fft // 2 + 1]
    return librosa.util.sparsify_rows(spectra, quantile=0.01), lengths[:, np.newaxis], n_fft


def _constant_q_chroma(wave: Wave, tuning: float) -> NDArray[np.float32]:
    """``librosa.feature.chroma_cqt(y=wave, tuning=tuning)``: ``(12, frames)``, each frame's maximum 1."""
    wavelets, lengths, n_fft = _wavelets(tuning)
    octaves = []
    for octave in range(_OCTAVES):
        halved = 2**octave
        frames = sliding_window_view(np.pad(wave, n_fft // 2).astype(np.float64), n_fft)[:: HOP // halved]
        spectra = scipy.fft.rfft(frames, axis=1).T.astype(np.complex64, order="C")
        # the two roots cancel but for rounding; like the detour by float64, they give librosa's values to the last bit
        response = (wavelets * np.sqrt(halved)).astype(np.complex64) @ spectra
        response /= np.sqrt(lengths * halved)
        octaves.append(np.abs(response))
        wave = librosa.resample(wave, orig_sr=2, target_sr=1, scale=True)
    width = min(octave.shape[1] for octave in octaves)
    constant_q = np.concatenate([octave[:, :width] for octave in reversed(octaves)])
    return np.asarray(librosa.feature.chroma_cqt(C=constant_q, bins_per_octave=_BINS))

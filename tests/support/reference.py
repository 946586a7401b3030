"""KVoiceWalk's way of scoring, one library call after the other, which tests and the bench compare with; and how."""

from __future__ import annotations

import librosa
import numpy as np
import scipy.stats
from numpy.typing import ArrayLike, NDArray
from resemblyzer import VoiceEncoder, preprocess_wav

from kvw.types import SAMPLE_RATE, Embedding, Wave


def separate_calls(wave: Wave) -> dict[str, float]:
    """KVoiceWalk's statistics by name, each from a librosa call of its own."""
    found: dict[str, float] = {}
    frame = {"n_fft": 2048, "hop_length": 512}
    given = {"y": wave, "sr": SAMPLE_RATE, **frame}

    def summarise(name: str, values: NDArray[np.floating]) -> None:
        found[f"{name}_mean"] = float(np.mean(values)) if len(values) else 0.0
        found[f"{name}_std"] = float(np.std(values)) if len(values) else 0.0

    found["rms_energy"] = float(np.sqrt(np.mean(wave**2)))
    found["zero_crossing_rate"] = float(np.mean(librosa.feature.zero_crossing_rate(wave)))
    summarise("spectral_centroid", librosa.feature.spectral_centroid(**given))
    summarise("spectral_bandwidth", librosa.feature.spectral_bandwidth(**given))
    summarise("spectral_rolloff", librosa.feature.spectral_rolloff(**given))
    summarise("spectral_contrast", librosa.feature.spectral_contrast(**given))
    mfcc = librosa.feature.mfcc(n_mfcc=13, **given)
    for i, row in enumerate(mfcc, start=1):
        summarise(f"mfcc{i}", row)
    for i, row in enumerate(librosa.feature.delta(mfcc), start=1):
        summarise(f"mfcc{i}_delta", row)
    chroma = librosa.feature.chroma_stft(**given)
    summarise("chroma", chroma)
    for i, row in enumerate(chroma, start=1):
        summarise(f"chroma_{i}", row)
    summarise("mel_spec", librosa.feature.melspectrogram(**given))
    summarise("spectral_flatness", librosa.feature.spectral_flatness(y=wave, **frame))
    summarise("tonnetz", librosa.feature.tonnetz(y=wave, sr=SAMPLE_RATE))
    tempo, beats = librosa.beat.beat_track(y=wave, sr=SAMPLE_RATE)
    found["tempo"] = float(np.ravel(tempo)[0])
    summarise("beat", np.diff(librosa.frames_to_time(beats, sr=SAMPLE_RATE)))
    pitches, heights = librosa.piptrack(**given)
    loudest = pitches[heights.argmax(axis=0), np.arange(pitches.shape[1])]
    summarise("pitch", loudest[loudest > 0])
    summarise("energy", np.array([sum(abs(wave[start : start + 512])) for start in range(0, len(wave), 512)]))
    power = np.abs(librosa.stft(wave, **frame)) ** 2
    mean, std = power.mean(axis=1), power.std(axis=1)
    found["harmonic_ratio"] = float(np.mean(np.divide(mean, std, out=np.zeros_like(mean), where=std != 0)))
    found["audio_mean"] = float(np.mean(wave))
    found["audio_std"] = float(np.std(wave))
    found["audio_skew"] = float(scipy.stats.skew(wave))
    found["audio_kurtosis"] = float(scipy.stats.kurtosis(wave))
    return found


def own_embedding(encoder: VoiceEncoder, wave: Wave) -> Embedding:
    """Resemblyzer's embedding by its own functions."""
    return encoder.embed_utterance(preprocess_wav(wave, source_sr=SAMPLE_RATE))


def snr(wanted: ArrayLike, got: ArrayLike) -> float:
    """How far ``got`` is from ``wanted``, in decibels: the wanted power over that of the difference."""
    reference = np.asarray(wanted, dtype=np.float64)
    noise = np.mean((np.asarray(got, dtype=np.float64) - reference) ** 2)
    return float(10 * np.log10(np.mean(reference**2) / noise))

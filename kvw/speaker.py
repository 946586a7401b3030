"""Speaker embeddings: Resemblyzer's, so that every similarity is comparable with KVoiceWalk's figures.

An embedding is the mean of some windows of 1.6 s, each read by an LSTM. Read :meth:`SpeakerEncoder.__call__` first;
the values are those of ``resemblyzer/voice_encoder.py`` (``embed_utterance``) and ``resemblyzer/audio.py``.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import librosa
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from kvw.types import SAMPLE_RATE, Embedding, Wave

with warnings.catch_warnings():
    # resemblyzer asks for scipy.ndimage.morphology, which leaves in scipy 2; kvw requires scipy<2 for it
    warnings.filterwarnings("ignore", message=".*scipy.ndimage.morphology", category=DeprecationWarning)
    # webrtcvad, where pip built it, asks for pkg_resources; kvw requires setuptools<81 for it
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    from resemblyzer import VoiceEncoder, audio

_RATE = 1.3  # windows a second
_MIN_COVERAGE = 0.75  # of its last window that a wave must fill; both are embed_utterance's defaults


class SpeakerEncoder:
    """Embeds waves as :mod:`resemblyzer` does.

    Args:
        device: a torch device, ``"cpu"`` or such as ``"cuda"``.

    Attributes:
        joined: whether the windows of all waves go through the network in one call: the default on every device but the
            CPU. There each wave is a call of its own, so that an embedding is, to the last bit,
            ``embed_utterance(preprocess_wav(wave, source_sr=24000))``, whatever waves come with it. Joined, it is that
            but for rounding.
    """

    def __init__(self, device: str = "cpu") -> None:
        self._encoder = VoiceEncoder(device, verbose=False).eval()
        self._encoder.lstm.flatten_parameters()  # else CUDA joins them, with a warning, at every call
        self.joined = torch.device(device).type != "cpu"

    def __call__(self, waves: Sequence[Wave]) -> list[Embedding | None]:
        """Embed each wave.

        Returns:
            In the order of the waves; None for a wave that holds no speech: empty, silent, not finite, or left with
            nothing once silence is trimmed (a constant, less than 30 ms, most tones). Resemblyzer itself returns a
            valid embedding there, with a cosine of 0.4 to real speech. Noise and some tones do pass for speech.
        """
        speeches = [speech_of(wave) for wave in waves]
        windows = [_windows(speech) for speech in speeches if speech is not None]
        if self.joined and windows:
            ends = np.cumsum([len(mels) for mels in windows])[:-1]
            parts = np.split(self._forward(np.concatenate(windows)), ends)
        else:
            parts = [self._forward(mels) for mels in windows]
        means = (np.mean(part, axis=0) for part in parts)
        embeddings = (mean / np.linalg.norm(mean, 2) for mean in means)
        return [None if speech is None else next(embeddings) for speech in speeches]

    def _forward(self, mels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Windows ``(n, 160, 40)`` to their embeddings ``(n, 256)``."""
        with torch.inference_mode():
            return np.asarray(self._encoder(torch.from_numpy(mels).to(self._encoder.device)).cpu().numpy())


def speech_of(wave: Wave) -> NDArray[np.float32] | None:
    """``resemblyzer.preprocess_wav(wave, 24000)``: what is left of a wave at 16 kHz when its silence is trimmed.

    Returns:
        float32 ``(samples,)`` at 16 kHz and at least -30 dBFS; None when nothing is left.
    """
    wave = np.asarray(wave, dtype=np.float32)
    if not np.isfinite(wave).all() or not wave.any():
        return None
    wave = librosa.resample(wave, orig_sr=SAMPLE_RATE, target_sr=audio.sampling_rate)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # a level too low for float32 becomes infinite
        wave = audio.normalize_volume(wave, audio.audio_norm_target_dBFS, increase_only=True)
    return _trim_long_silences(wave) if np.isfinite(wave).all() else None


def _trim_long_silences(wave: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """``resemblyzer.audio.trim_long_silences``, which spends most of its time on packing samples one by one."""
    length = audio.vad_window_length * audio.sampling_rate // 1000
    wave = wave[: len(wave) - len(wave) % length]
    pcm = np.round(wave * audio.int16_max).astype(np.int16).reshape(-1, length)
    detector = audio.webrtcvad.Vad(mode=3)
    voiced = [detector.is_speech(window.tobytes(), sample_rate=audio.sampling_rate) for window in pcm]
    if not any(voiced):
        return None
    width = audio.vad_moving_average_width
    padded = np.pad(np.array(voiced, dtype=float), ((width - 1) // 2, width // 2))
    mask = np.round(np.convolve(padded, np.ones(width), "valid") / width).astype(bool)
    mask = binary_dilation(mask, np.ones(audio.vad_max_silence_length + 1))
    return wave[np.repeat(mask, length)] if mask.any() else None


def _windows(speech: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mel spectrograms of the windows that ``embed_utterance`` cuts: float32 ``(n, 160, 40)``."""
    wave_slices, mel_slices = VoiceEncoder.compute_partial_slices(len(speech), _RATE, _MIN_COVERAGE)
    padded = np.pad(speech, (0, max(0, wave_slices[-1].stop - len(speech))))
    mel = audio.wav_to_mel_spectrogram(padded)
    return np.array([mel[part] for part in mel_slices])


def cosine(first: Embedding, second: Embedding) -> float:
    """The cosine of two embeddings: [0, 1] but for rounding, as neither has a negative entry."""
    return float(np.inner(first, second))

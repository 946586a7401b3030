"""Speaker embeddings: Resemblyzer's, so that every similarity is comparable with KVoiceWalk's figures.

An embedding is the mean of some windows of 1.6 s, each read by an LSTM. Read :class:`SpeakerEncoder` first; the values
are those of ``resemblyzer/voice_encoder.py`` (``embed_utterance``) and ``resemblyzer/audio.py``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import librosa
import numpy as np
import torch
from librosa.filters import mel
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from torch.nn.functional import pad, relu

from kvw.errors import KvwError
from kvw.fitness.resampling import resampled
from kvw.runtime.workers import torch_threads
from kvw.speech.pullback import pullback
from kvw.types import SAMPLE_RATE, Embedding, Wave, mean_embedding

with warnings.catch_warnings():
    # resemblyzer asks for scipy.ndimage.morphology, which leaves in scipy 2; kvw requires scipy<2 for it
    warnings.filterwarnings("ignore", message=".*scipy.ndimage.morphology", category=DeprecationWarning)
    # webrtcvad, where pip built it, asks for pkg_resources; kvw requires setuptools<81 for it
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    from resemblyzer import VoiceEncoder, audio


_RATE = 1.3  # windows a second
_MIN_COVERAGE = 0.75  # of its last window that a wave must fill; both are embed_utterance's defaults


class SpeakerEncoder:
    """Embeds waves as :mod:`resemblyzer` does: what :attr:`measure` finds in each, finished by :meth:`embed`.

    It is pickled as a name: a process that unpickles one loads it once.

    Args:
        device: a torch device, ``"cpu"`` or such as ``"cuda"``.

    Attributes:
        identity: equal identities mean equal embeddings but for rounding.
        device: it.
        joined: whether the windows of all waves go through the network in one call: the default on every device but the
            CPU. There each wave is a call of its own, so that an embedding is, to the last bit,
            ``embed_utterance(preprocess_wav(wave, source_sr=24000))``, whatever waves come with it. Joined, it is that
            but for rounding.
    """

    identity = "resemblyzer"

    def __init__(self, device: str = "cpu") -> None:
        self._encoder = VoiceEncoder(device, verbose=False).eval().requires_grad_(False)
        self._encoder.lstm.flatten_parameters()  # else CUDA joins them, with a warning, at every call
        self.device = torch.device(device)
        self.joined = self.device.type != "cpu"

    def __reduce__(self) -> tuple[Callable[..., SpeakerEncoder], tuple[Any, ...]]:
        return _loaded, (str(self.device),)

    def __call__(self, waves: Sequence[Wave]) -> list[Embedding | None]:
        """Embed each wave.

        Returns:
            In the order of the waves; None for a wave that holds no speech: empty, silent, not finite, or left with
            nothing once silence is trimmed (a constant, less than 30 ms, most tones). Resemblyzer itself returns a
            valid embedding there, with a cosine of 0.4 to real speech. Noise and some tones do pass for speech.
        """
        return self.embed([self.measure(wave) for wave in waves])

    def speaker(self, recordings: Sequence[Wave], key: str, names: Sequence[str] = ()) -> Embedding:
        """The embedding of a speaker: the mean of those of one or more recordings.

        Raises:
            KvwError: there is no recording, or no speech is heard in some, which it names, or numbers where there are
                no ``names`` of all; it begins with ``key``.
        """
        if not recordings:
            raise KvwError(f"{key}: expected a recording; got none")
        heard = self(recordings)
        silent = [number for number, embedding in enumerate(heard) if embedding is None]
        if silent:
            named = len(names) == len(heard)
            which = ", ".join(names[number] if named else str(number + 1) for number in silent)
            which += "" if named else f" of {len(heard)}"
            raise KvwError(f"{key}: expected speech in every recording; none is heard in {which}; leave that out")
        return mean_embedding([embedding for embedding in heard if embedding is not None])

    @property
    def measure(self) -> Callable[[Wave], NDArray[np.float32] | None]:
        """What a wave needs alone, picklable: its windows where they are joined, else the whole embedding."""
        return windows if self.joined else self.embedding

    def embed(self, measured: Sequence[NDArray[np.float32] | None]) -> list[Embedding | None]:
        """The embeddings, as from a call, of waves in which :attr:`measure` found these."""
        heard = [mels for mels in measured if mels is not None]
        if not self.joined or not heard:
            return list(measured)
        ends = np.cumsum([len(mels) for mels in heard])[:-1]
        embeddings = map(_mean, np.split(self._forward(np.concatenate(heard)), ends))
        return [None if mels is None else next(embeddings) for mels in measured]

    def embedding(self, wave: Wave) -> Embedding | None:
        """The embedding of one wave by itself."""
        mels = windows(wave)
        return None if mels is None else _mean(self._forward(mels))

    def vjp(self, wave: Wave) -> tuple[Embedding, Callable[[Embedding], Wave]] | None:
        """The embedding of a wave, and what brings a cotangent on it back to the wave: ``jax.vjp``'s names.

        The wave is resampled by its spectrum, where :meth:`embedding` has librosa's filter; they agree to a cosine of
        .999. What the voice activity detector leaves out stays left out.

        Returns:
            The embedding and the function; None where no speech is heard.
        """
        given = torch.from_numpy(wave).requires_grad_()
        heard = self._differentiable(given)
        return None if heard is None else (np.asarray(heard.detach().numpy()), pullback(heard, given))

    def _differentiable(self, wave: torch.Tensor) -> torch.Tensor | None:
        """The embedding ``(256,)``, on the CPU: ``embed_utterance(preprocess_wav(wave))`` in torch's operations."""
        speech = resampled(wave)
        if not speech.any():
            return None
        level = speech.double().square().mean().sqrt()  # in float64, where no level that float32 has vanishes
        speech = (speech * (10 ** (audio.audio_norm_target_dBFS / 20) / level).clamp(min=1.0)).float()
        mask = _voiced(speech.detach().numpy())
        if mask is None:
            return None
        speech = speech[: len(mask)][torch.from_numpy(mask)]
        wave_slices, mel_slices = VoiceEncoder.compute_partial_slices(len(speech), _RATE, _MIN_COVERAGE)
        speech = pad(speech, (0, max(0, wave_slices[-1].stop - len(speech))))
        size, step = (audio.sampling_rate * ms // 1000 for ms in (audio.mel_window_length, audio.mel_window_step))
        frames = torch.stft(
            speech, size, step, window=torch.hann_window(size), pad_mode="constant", return_complex=True
        )
        energies = (_mel_filters(size) @ frames.abs().square()).T
        encoder, device = self._encoder, self._encoder.device
        with torch_threads(1), torch.backends.cudnn.flags(enabled=False):  # its LSTM has no gradient but in training
            _, (hidden, _) = encoder.lstm(torch.stack([energies[part] for part in mel_slices]).to(device))
            parts = relu(encoder.linear(hidden[-1])).cpu()
        mean = (parts / parts.norm(dim=1, keepdim=True)).mean(dim=0)
        embedding: torch.Tensor = mean / mean.norm()
        return embedding

    def _forward(self, mels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Windows ``(n, 160, 40)`` to their embeddings ``(n, 256)``.

        On one thread: several make an LSTM of this size no faster, and where other processes are at work they wait for
        each other at each of its steps, forty times as long.
        """
        with torch.inference_mode(), torch_threads(1):
            return np.asarray(self._encoder(torch.from_numpy(mels).to(self._encoder.device)).cpu().numpy())


@cache
def _loaded(device: str) -> SpeakerEncoder:
    return SpeakerEncoder(device)


def _mean(parts: NDArray[np.float32]) -> Embedding:
    """The embedding of a wave from those of its windows."""
    mean = np.mean(parts, axis=0)
    return np.asarray(mean / np.linalg.norm(mean, 2))


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
    mask = _voiced(wave)
    return None if mask is None else wave[: len(mask)][mask]


def _voiced(wave: NDArray[np.float32]) -> NDArray[np.bool_] | None:
    """Which samples of a wave at 16 kHz are near speech, of its whole windows of 30 ms; None for no speech."""
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
    return np.repeat(mask, length) if mask.any() else None


@cache
def _mel_filters(size: int) -> torch.Tensor:
    """Resemblyzer's, ``(40, bins)``."""
    return torch.from_numpy(mel(sr=audio.sampling_rate, n_fft=size, n_mels=audio.mel_n_channels))


def windows(wave: Wave) -> NDArray[np.float32] | None:
    """The mel spectrograms of the windows that ``embed_utterance`` cuts: float32 ``(n, 160, 40)``; None: no speech."""
    speech = speech_of(wave)
    if speech is None:
        return None
    wave_slices, mel_slices = VoiceEncoder.compute_partial_slices(len(speech), _RATE, _MIN_COVERAGE)
    padded = np.pad(speech, (0, max(0, wave_slices[-1].stop - len(speech))))
    mel = audio.wav_to_mel_spectrogram(padded)
    return np.array([mel[part] for part in mel_slices])


def cosine(first: Embedding, second: Embedding) -> float:
    """The cosine of two embeddings: [0, 1] but for rounding, as neither has a negative entry."""
    return float(np.inner(first, second))

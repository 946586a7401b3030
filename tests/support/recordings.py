"""Recordings that tests make, by soundfile or PyAV; the speech is the packaged demo clip."""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import librosa
import numpy as np
import pytest
import soundfile

from kvw.audio.recordings import read_recording
from kvw.config.paths import DEMO
from kvw.errors import EXIT_BAD_INPUT, KvwError
from kvw.types import SAMPLE_RATE, Wave
from tests.conftest import SHARED

# suffix: soundfile's format and subtype
BY_SOUNDFILE = {
    "u8.wav": ("WAV", "PCM_U8"),
    "s16.wav": ("WAV", "PCM_16"),
    "s24.wav": ("WAV", "PCM_24"),
    "s32.wav": ("WAV", "PCM_32"),
    "float.wav": ("WAV", "FLOAT"),
    "double.wav": ("WAV", "DOUBLE"),
    "extensible.wav": ("WAVEX", "PCM_16"),
    "ulaw.wav": ("WAV", "ULAW"),
    "aiff": ("AIFF", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "s24.flac": ("FLAC", "PCM_24"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}


# suffix: FFmpeg's container and codec, and the length of a video stream beside the sound in s
BY_PYAV = {
    "m4a": ("ipod", "aac", 0),
    "aac": ("adts", "aac", 0),
    "webm": ("webm", "libopus", 0),
    "mka": ("matroska", "aac", 0),
    "mp3": ("mp3", "libmp3lame", 0),
    "mp4": ("mp4", "aac", 4),
    "mov": ("mov", "aac", 6),
    "mkv": ("matroska", "aac", 6),
}


def tone(seconds: float = 4.0, rate: int = 48_000, channels: int = 1) -> np.ndarray:
    """440 Hz in bursts of 0.4 s every 0.5 s, float32 ``(samples, channels)``."""
    time = np.arange(round(seconds * rate)) / rate
    wave = 0.4 * np.sin(2 * np.pi * 440 * time) * (time % 0.5 < 0.4)
    return np.repeat(wave.astype(np.float32)[:, None], channels, axis=1)


def speech() -> tuple[np.ndarray, int]:
    return soundfile.read(DEMO, dtype="float32")


def save(path: Path, wave: np.ndarray, rate: int, options: dict[str, str] | None = None) -> Path:
    """Writes float32 ``(samples, channels)`` in the format that the name says, with PyAV where soundfile has none."""
    kind = path.name.split(".", 1)[1]
    if kind in BY_SOUNDFILE:
        form, subtype = BY_SOUNDFILE[kind]
        soundfile.write(path, wave, rate, format=form, subtype=subtype)
        return path
    form, codec, video_seconds = BY_PYAV[kind]
    with av.open(str(path), "w", format=form, options=options or {}) as container:
        layout = "mono" if wave.ndim == 1 or wave.shape[1] == 1 else "stereo"
        sound = container.add_stream(codec, rate=rate, layout=layout)
        picture = container.add_stream("mpeg4", rate=10) if video_seconds else None
        if picture:
            picture.width = picture.height = 64
            picture.pix_fmt = "yuv420p"
        mux_sound(container, sound, wave, rate, layout)
        if picture:
            for number in range(10 * video_seconds):
                image = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number, np.uint8), format="rgb24")
                image.pts, image.time_base = number, Fraction(1, 10)
                container.mux(picture.encode(image))
            container.mux(picture.encode(None))
    return path


def mux_sound(container, stream, wave: np.ndarray, rate: int, layout: str) -> None:
    """Encodes ``(samples, channels)`` or ``(samples,)`` as a whole stream of a container."""
    samples = np.ascontiguousarray(np.atleast_2d(wave.T), np.float32)
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
    frame.sample_rate = rate
    resampler = av.AudioResampler(stream.format, layout, rate, frame_size=stream.frame_size or 1024)
    for piece in [*resampler.resample(frame), *resampler.resample(None)]:
        container.mux(stream.encode(piece))
    container.mux(stream.encode(None))


def beside(path: Path, wave: np.ndarray, rate: int, codec: str, *tracks: str | np.ndarray) -> Path:
    """Writes ``(samples,)`` as one track among others, in their order.

    Args:
        path: whose suffix says which container.
        wave: the sound.
        rate: of all sound.
        codec: of all sound.
        tracks: ``sound`` is the wave; ``picture``; ``attachment``; an array is another sound.
    """
    with av.open(str(path), "w") as container:
        sounds, picture = [], None
        for track in tracks:
            if isinstance(track, str) and track == "attachment":
                container.add_attachment("note.txt", "text/plain", b"notes\n")
            elif isinstance(track, str) and track == "picture":
                picture = container.add_stream("wmv2", rate=10)
                picture.width = picture.height = 64
                picture.pix_fmt = "yuv420p"
            else:
                sounds.append((container.add_stream(codec, rate=rate, layout="mono"), track))
                sounds[-1][0].bit_rate = 96_000
        container.start_encoding()
        if picture:
            container.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
            container.mux(picture.encode(None))
        for stream, track in sounds:
            mux_sound(container, stream, wave if isinstance(track, str) else track, rate, "mono")
    return path


def halve(path: Path) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def pitch(wave: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return float(np.argmax(spectrum) * SAMPLE_RATE / len(wave))


def refused(path: Path, *words: str, reader: Callable[[Path], object] = read_recording) -> None:
    with pytest.raises(KvwError) as caught:
        reader(path)
    message = str(caught.value)
    assert caught.value.code == EXIT_BAD_INPUT
    assert message.isprintable(), "one line"
    assert path.name in message
    for word in ("expected", *words):
        assert word in message


def assert_is_tone(wave: np.ndarray, seconds: float = 4.0, level: float = 0.4) -> None:
    assert wave.dtype == np.float32 and wave.ndim == 1
    assert len(wave) / SAMPLE_RATE == pytest.approx(seconds, rel=0.02)
    assert pitch(wave) == pytest.approx(440, abs=5)
    assert np.abs(wave).max() == pytest.approx(level, rel=0.25)


def claim_bytes(path: Path, size: int) -> Path:
    """Overwrites the data size of a WAV."""
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", size)
    path.write_bytes(content)
    return path


def claim_samples(path: Path, samples: int) -> Path:
    """Overwrites the count of samples of a FLAC."""
    content = bytearray(path.read_bytes())
    content[22:26] = struct.pack(">I", samples)
    path.write_bytes(content)
    return path


def part(wave: np.ndarray, first: float, last: float) -> np.ndarray:
    """The samples from second ``first`` to second ``last`` of a wave."""
    return wave[round(first * SAMPLE_RATE) : round(last * SAMPLE_RATE)]


REAL_TARGETS = sorted((SHARED / "targets").glob("*.*"))


def read_by_librosa(path: Path) -> Wave:
    """A recording as mono samples at 24 kHz, by libraries alone."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return librosa.resample(samples.mean(axis=1), orig_sr=rate, target_sr=SAMPLE_RATE)

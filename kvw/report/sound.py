"""Audio for a page: MP3 in data URIs, by the FFmpeg in PyAV."""

from __future__ import annotations

import base64
import io

import av
import numpy as np

from kvw.types import SAMPLE_RATE, Wave

BITRATE = 64_000
"""Bits a second: 8 kB, and 10.7 kB of a data URI."""

FADE = 0.02
"""Seconds in which what is cut off fades out."""


def mp3(wave: Wave, most: float) -> bytes:
    """The first ``most`` seconds of a wave as MP3, mono, 24 kHz.

    Args:
        wave: float32 ``(samples,)``, 24 kHz, finite; beyond [-1, 1] it is clipped.
        most: above 0.
    """
    heard = np.clip(wave[: round(most * SAMPLE_RATE)], -1, 1).astype(np.float32)
    if len(heard) < len(wave):
        fade = min(len(heard), round(FADE * SAMPLE_RATE))
        heard[len(heard) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    content = io.BytesIO()
    with av.open(content, "w", format="mp3") as container:
        stream = container.add_stream("mp3", rate=SAMPLE_RATE, layout="mono")
        stream.bit_rate = BITRATE
        stream.options = {"compression_level": "9"}  # half of the time, and nobody hears it
        frame = av.AudioFrame.from_ndarray(heard[None], format="fltp", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        resampler = av.AudioResampler(
            format=stream.format, layout="mono", rate=SAMPLE_RATE, frame_size=stream.frame_size
        )
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return content.getvalue()


def uri(content: bytes, kind: str) -> str:
    """A file within a page: ``data:audio/mpeg;base64,...``."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"

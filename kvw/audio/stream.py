"""Encodes audio piece by piece, for a listener who hears the beginning while the rest is made.

Files are written by :mod:`kvw.audio.write`. A stream is never sought in, so its headers can't say how long it is.
"""

from __future__ import annotations

import struct

import av
import numpy as np

from kvw.types import SAMPLE_RATE, Wave

TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
"""Formats that audio can be streamed in, by OpenAI's names, with media types; ``pcm`` is 16 bits without a header."""

_CODECS = {"mp3": ("mp3", "libmp3lame"), "opus": ("ogg", "libopus"), "aac": ("adts", "aac"), "flac": ("flac", "flac")}
_OPTIONS = {"mp3": {"write_xing": "0"}, "opus": {"page_duration": "100000"}}  # no seeking; microseconds to a page
_BITS = 96_000  # a second, of mp3, opus and aac: clear for speech
_UNKNOWN = 0xFFFFFFFF  # what a WAV file that is not yet written says of its length


class Encoder:
    """Encodes mono audio at 24 kHz.

    Args:
        form: of :data:`TYPES`.
        samples: in the whole stream, for the header of ``wav``; None where nobody knows yet.
    """

    def __init__(self, form: str, samples: int | None = None) -> None:
        self._sink, self._container = _Sink(), None
        if form == "wav":
            self._sink.write(_wav_header(samples))
        elif form != "pcm":
            container, codec = _CODECS[form]
            options = {"flush_packets": "1", **_OPTIONS.get(form, {})}
            self._container = av.open(self._sink, "w", format=container, options=options)
            self._stream = self._container.add_stream(codec, rate=SAMPLE_RATE, layout="mono")
            if form != "flac":
                self._stream.bit_rate = _BITS
        self._samples = 0

    def encode(self, wave: Wave) -> bytes:
        """The bytes that are ready once ``wave`` is added: float32 ``(samples,)``, finite; clipped to [-1, 1]."""
        samples = np.round(np.clip(wave, -1, 1) * 32767).astype("<i2")
        if self._container is None:
            self._sink.write(samples.tobytes())
            return self._sink.taken()
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format="s16", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, self._samples
        self._samples += len(samples)
        self._container.mux(self._stream.encode(frame))
        return self._sink.taken()

    def close(self) -> bytes:
        """The last bytes."""
        if self._container is not None:
            self._container.mux(self._stream.encode(None))
            self._container.close()
        return self._sink.taken()


class _Sink:
    """A file that can only be written to."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._written.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        data = b"".join(self._written)
        self._written.clear()
        return data


def _wav_header(samples: int | None) -> bytes:
    length = _UNKNOWN if samples is None else 2 * samples
    chunk = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16)
    whole = struct.pack("<4sI4s", b"RIFF", min(_UNKNOWN, 36 + length), b"WAVE")
    return whole + chunk + struct.pack("<4sI", b"data", length)

"""Sounds as libsndfile and FFmpeg encode them: the demo, silence by the hour, videos."""

from __future__ import annotations

import functools
import io
import struct
import zlib

import av
import numpy as np
import soundfile

from kvw.config.paths import DEMO

HOURS = 3 * 3600
"""Seconds of what is too long."""


@functools.cache
def speech(rate: int = 24_000, seconds: float = 6.0) -> np.ndarray:
    """The demo, float32 ``(samples,)``; at other rates than its own too fast or too slow, but for multiples."""
    wave, own = soundfile.read(DEMO, dtype="float32")
    wave = wave[: round(seconds * own)]
    return np.repeat(wave, rate // own) if rate > own else wave


def silence(seconds: float, rate: int = 8_000) -> np.ndarray:
    return np.zeros(round(seconds * rate), np.float32)


def by_soundfile(
    kind: str, subtype: str, wave: np.ndarray | None = None, rate: int = 24_000, endian: str = "FILE"
) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, speech() if wave is None else wave, rate, subtype, endian, kind)
    return file.getvalue()


@functools.cache
def demo(kind: str, subtype: str) -> bytes:
    return by_soundfile(kind, subtype)


@functools.cache
def by_pyav(kind: str, codec: str, channels: int = 1, rate: int = 24_000) -> bytes:
    file = io.BytesIO()
    layout = "mono" if channels == 1 else "stereo"
    wave = np.ascontiguousarray(np.repeat(speech()[None], channels, axis=0))
    with av.open(file, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout=layout)
        frame.sample_rate = 24_000
        resampler = av.AudioResampler(stream.format, layout, rate, frame_size=stream.frame_size or 1024)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return file.getvalue()


def repeated(kind: str, codec: str, rate: int, options: dict[str, str], seconds: float = HOURS) -> bytes:
    """One packet of encoded silence, again and again."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono", options=options)
        frame = av.AudioFrame.from_ndarray(silence(1.0, rate)[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        resampler = av.AudioResampler(stream.format, "mono", rate, frame_size=stream.codec_context.frame_size or 1024)
        pieces = [*resampler.resample(frame), *resampler.resample(None)]
        packets = [packet for piece in pieces for packet in stream.encode(piece)]
        whole = packets[-2]
        for number in range(int(seconds / float(whole.duration * whole.time_base))):
            whole.pts = whole.dts = number * whole.duration
            container.mux_one(whole)
    return file.getvalue()


def zeros(seconds: int, kind: str = "FLAC", subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    step = 60 if kind == "FLAC" else 1  # libsndfile overflows its stack on minutes of Vorbis at once
    with soundfile.SoundFile(file, "w", 8_000, 1, subtype, format=kind) as writer:
        for _ in range(seconds // step):
            writer.write(np.zeros(step * 8_000, np.int16))
    return file.getvalue()


def mp3(wave: np.ndarray | None = None, rate: int = 24_000) -> bytes:
    return by_soundfile("MP3", "MPEG_LAYER_III", wave, rate)


def frames_of(content: bytes) -> bytes:
    """An MP3 file without its first frame, which has the Xing tag."""
    return content[content.index(content[:2], 4) :]


def mp3_hours() -> bytes:
    second = frames_of(mp3(silence(1.0)))
    return second * HOURS


def mjpeg_avi(width: int, height: int) -> bytes:
    """A video without sound, of a size that no memory holds."""
    file = io.BytesIO()
    with av.open(file, "w", format="avi") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuvj420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        for number in range(3):
            frame.pts = number
            container.mux(stream.encode(frame))
    content = bytearray(file.getvalue())
    at = -1
    while (at := content.find(b"\xff\xc0", at + 1)) >= 0:
        content[at + 5 : at + 9] = struct.pack(">HH", height, width)
    at = content.index(b"strf") + 12
    content[at : at + 8] = struct.pack("<II", width, height)
    return bytes(content)


def with_video(kind: str, codec: str, size: int) -> bytes:
    """The demo beside an encoded picture whose header is then made to claim ``size`` pixels a side."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        picture = container.add_stream(codec, rate=10)
        picture.width = picture.height = 64
        picture.pix_fmt = "yuvj420p" if codec == "mjpeg" else "rgb24"
        sound = container.add_stream("pcm_s16le", rate=24_000, layout="mono")
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        for number in range(3):
            frame.pts = number
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        samples = av.AudioFrame.from_ndarray((speech() * 32767).astype(np.int16)[None], format="s16", layout="mono")
        samples.sample_rate = 24_000
        for packet in [*sound.encode(samples), *sound.encode(None)]:
            container.mux(packet)
    content = bytearray(file.getvalue())
    if codec == "png":
        at = -1
        while (at := content.find(b"IHDR", at + 1)) >= 0:
            content[at + 4 : at + 12] = struct.pack(">II", size, size)
            content[at + 17 : at + 21] = struct.pack(">I", zlib.crc32(content[at : at + 17]))
    else:
        at = -1
        while (at := content.find(b"\xff\xc0", at + 1)) >= 0:
            content[at + 5 : at + 9] = struct.pack(">HH", size, size)
    return bytes(content)


def adts(channels: int, rate: int = 24_000) -> bytes:
    return by_pyav("adts", "aac", channels, rate)

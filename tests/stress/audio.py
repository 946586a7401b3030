"""Hostile recordings, made to measure, and kvw's verdict on each: right, in bounded time and memory.

Large files are sparse or repeat encoded packets. Each is judged in a forked child, which a file can kill or exhaust.
"""

from __future__ import annotations

import functools
import io
import os
import resource
import select
import signal
import socket
import struct
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soundfile

from kvw.audio.recordings import read_recording
from kvw.config.paths import DEMO
from kvw.errors import KvwError

CPU_SECONDS = 2.0
MIB = 300
WALL_SECONDS = 20.0
GOOD = "good"

HOURS = 3 * 3600
"""Seconds of what is too long."""
GIB = 2**30


@dataclass(frozen=True)
class Row:
    """The verdict on one file: :data:`GOOD`, "refused: ..." or what else became of it."""

    name: str
    verdict: str
    expected: str
    cpu_seconds: float
    mib: float

    @property
    def right(self) -> bool:
        """Whether it is the verdict that was expected: accepted, or refused in the expected words."""
        if self.expected == GOOD:
            return self.verdict == GOOD
        return self.verdict.startswith("refused: ") and self.expected in self.verdict

    @property
    def cheap(self) -> bool:
        """Whether time and memory are within bounds."""
        return self.cpu_seconds <= CPU_SECONDS and self.mib <= MIB


def check(folder: Path) -> list[Row]:
    """Makes each file of :data:`CORPUS` in a new folder of ``folder``, judges it and deletes it."""
    rows = []
    for number, (name, (make, expected)) in enumerate(CORPUS.items()):
        inside = folder / f"{number}"
        inside.mkdir()
        path = inside / name
        make(path)
        row = judge(path, expected)
        for _ in range(3):  # a busy machine takes longer, and never less
            if row.right and not row.cheap:
                row = min(row, judge(path, expected), key=lambda one: one.cpu_seconds)
        rows.append(row)
        for file in inside.iterdir():
            file.rmdir() if file.is_dir() and not file.is_symlink() else file.unlink()
        inside.rmdir()
    return rows


def judge(path: Path, expected: str) -> Row:
    """Reads one file as a target in a forked child."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writer, "\n".join(_told(path)).encode(errors="replace"))
        finally:
            os._exit(0)
    os.close(writer)
    ready, _, _ = select.select([reader], [], [], WALL_SECONDS)
    if not ready:
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reader, "rb") as file:
        told = file.read().decode()
    _, status = os.waitpid(child, 0)
    if told:
        cpu, mib, verdict = told.split("\n", 2)
        return Row(path.name, verdict, expected, float(cpu), float(mib))
    end = f"ended by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exited with {status}"
    return Row(path.name, end if ready else f"no verdict in {WALL_SECONDS:g} s", expected, float("inf"), float("inf"))


def _told(path: Path) -> tuple[str, str, str]:
    """CPU seconds, MiB and verdict."""
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time() + WALL_SECONDS), resource.RLIM_INFINITY))
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak of memory begins anew
    before, start = _memory("VmRSS"), time.process_time()
    try:
        read_recording(path)
        verdict = GOOD
    except KvwError as error:
        verdict = f"refused: {error}" if str(error).isprintable() else f"not one line: {error!r}"
    except BaseException as error:
        verdict = f"raised {error!r}"
    return f"{time.process_time() - start}", f"{_memory('VmHWM') - before}", verdict


def _memory(field: str) -> float:
    """MiB of a line of the kernel's account; 0 where there is none."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:")), 0.0)


# Sounds


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


# Bytes


def wav(
    content: bytes = b"",
    rate: int = 24_000,
    channels: int = 1,
    bits: int = 16,
    *,
    tag: int = 1,
    align: int | None = None,
    size: int | None = None,
    extra: bytes = b"",
) -> bytes:
    """A RIFF file; ``size`` is what its data chunk claims."""
    align = channels * bits // 8 % 65536 if align is None else align
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * align % 2**32, align, bits) + extra
    size = len(content) if size is None else size
    head = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", min(2**32 - 1, len(head) + size)) + head + content


def pcm(wave: np.ndarray | None = None) -> bytes:
    return ((speech() if wave is None else wave) * 32767).astype("<i2").tobytes()


def box(name: bytes, *content: bytes) -> bytes:
    joined = b"".join(content)
    return struct.pack(">I", 8 + len(joined)) + name + joined


def numbers(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def mp4(
    content: bytes,
    *,
    stsz: bytes | None = None,
    stts: bytes | None = None,
    stsc: bytes | None = None,
    stco: bytes | None = None,
    seconds: int | None = None,
    tracks: int = 1,
    form: bytes = b"sowt",
    after: bytes = b"",
) -> bytes:
    """16-bit PCM at 24 kHz in a QuickTime file whose tables say what they are told to."""
    count = len(content) // 2
    duration = count if seconds is None else seconds * 24_000
    start = box(b"ftyp", b"qt  ", numbers(0), b"qt  ") + box(b"mdat", content)
    entry = box(form, bytes(6), b"\0\1", bytes(8), struct.pack(">HHHHI", 1, 16, 0, 0, 24_000 << 16))
    table = box(
        b"stbl",
        box(b"stsd", numbers(0, 1), entry),
        box(b"stts", stts or numbers(0, 1, count, 1)),
        box(b"stsc", stsc or numbers(0, 1, 1, count, 1)),
        box(b"stsz", stsz or numbers(0, 2, count)),
        box(b"stco", stco or numbers(0, 1, 28)),
    )
    media = box(
        b"mdia",
        box(b"mdhd", numbers(0, 0, 0, 24_000, duration, 0)),
        box(b"hdlr", numbers(0), b"mhlrsoun", bytes(13)),
        box(b"minf", box(b"smhd", bytes(8)), table),
    )
    track = box(b"trak", box(b"tkhd", numbers(7, 0, 0, 1, 0, duration), bytes(60)), media)
    head = box(b"mvhd", numbers(0, 0, 0, 24_000, duration), bytes(80))
    return start + box(b"moov", head, track * tracks, after)


def element(number: int, content: bytes = b"", size: int | None = None) -> bytes:
    """Matroska's unit, with a size of 8 bytes."""
    name = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return name + ((len(content) if size is None else size) | 1 << 56).to_bytes(8, "big") + content


EBML = element(0x1A45DFA3, element(0x4282, b"matroska"))
TRACK = element(0xD7, b"\1") + element(0x83, b"\2") + element(0x86, b"A_PCM/INT/LIT")
PCM_TRACK = element(0xAE, TRACK + element(0xE1, element(0xB5, struct.pack(">f", 24_000)) + element(0x6264, b"\x10")))


def mkv(*parts: bytes, size: int | None = None, tracks: int = 1) -> bytes:
    return EBML + element(0x18538067, element(0x1654AE6B, PCM_TRACK * tracks) + b"".join(parts), size)


def blocks(content: bytes, step: int = 2400) -> bytes:
    """A cluster for each 50 ms of PCM."""
    pieces = [content[at : at + step] for at in range(0, len(content), step)]
    return b"".join(
        element(0x1F43B675, element(0xE7, (50 * number).to_bytes(4, "big")) + element(0xA3, b"\x81\0\0\x80" + piece))
        for number, piece in enumerate(pieces)
    )


def ogg_page(serial: int, flags: int, packet: bytes) -> bytes:
    """Without a checksum: FFmpeg goes on regardless."""
    segments = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
    return (
        b"OggS\0" + bytes([flags]) + struct.pack("<qIII", 0, serial, 0, 0) + bytes([len(segments)]) + segments + packet
    )


def id3(frames: bytes = b"", size: int | None = None) -> bytes:
    size = len(frames) if size is None else size
    return b"ID3\3\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + frames


def png(width: int, height: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return numbers(len(content)) + name + content + numbers(zlib.crc32(name + content))

    head = numbers(width, height) + b"\x08\x02\0\0\0"
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def flac_block(kind: int, content: bytes, size: int | None = None) -> bytes:
    return bytes([kind]) + (len(content) if size is None else size).to_bytes(3, "big") + content


def flac_picture(size: int, picture: bytes = b"") -> bytes:
    head = numbers(3, 9) + b"image/png" + numbers(0, 1, 1, 24, 0, size)
    return flac_block(6, head + picture, min(2**24 - 1, len(head) + size))


def flac_with(*added: bytes) -> bytes:
    content = by_soundfile("FLAC", "PCM_16")
    return content[:4] + bytes([content[4] & 127]) + content[5:42] + b"".join(added) + content[42:]


# Files


def of(content: bytes | Callable[[], bytes]) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content if isinstance(content, bytes) else content()) and None


def cut(make: Callable[[], bytes], part: float = 0.5) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        content = make()
        path.write_bytes(content[: int(part * len(content))])

    return write


def changed(make: Callable[[], bytes], at: bytes | int, offset: int, new: bytes) -> Callable[[Path], None]:
    """With ``new`` from ``offset`` after the first ``at``."""

    def write(path: Path) -> None:
        content = bytearray(make())
        where = (content.index(at) if isinstance(at, bytes) else at) + offset
        content[where : where + len(new)] = new
        path.write_bytes(content)

    return write


def sparse(size: int, head: Callable[[], bytes] = bytes) -> Callable[[Path], None]:
    """Zeros, after what is there."""

    def write(path: Path) -> None:
        path.write_bytes(head())
        os.truncate(path, size)

    return write


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


def socket_at(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's whole path has at most 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


def poisoned(value: float, kind: str = "FLOAT") -> Callable[[Path], None]:
    def write(path: Path) -> None:
        wave = speech().astype(np.float64)
        wave[len(wave) // 2] = value
        soundfile.write(path, wave, 24_000, kind, format="WAV")

    return write


def wide(rate: int, channels: int) -> Callable[[], bytes]:
    return lambda: by_soundfile("WAV", "PCM_16", np.repeat(speech(rate)[:, None], channels, axis=1), rate)


def many_streams(count: int) -> bytes:
    """Logical streams of an Ogg file that begin and never go on, before one that does."""
    vorbis = by_soundfile("OGG", "VORBIS")
    head = vorbis[28:58]
    return b"".join(ogg_page(serial, 2, head) for serial in range(count)) + vorbis


def cmov(size: int) -> bytes:
    """An index in compressed form, of many times the same block of zeros."""
    packer = zlib.compressobj(1, wbits=-15)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = b"\x78\x01" + block * (size >> 20)
    moov = box(b"moov", box(b"cmov", box(b"dcom", b"zlib"), box(b"cmvd", numbers(size), packed)))
    return box(b"ftyp", b"qt  ", numbers(0), b"qt  ") + moov


def fragment(count: int) -> bytes:
    run = box(b"trun", numbers(1, count, 28))
    return mp4(
        pcm(),
        after=box(b"mvex", box(b"trex", numbers(0, 1, 1, 1, 2, 0))),
    ) + box(b"moof", box(b"mfhd", numbers(0, 1)), box(b"traf", box(b"tfhd", numbers(0, 1)), run))


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
            content[at + 4 : at + 12] = numbers(size, size)
            content[at + 17 : at + 21] = numbers(zlib.crc32(content[at : at + 17]))
    else:
        at = -1
        while (at := content.find(b"\xff\xc0", at + 1)) >= 0:
            content[at + 5 : at + 9] = struct.pack(">HH", size, size)
    return bytes(content)


def double_extended(number: int) -> bytes:
    """An integer as AIFF has it."""
    return struct.pack(">HQ", 16383 + number.bit_length() - 1, number << (64 - number.bit_length()))


def aiff(rate: bytes, channels: int = 1, frames: int | None = None, size: int | None = None) -> bytes:
    content = (speech() * 32767).astype(">i2").tobytes()
    comm = struct.pack(">hIh", channels, len(content) // 2 if frames is None else frames, 16) + rate
    ssnd = numbers(0, 0) + content
    body = b"AIFF" + b"COMM" + numbers(18) + comm + b"SSND" + numbers(len(ssnd) if size is None else size) + ssnd
    return b"FORM" + numbers(len(body)) + body


def adts(channels: int, rate: int = 24_000) -> bytes:
    return by_pyav("adts", "aac", channels, rate)


RF64 = functools.partial(demo, "RF64", "PCM_16")
W64 = functools.partial(demo, "W64", "PCM_16")
CAF = functools.partial(demo, "CAF", "PCM_16")
AU = functools.partial(demo, "AU", "PCM_16")
AIFF = functools.partial(demo, "AIFF", "PCM_16")
FLAC = functools.partial(demo, "FLAC", "PCM_16")
VORBIS = functools.partial(demo, "OGG", "VORBIS")
OPUS = functools.partial(demo, "OGG", "OPUS")
M4A = functools.partial(by_pyav, "ipod", "aac")
WEBM = functools.partial(by_pyav, "webm", "libopus", 1, 48_000)
WAV = functools.partial(wav, pcm())

UNKNOWN = "known format"
CUT = "cut short"
LONG = "at most 10 min"
CHANNELS = "1 to 64 channels"
RATE = "sample rate"
EXTENSIBLE = struct.pack("<HHI", 22, 16, 4) + b"\1\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"

CORPUS: dict[str, tuple[Callable[[Path], object], str]] = {
    # not audio
    "empty.wav": (of(b""), "empty"),
    "empty.mp3": (of(b""), "empty"),
    "text.wav": (of(b"These are words, not sound.\n" * 50), UNKNOWN),
    "text.m4a": (of(b"These are words, not sound.\n" * 50), UNKNOWN),
    "page.mp3": (of(b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n" * 20), UNKNOWN),
    "picture.wav": (of(png(64, 64)), "without any"),
    "huge picture.png": (of(png(60_000, 60_000)), "without any"),
    "noise.mp3": (of(np.random.default_rng(0).bytes(10**6)), "expected"),
    "zeros.wav": (sparse(10**6), UNKNOWN),
    "zeros of 64 GiB.wav": (sparse(64 * GIB), UNKNOWN),
    "playlist.wav": (of(b"#EXTM3U\n#EXTINF:10,\nhttp://localhost/a.wav\n"), UNKNOWN),
    "concat.wav": (of(b"ffconcat version 1.0\nfile other.wav\n"), UNKNOWN),
    "session.sdp": (
        of(b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n"),
        UNKNOWN,
    ),
    "subtitles.wav": (of(b"1\n00:00:01,000 --> 00:00:04,000\nWords.\n\n" * 9), "without any"),
    "archive.flac": (of(b"PK\3\4" + np.random.default_rng(0).bytes(50_000)), "expected"),
    # header only
    "twelve bytes.wav": (of(WAV()[:12]), "expected"),
    "header only.wav": (of(wav()), "holds none"),
    "header only, cut.wav": (of(WAV()[:44]), CUT),
    "header only.flac": (lambda path: path.write_bytes(FLAC()[:86]), "expected"),
    "header only.ogg": (lambda path: path.write_bytes(VORBIS()[:58]), "expected"),
    "header only.mp3": (of(id3(bytes(100))), UNKNOWN),
    "header only.m4a": (of(box(b"ftyp", b"M4A ", numbers(0))), "expected"),
    "header only.mkv": (of(EBML), "expected"),
    "header only.aiff": (of(aiff(double_extended(24_000))[:54]), "expected"),
    # cut in half
    "cut.wav": (cut(WAV), CUT),
    "cut.mp3": (cut(mp3), CUT),
    "cut.flac": (cut(FLAC), CUT),
    "cut.m4a": (cut(M4A), CUT),
    "cut.ogg": (cut(VORBIS), CUT),
    "cut.opus": (cut(OPUS), CUT),
    "cut.webm": (cut(WEBM), CUT),
    "cut.aiff": (cut(AIFF), CUT),
    "cut.caf": (cut(CAF), CUT),
    "cut.au": (cut(AU), CUT),
    "cut.w64": (cut(W64), CUT),
    "cut.rf64": (cut(RF64), CUT),
    "3 % short.wav": (cut(WAV, 0.97), CUT),
    "3 % short.w64": (cut(W64, 0.97), CUT),
    "3 % short.rf64": (cut(RF64, 0.97), CUT),
    "1 % short.wav": (cut(WAV, 0.99), GOOD),
    # lying sizes
    "claims 4 GB.wav": (of(wav(pcm(), size=2**31 - 2**20)), "expected"),
    "claims twice its samples.wav": (of(wav(pcm(), size=2 * len(pcm()))), CUT),
    "size unknown.wav": (of(wav(pcm(), size=2**32 - 1)), GOOD),
    "claims more.flac": (changed(FLAC, 22, 0, numbers(10**7)), CUT),
    "claims more.au": (changed(AU, 8, 0, numbers(4 * len(pcm()))), CUT),
    "claims more.caf": (changed(CAF, b"data", 4, struct.pack(">Q", 4 * len(pcm()))), CUT),
    "claims more.w64": (changed(W64, b"data\xf3\xac", 16, struct.pack("<Q", 4 * len(pcm()))), CUT),
    "claims more.rf64": (changed(RF64, b"ds64", 16, struct.pack("<Q", 4 * len(pcm()))), CUT),
    "claims 2**63.rf64": (changed(RF64, b"ds64", 16, struct.pack("<Q", 2**63 - 1)), "expected"),
    "claims 2**63.caf": (changed(CAF, b"data", 4, struct.pack(">Q", 2**63 - 1)), "expected"),
    "claims more.aiff": (of(aiff(double_extended(24_000), frames=10**6, size=2 * 10**6)), CUT),
    "its tables are right, its header is not.mov": (of(mp4(pcm(), seconds=60)), GOOD),
    "right.mov": (of(mp4(pcm())), GOOD),
    "claims giant.mkv": (of(mkv(blocks(pcm()), size=2**55)), GOOD),
    "claims a giant block.mkv": (
        of(mkv(blocks(pcm()), element(0x1F43B675, element(0xA3, b"\x81\0\0\x80", 2**40)))),
        GOOD,
    ),
    "claims giant private data.mkv": (
        of(EBML + element(0x18538067, element(0x1654AE6B, element(0xAE, TRACK + element(0x63A2, size=2**27))))),
        "expected",
    ),
    "claims a giant tag.mp3": (lambda path: path.write_bytes(id3(size=2**28 - 1) + mp3()), UNKNOWN),
    # samples that are no numbers
    "NaN.wav": (poisoned(float("nan")), "finite"),
    "infinity.wav": (poisoned(float("inf")), "finite"),
    "minus infinity.wav": (poisoned(float("-inf"), "DOUBLE"), "finite"),
    "NaN of 64 bits.wav": (poisoned(float("nan"), "DOUBLE"), "finite"),
    "beyond float32.wav": (poisoned(1e300, "DOUBLE"), "finite"),
    "at the end of float32.wav": (
        of(wav((np.sign(speech()) * 3.4e38).astype("<f4").tobytes(), 48_000, bits=32, tag=3)),
        "finite",
    ),
    # formats
    "8 bit.wav": (of(lambda: by_soundfile("WAV", "PCM_U8")), GOOD),
    "24 bit.wav": (of(lambda: by_soundfile("WAV", "PCM_24")), GOOD),
    "64 bit.wav": (of(lambda: by_soundfile("WAV", "DOUBLE")), GOOD),
    "u-law.au": (of(lambda: by_soundfile("AU", "ULAW")), GOOD),
    "96 kHz.wav": (of(wide(96_000, 1)), GOOD),
    "384 kHz.wav": (of(wide(384_000, 2)), GOOD),
    "768 kHz.wav": (of(wide(768_000, 1)), GOOD),
    "8 channels.wav": (of(wide(48_000, 8)), GOOD),
    "64 channels.wav": (of(wide(24_000, 64)), GOOD),
    "a WAV.mp3": (of(WAV()), GOOD),
    "RF64.wav": (of(RF64), GOOD),
    "a.w64": (of(W64), GOOD),
    "a.caf": (of(CAF), GOOD),
    "a.aiff": (of(AIFF), GOOD),
    "a.mp3": (of(mp3), GOOD),
    "a.opus": (of(OPUS), GOOD),
    "extensible without a mask.wav": (
        of(wav(pcm(), tag=0xFFFE, extra=bytes.fromhex("1600100000000000") + EXTENSIBLE[8:])),
        GOOD,
    ),
    "extensible, its mask of 18 speakers.wav": (
        of(wav(pcm(), tag=0xFFFE, extra=bytes.fromhex("16001000ffff0300") + EXTENSIBLE[8:])),
        GOOD,
    ),
    "extensible, cut in its header.wav": (of(wav(pcm(), tag=0xFFFE, extra=b"\x16")), "expected"),
    "extensible of an unknown kind.wav": (of(wav(pcm(), tag=0xFFFE, extra=EXTENSIBLE[:8] + b"\xee" * 16)), "expected"),
    # headers that can't be
    "no channels.wav": (of(wav(pcm(), channels=0, align=2)), CHANNELS),
    "65 channels.wav": (of(wav(pcm(), channels=65)), CHANNELS),
    "1024 channels.wav": (of(wav(pcm(), channels=1024)), CHANNELS),
    "65535 channels.wav": (of(wav(pcm(), channels=65535)), "expected"),
    "block align 0.wav": (of(wav(pcm(), align=0)), GOOD),
    "block align 65535.wav": (of(wav(pcm(), align=65535)), GOOD),
    "0 bits.wav": (of(wav(pcm(), bits=0, align=2)), "expected"),
    "255 bits.wav": (of(wav(pcm(), bits=255)), "expected"),
    "0 Hz.wav": (of(wav(pcm(), rate=0)), UNKNOWN),
    "1 Hz.wav": (of(wav(pcm()[:800], rate=1)), RATE),
    "999 Hz.wav": (of(wav(pcm(), rate=999)), RATE),
    "2147483647 Hz.wav": (of(wav(pcm(), rate=2**31 - 1)), RATE),
    "4294967295 Hz.wav": (of(wav(pcm(), rate=2**32 - 1)), UNKNOWN),
    "769 kHz.wav": (of(wav(pcm(), rate=769_000)), RATE),
    "2147483647 Hz of 4 GB.wav": (
        sparse(4 * GIB - 1, lambda: wav(rate=2**31 - 1, channels=64, bits=64, tag=3, size=4 * 10**9)),
        RATE,
    ),
    "infinite rate.aiff": (of(aiff(b"\x7f\xff" + b"\xff" * 8)), UNKNOWN),
    "no rate.aiff": (of(aiff(bytes(10))), UNKNOWN),
    # change half way
    "mono, then stereo.aac": (of(lambda: adts(1) + adts(2)), GOOD),
    "24 kHz, then 48 kHz.aac": (of(lambda: adts(1) + adts(1, 48_000)), "one sample rate"),
    "24 kHz, then 48 kHz.mp3": (of(lambda: frames_of(mp3()) + frames_of(mp3(rate=48_000))), "one sample rate"),
    "chained.ogg": (of(lambda: VORBIS() + VORBIS()), GOOD),
    # too long
    "3 h of zeros.flac": (of(lambda: zeros(HOURS)), LONG),
    "11 min, its header says a second.flac": (changed(lambda: zeros(660), 22, 0, numbers(8_000)), LONG),
    "3 h.mp3": (of(mp3_hours), LONG),
    "3 h.opus": (of(lambda: repeated("ogg", "libopus", 48_000, {"frame_duration": "120", "b": "6000"})), LONG),
    "3 h of 20 ms.opus": (of(lambda: repeated("ogg", "libopus", 48_000, {"b": "6000"}, 1200)), LONG),
    "11 min.ogg": (of(lambda: zeros(660, "OGG", "VORBIS")), LONG),
    "3 h.aac": (of(lambda: by_pyav("adts", "aac") * 1800), LONG),
    "3 h.m4a": (of(lambda: repeated("ipod", "aac", 8_000, {})), LONG),
    "3 h.mkv": (of(lambda: repeated("matroska", "aac", 8_000, {})), LONG),
    "3 h.wav": (sparse(44 + HOURS * 8_000, lambda: wav(rate=8_000, bits=8, size=HOURS * 8_000)), LONG),
    "50 h, size unknown.wav": (sparse(2 * GIB, lambda: wav(rate=8_000, size=2**32 - 1)), LONG),
    "9 min of 384 kHz, 64 channels of 64 bits.rf64": (
        sparse(
            80 + 540 * 384_000 * 512,
            lambda: (
                b"RF64\xff\xff\xff\xffWAVEds64"
                + struct.pack("<IQQQI", 28, 72 + 540 * 384_000 * 512, 540 * 384_000 * 512, 540 * 384_000, 0)
                + wav(rate=384_000, channels=64, bits=64, tag=3, size=2**32 - 1)[12:]
            ),
        ),
        "mix it down",
    ),
    # sparse
    "then zeros.mp3": (sparse(64 * GIB, mp3), "expected"),
    "then zeros.aac": (sparse(64 * GIB, lambda: adts(1)), "expected"),
    "then zeros.ogg": (sparse(64 * GIB, VORBIS), "expected"),
    "then zeros.flac": (sparse(64 * GIB, FLAC), "expected"),
    "then zeros.opus": (sparse(64 * GIB, OPUS), "expected"),
    "then zeros.mkv": (sparse(64 * GIB, lambda: mkv(blocks(pcm()))), "expected"),
    "then zeros.wav": (sparse(64 * GIB, WAV), "expected"),
    "then zeros.m4a": (sparse(64 * GIB, M4A), GOOD),
    "then zeros.ts": (sparse(64 * GIB, lambda: by_pyav("mpegts", "aac")), "expected"),
    "a tag of 256 MB.mp3": (sparse(2**28 + 10**6, lambda: id3(size=2**28 - 1)), UNKNOWN),
    "a picture of 250 MB.mp3": (
        sparse(2**28 + 10**6, lambda: id3(b"APIC" + numbers(2**28 - 100) + b"\0\0\0image/png\0\3\0", 2**28 - 1)),
        "expected",
    ),
    "a picture of 500 MB.flac": (sparse(500 * 2**20, lambda: flac_with(flac_picture(490 * 2**20))), "expected"),
    "a picture that claims 500 MB.flac": (of(lambda: flac_with(flac_picture(500 * 10**6, bytes(1000)))), "expected"),
    "a picture of 65535 x 65535.flac": (
        of(lambda: flac_with(flac_picture(len(png(65535, 65535)), png(65535, 65535)))),
        GOOD,
    ),
    "an attachment of 250 MB.mkv": (
        sparse(
            2**28 + 10**6,
            lambda: (
                EBML
                + element(
                    0x18538067,
                    element(0x1654AE6B, PCM_TRACK)
                    + element(
                        0x1941A469,
                        element(
                            0x61A7,
                            element(0x466E, b"a.ttf")
                            + element(0x4660, b"font/ttf")
                            + element(0x465C, size=2**28 - 2**20),
                            2**28,
                        ),
                        2**28 + 100,
                    ),
                    2**40,
                )
            ),
        ),
        "expected",
    ),
    "a block of 250 MB.mkv": (
        sparse(
            2**28 + 10**6,
            lambda: mkv(
                element(0x1F43B675, element(0xE7, b"\0") + element(0xA3, b"\x81\0\0\x80", 2**28 - 100), 2**28),
                size=2**40,
            ),
        ),
        "expected",
    ),
    # tables
    "a billion samples of 2 bytes.mov": (
        of(mp4(pcm(), stsz=numbers(0, 2, 10**9), stsc=numbers(0, 1, 1, 10**9, 1))),
        GOOD,
    ),
    "80 million samples.mov": (
        of(
            mp4(
                pcm(),
                form=b"ulaw",
                stsz=numbers(0, 1, 80_000_000),
                stsc=numbers(0, 1, 1, 80_000_000, 1),
                stts=numbers(0, 1, 80_000_000, 1),
            )
        ),
        GOOD,
    ),
    "80 million samples of AAC.mov": (
        of(
            mp4(
                pcm(),
                form=b"mp4a",
                stsz=numbers(0, 1, 80_000_000),
                stsc=numbers(0, 1, 1, 80_000_000, 1),
                stts=numbers(0, 1, 80_000_000, 1),
            )
        ),
        "expected",
    ),
    "2 million samples of AAC, 100 times.mov": (
        of(
            mp4(
                pcm(),
                tracks=100,
                form=b"mp4a",
                stsz=numbers(0, 1, 2_000_000),
                stsc=numbers(0, 1, 1, 2_000_000, 1),
                stts=numbers(0, 1, 2_000_000, 1),
            )
        ),
        "expected",
    ),
    "4 billion sizes.mov": (of(mp4(pcm(), stsz=numbers(0, 0, 2**32 - 1))), "expected"),
    "4 billion times.mov": (of(mp4(pcm(), stts=numbers(0, 2**32 - 1))), "expected"),
    "4 billion chunks.mov": (of(mp4(pcm(), stco=numbers(0, 2**32 - 1))), "expected"),
    "a chunk at 4 GB.mov": (of(mp4(pcm(), stco=numbers(0, 1, 2**32 - 1))), CUT),
    "a fragment of 80 million.mp4": (of(fragment(80_000_000)), "expected"),
    "an index that unpacks to 320 MiB.mov": (of(lambda: cmov(320 * 2**20)), "expected"),
    "900 tracks.mov": (of(mp4(pcm(), tracks=900)), "expected"),
    "900 tracks.mkv": (of(mkv(blocks(pcm()), tracks=900)), GOOD),
    "5000 tracks.mkv": (of(mkv(blocks(pcm()), tracks=5000)), GOOD),
    "900 streams.ogg": (of(lambda: many_streams(900)), GOOD),
    "5000 streams.ogg": (of(lambda: many_streams(5000)), GOOD),
    # videos, whose pictures are never decoded
    "a mute video of 65500 x 65500.avi": (of(lambda: mjpeg_avi(65500, 65500)), "without any"),
    "a video of 65500 x 65500.avi": (of(lambda: with_video("avi", "mjpeg", 65500)), GOOD),
    "a video of 65500 x 65500.mkv": (of(lambda: with_video("matroska", "mjpeg", 65500)), GOOD),
    "a video of 30000 x 30000.mov": (of(lambda: with_video("mov", "png", 30_000)), GOOD),
    # names
    "two words.wav": (of(WAV()), GOOD),
    "日本語 é 🎙.wav": (of(WAV()), GOOD),
    "two\nlines.wav": (of(b""), "two?lines.wav"),
    "two\nlines, good.wav": (of(WAV()), GOOD),
    "-i.wav": (of(WAV()), GOOD),
    "http:": (of(WAV()), GOOD),
    "concat:a.wav|b.wav": (of(WAV()), GOOD),
    "pipe:0": (of(WAV()), GOOD),
    "%s %d {0} $HOME.wav": (of(WAV()), GOOD),
    "n" * 251 + ".wav": (of(WAV()), GOOD),
    "\udcff\udcfe.wav": (of(WAV()), GOOD),
    "\udcff\udcfe, empty.wav": (of(b""), "empty"),
    # no files
    "nothing.wav": (lambda path: None, "there is none"),
    "folder.wav": (Path.mkdir, "folder"),
    "pipe.wav": (os.mkfifo, "pipe or device"),
    "socket.wav": (socket_at, "pipe or device"),
    "zero.wav": (lambda path: path.symlink_to("/dev/zero"), "pipe or device"),
    "to itself.wav": (lambda path: path.symlink_to(path.name), "can't be read"),
    "to nothing.wav": (lambda path: path.symlink_to("gone"), "there is none"),
}

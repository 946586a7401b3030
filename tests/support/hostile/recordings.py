"""Hostile recordings and the verdict that kvw owes each. Large files are sparse or repeat encoded packets.

Above 300 lines, because the table is one.
"""

from __future__ import annotations

import functools
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from tests.support.hostile.containers import (
    EBML,
    PCM_TRACK,
    TRACK,
    aiff,
    blocks,
    box,
    cmov,
    double_extended,
    element,
    flac_picture,
    flac_with,
    fragment,
    id3,
    many_streams,
    mkv,
    mp4,
    numbers,
    pcm,
    png,
    wav,
)
from tests.support.hostile.encoders import (
    HOURS,
    adts,
    by_pyav,
    by_soundfile,
    demo,
    frames_of,
    mjpeg_avi,
    mp3,
    mp3_hours,
    repeated,
    speech,
    with_video,
    zeros,
)
from tests.support.recordings import beside

GOOD = "good"


GIB = 2**30


def of(content: bytes | Callable[[], bytes]) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content if isinstance(content, bytes) else content()) and None


def among(codec: str, *tracks: str | np.ndarray) -> Callable[[Path], object]:
    """Speech as one track among others."""
    return lambda path: beside(path, speech(48_000), 48_000, codec, *tracks)


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
    "pointer.wav": (of(b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n"), "git lfs pull"),
    "UTF-16.wav": (of("These are words, not sound.\n".encode("utf-16") * 50), UNKNOWN),
    "other order.wav": (of(b"RIFX" + WAV()[4:]), "RIFX"),
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
    "a picture beside it.wmv": (among("wmav2", "picture", "sound"), GOOD),
    "a note beside it.mka": (among("libopus", "sound", "attachment"), GOOD),
    "silence first.mka": (among("libopus", np.zeros(4 * 48_000, np.float32), "sound"), GOOD),
    "silence alone.mka": (among("libopus", np.zeros(4 * 48_000, np.float32), np.zeros(48_000, np.float32)), "silence"),
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

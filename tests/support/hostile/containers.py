"""Containers of sound written byte by byte, so that their headers and tables may lie."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from tests.support.hostile.encoders import by_soundfile, speech


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


def double_extended(number: int) -> bytes:
    """An integer as AIFF has it."""
    return struct.pack(">HQ", 16383 + number.bit_length() - 1, number << (64 - number.bit_length()))


def aiff(rate: bytes, channels: int = 1, frames: int | None = None, size: int | None = None) -> bytes:
    content = (speech() * 32767).astype(">i2").tobytes()
    comm = struct.pack(">hIh", channels, len(content) // 2 if frames is None else frames, 16) + rate
    ssnd = numbers(0, 0) + content
    body = b"AIFF" + b"COMM" + numbers(18) + comm + b"SSND" + numbers(len(ssnd) if size is None else size) + ssnd
    return b"FORM" + numbers(len(body)) + body

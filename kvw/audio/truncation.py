"""Finds audio files that were cut short: compares the bytes that a header promises with the file.

FFmpeg silently reads such a file as far as it goes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Literal

from kvw.audio.refusal import refusal
from kvw.errors import KvwError

TRUNCATED_FRACTION = 0.02

TRUNCATED_SECONDS = 0.1
"""A file is cut short if more than both of these are missing; where bytes are compared, if the fraction is missing."""

# Writers that can't seek back leave a RIFF size near its limits: ffmpeg 2**32 - 1, sox 2**31 - 4096 or a little more.
RIFF_SIZE_UNKNOWN = 2**31 - 4096

# Formats that FFmpeg reads as far as they go: where the chunks start, the bytes of a chunk's name and of its size, the
# byte order, whether the size includes name and size, and the alignment of chunks in bytes.
CHUNKS: dict[bytes, tuple[int, int, int, Literal["little", "big"], bool, int]] = {
    b"RIFF": (12, 4, 4, "little", False, 2),
    b"RF64": (12, 4, 4, "little", False, 2),
    b"riff": (40, 16, 8, "little", True, 8),  # Sony Wave64
    b"caff": (8, 4, 8, "big", False, 1),
}


def check_length(path: Path, claimed: float, decoded: float) -> None:
    """Compares the seconds that a header promises with the seconds that were decoded.

    Raises:
        KvwError: more is missing than both :data:`TRUNCATED_SECONDS` and :data:`TRUNCATED_FRACTION`.
    """
    missing = claimed - decoded
    if missing > TRUNCATED_SECONDS and missing > TRUNCATED_FRACTION * claimed:
        raise _cut_short(path, f"{claimed:.1f} s", f"{decoded:.1f} s")


def _cut_short(path: Path, claimed: str, got: str) -> KvwError:
    return refusal(
        path, f"expected {claimed}, as its header says; got {got}: cut short or damaged; copy or export it again"
    )


def check_size(path: Path, file: BinaryIO) -> None:
    """Compares the bytes that a header promises with the size of the file, for formats that FFmpeg reads regardless.

    Raises:
        KvwError: the file is empty or cut short.
    """
    size = file.seek(0, os.SEEK_END)
    if not size:
        raise refusal(path, "expected audio; got an empty file; copy or export it again")
    file.seek(0)
    magic = file.read(4)
    if magic == b"OggS":
        needed = float(_ogg_end(file, size))
    elif magic in CHUNKS:
        needed = _data_end(file, magic) * (1 - TRUNCATED_FRACTION)
    else:
        needed = _mp3_end(file) * (1 - TRUNCATED_FRACTION)
    if needed > size:
        raise _cut_short(path, f"at least {needed:.0f} bytes", f"{size}")


def _ogg_end(file: BinaryIO, size: int) -> int:
    """The offset, in bytes, at which the last page that begins in the file should end."""
    start = max(0, size - 2**17)  # a page has at most 65,307 bytes
    file.seek(start)
    tail = file.read()
    at = tail.rfind(b"OggS")
    segments = tail[at + 27 : at + 27 + tail[at + 26]] if 0 <= at < len(tail) - 26 else b""
    return start + at + 27 + len(segments) + sum(segments)


def _data_end(file: BinaryIO, magic: bytes) -> int:
    """The offset, in bytes, at which the samples, or else the RIFF file, should end; 0 if the header leaves it open."""
    at, name, width, order, included, aligned = CHUNKS[magic]
    end = 8 + int.from_bytes(file.read(4), "little") if magic == b"RIFF" else 0
    long = None
    for _ in range(1000):
        file.seek(at)
        header = file.read(name + width)
        if len(header) < name + width:
            break
        size = int.from_bytes(header[name:], order) - included * len(header)
        if header[:4] == b"ds64":
            long = int.from_bytes(file.read(16)[8:], "little")
        if header[:4] == b"data":
            if long is not None and size == 2**32 - 1:
                return at + len(header) + long
            end = at + len(header) + size
            break
        at += len(header) + max(0, size + -size % aligned)
        if at >= 2**63:
            break
    unknown = RIFF_SIZE_UNKNOWN if width == 4 else 2**64 - 1
    return end if end < unknown else 0


def _mp3_end(file: BinaryIO) -> int:
    """The offset, in bytes, at which an MP3's frames should end by its Xing, Info or VBRI tag; 0 without a tag."""
    file.seek(0)
    tag = file.read(10)
    start = 0
    if tag[:3] == b"ID3":
        start = 10 + sum(byte << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=False))
    file.seek(start)
    frame = file.read(192)
    if len(frame) == 192 and frame[0] == 0xFF:
        for name, at in ((b"Xing", 12), (b"Info", 12), (b"VBRI", 10)):
            where = frame.find(name, 4, 64)
            # flags & 3: the tag holds a count of frames, then of bytes; VBRI always holds both
            if where > 0 and (name == b"VBRI" or frame[where + 7] & 3 == 3):
                return start + int.from_bytes(frame[where + at : where + at + 4], "big")
    return 0

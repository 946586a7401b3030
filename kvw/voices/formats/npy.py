"""``.npy``: NumPy's file of one array (``numpy.lib.format``).

Its header is a Python literal, which is matched by a pattern and never evaluated: ``np.save`` writes one form only.
"""

from __future__ import annotations

import io
import re

import numpy as np

from kvw.types import VOICE_SHAPE, Voice
from kvw.voices.formats import raw
from kvw.voices.formats.raw import NotAVoice

MAGIC = b"\x93NUMPY"

MAX_HEADER = 4096
"""Most bytes of a header; NumPy writes 118 for a voice."""

_LENGTH_BYTES = {b"\x01\x00": 2, b"\x02\x00": 4, b"\x03\x00": 4}  # bytes of the header's length, by version

_HEADER = re.compile(
    r"\{\s*'descr'\s*:\s*'(?P<type>[^']{1,20})'\s*,\s*'fortran_order'\s*:\s*(?P<fortran>True|False)\s*,"
    r"\s*'shape'\s*:\s*\((?P<shape>[\d ,]{0,80})\)\s*,?\s*\}\s*"
)

_AGAIN = "use what np.save or np.savez writes of np.ascontiguousarray(voice, dtype=np.float32)"


def read(data: bytes) -> Voice:
    """The voice in an ``.npy`` file.

    Raises:
        NotAVoice: another magic, version or header; Python objects; another shape or dtype; more or fewer bytes than
            the header says; NaN or infinity.
    """
    width = _LENGTH_BYTES.get(data[6:8])
    if not data.startswith(MAGIC) or width is None:
        raise NotAVoice("a file that isn't NumPy's npy format", _AGAIN)
    length = int.from_bytes(data[8 : 8 + width], "little")
    start = 8 + width + length
    if length > MAX_HEADER:
        raise NotAVoice(f"an npy header of {length:,} bytes", _AGAIN)
    header = _HEADER.fullmatch(data[8 + width : start].decode("latin-1"))
    if header is None:
        raise NotAVoice("an npy header of more than one plain array", _AGAIN)
    shape = ", ".join(axis.strip() for axis in header["shape"].split(","))
    raw.check_rows([int(axis) for axis in shape.split(", ") if axis])
    if header["type"] != "<f4" or f"({shape})" != str(VOICE_SHAPE):
        raise NotAVoice(f"an array of type {header['type']!a} and shape ({shape:.80})", _AGAIN)
    voice = raw.read(data[start:], _AGAIN)
    return np.ascontiguousarray(voice.reshape(VOICE_SHAPE[::-1]).T) if header["fortran"] == "True" else voice


def write(voice: Voice) -> bytes:
    """The bytes that ``np.save`` writes of the voice.

    Raises:
        ValueError: as :func:`kvw.voices.formats.raw.write`.
    """
    file = io.BytesIO()
    np.save(file, np.frombuffer(raw.write(voice), "<f4").reshape(VOICE_SHAPE), allow_pickle=False)
    return file.getvalue()

"""``.safetensors``: one tensor named ``voice``, as mlx-audio reads it, with the facts about the voice as metadata.

Format: https://github.com/huggingface/safetensors#format. Metadata maps texts to texts: a fact that isn't text is
written as JSON, and so is a text that reads as JSON, so that every fact comes back as it was.

The safetensors library (0.8) can't replace this module: it writes metadata in random order, refuses lone surrogates,
and gives the metadata of files on disk only, not of bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kvw.types import VOICE_SHAPE, Voice
from kvw.voices.formats import raw
from kvw.voices.formats.raw import VOICE_BYTES, NotAVoice

TENSOR = "voice"

MAX_HEADER = 64 << 10
"""Most bytes of a header."""

_PLAIN = {"dtype": "F32", "shape": list(VOICE_SHAPE), "data_offsets": [0, VOICE_BYTES]}
_AGAIN = "use a file of one float32 tensor, as kvw and safetensors write it"


def read(data: bytes) -> Voice:
    """The voice of a safetensors file.

    Raises:
        NotAVoice: the header is too long, no JSON, or describes anything but one float32 tensor of a voice's shape that
            fills the file; or as :func:`facts`; or NaN or infinity.
    """
    header, start = _header(data)
    facts(data)
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    if len(tensors) != 1:
        raise NotAVoice(f"a safetensors file of {len(tensors)} tensors", _AGAIN)
    (entry,) = tensors.values()
    if json.dumps(entry, sort_keys=True) != json.dumps(
        _PLAIN, sort_keys=True
    ):  # as text: to Python 0, 0.0 and False are equal
        raise NotAVoice(f"a tensor of {entry!a:.160}", _AGAIN)
    return raw.read(data[start:], _AGAIN)


def facts(data: bytes) -> dict[str, Any]:
    """The facts about the voice in a safetensors file.

    Raises:
        NotAVoice: the header is too long or no JSON, or the metadata don't map texts to texts.
    """
    metadata = _header(data)[0].get("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise NotAVoice("a safetensors file whose metadata are not text by text", _AGAIN)
    return {key: value if (fact := _parsed(value)) is None else fact[0] for key, value in metadata.items()}


def write(voice: Voice, facts: Mapping[str, object]) -> bytes:
    """A safetensors file; equal voices and facts give equal bytes.

    Args:
        voice: float32 ``(510, 1, 256)``, finite.
        facts: JSON values by name.

    Raises:
        ValueError: as :func:`kvw.voices.formats.raw.write`; or the facts aren't JSON, or are too long.
    """
    metadata = {key: _text(value) for key, value in sorted(facts.items())}
    header = json.dumps({"__metadata__": metadata, TENSOR: _PLAIN}).encode()  # ASCII: lone surrogates stay escapes
    header += b" " * (-len(header) % 8)
    if len(header) > MAX_HEADER:
        raise ValueError(f"expected facts of at most {MAX_HEADER:,} bytes, got {len(header):,}")
    return len(header).to_bytes(8, "little") + header + raw.write(voice)


def _header(data: bytes) -> tuple[dict[str, Any], int]:
    """The header, and the offset at which the numbers begin."""
    length = int.from_bytes(data[:8], "little")
    if length > MAX_HEADER:
        raise NotAVoice(f"a safetensors header of {length:,} bytes", _AGAIN)
    try:
        header = json.loads(data[8 : 8 + length], object_pairs_hook=raw.unique)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise NotAVoice("a file that isn't safetensors", _AGAIN)
    return header, 8 + length


def _parsed(text: str) -> tuple[Any] | None:
    """The value of a text that is JSON, in a tuple; None for other texts, also for NaN and Infinity."""
    try:
        return (json.loads(text, parse_constant=int),)  # int('NaN') is a ValueError
    except (ValueError, RecursionError):
        return None


def _text(value: object) -> str:
    plain = isinstance(value, str) and _parsed(value) is None
    return str(value) if plain else json.dumps(value, allow_nan=False)

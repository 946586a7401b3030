"""sherpa-onnx's ``voices.bin``: raw voices one after the other. A voice's number is its place, from 0.

The file holds no names. kvw writes a text beside it, ``voices.speakers.txt`` by ``voices.bin``, with a line such as
``0 af_alloy`` for each voice. The text is written before the voices and may name more voices than the file holds:
voices are only ever added at the end, so a crash between the two files leaves right names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from kvw.types import Voice
from kvw.voices.formats import raw
from kvw.voices.formats.raw import MAX_VOICES, VOICE_BYTES, NotAVoice

MAX_BYTES = MAX_VOICES * VOICE_BYTES

MAX_NAMES = 64 << 10
"""Most bytes of the text."""

NAMES_ENDING = ".speakers.txt"
_AGAIN = "write lines such as '0 af_heart', numbered from 0, or remove that text"


def read(data: bytes, names: Iterable[str] | None) -> dict[str, Voice]:
    """The voices by their names, in the file's order; without names by their speaker ids.

    Raises:
        NotAVoice: as :func:`kvw.voices.formats.raw.read_bare`; or there are fewer names than voices.
    """
    voices = raw.read_bare(data)
    named = [str(number) for number in range(len(voices))] if names is None else list(names)
    if len(named) < len(voices):
        raise NotAVoice(f"{len(voices)} voices, of which its {NAMES_ENDING} names {len(named)}", _AGAIN)
    return dict(zip(named, voices, strict=False))


def write(voices: Mapping[str, Voice]) -> bytes:
    """The voices' numbers, one voice after the other.

    Raises:
        ValueError: as :func:`kvw.voices.formats.raw.write_bare`.
    """
    return b"".join(raw.write_bare(voice) for voice in voices.values())


def read_names(text: bytes) -> list[str]:
    """The names in a text that :func:`write_names` wrote, in the order of speaker ids.

    Raises:
        NotAVoice: a line isn't a number and a name, the numbers don't count from 0, or a name is doubled.
    """
    lines = text.decode("utf-8", "replace").split("\n")
    matches = [re.fullmatch(r"(\d{1,4}) +(\S.{0,99})", line.rstrip()) for line in lines if line.strip()]
    names = [match[2] for match in matches if match and raw.is_name(match[2])]
    counted = [int(match[1]) for match in matches if match] == list(range(len(matches)))
    if not counted or len(set(names)) < len(matches):
        raise NotAVoice(f"one whose {NAMES_ENDING} isn't a list of its speakers", _AGAIN)
    return names


def write_names(names: Iterable[str]) -> bytes:
    """A line of speaker id and name for each voice."""
    return "".join(f"{number} {name}\n" for number, name in enumerate(names)).encode()

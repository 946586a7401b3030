"""Opens a file of voices: tells its format by its bytes, bounds its size, and calls the format's module to read it.

``.bin`` is the ending of three formats, and of much else, so endings don't decide the format. An ending that stands for
one format must not lie, though: Kokoro's ``KPipeline`` takes whatever ends in ``.pt`` for torch's.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from kvw.errors import KvwError
from kvw.runtime.files import LFS_POINTER
from kvw.text import printable_line
from kvw.types import VOICE_SHAPE, Voice
from kvw.voices.formats import npy, npz, safetensors, sherpa, torch_zip
from kvw.voices.formats.raw import MAX_FILE, MAX_VOICES, VOICE_BYTES, NotAVoice

FETCH = "python -m kvw task=voices fetches Kokoro's"
_CLAIMS = {".pt": "torch's zip", ".npy": "NumPy's npy", ".npz": "NumPy's npz", ".safetensors": "the safetensors"}
_PACKS = {"npz": npz.MAX_BYTES, "raw": sherpa.MAX_BYTES}  # most bytes; a file of another format holds one voice
_HEAD = 1024  # bytes that tell a format


def read_voices(path: Path, name: str) -> dict[str, Voice]:
    """The voices of a file, which holds one or several, without running anything in it.

    Args:
        path: the file.
        name: the name of its voice, for a format that holds a single voice without a name.

    Returns:
        At least one voice by name, in the file's order; a concatenation without names has numbers for names.

    Raises:
        KvwError: there is no such file, or it isn't a regular one; it is too large; it has no known format, or another
            than its ending says; or the format's ``read`` refuses it.
    """
    form, data = _open(path)
    try:
        if form == "npz":
            return npz.read(data)
        if form == "raw":
            names = _speakers(path)
            return sherpa.read(data, [name] if names is None and len(data) == VOICE_BYTES else names)
        reader = {"pt": torch_zip, "npy": npy, "safetensors": safetensors}[form]
        return {name: reader.read(data)}
    except NotAVoice as refusal:
        raise refused(path, refusal.got, refusal.advice) from None
    except Exception as error:  # zipfile and pickletools share no class of error for damaged files
        raise refused(path, f"a damaged file ({error!r:.120})", "bring it again") from None


def metadata(path: Path) -> dict[str, Any]:
    """The facts about its voice in a ``.safetensors`` file.

    Raises:
        KvwError: as :func:`read_voices`, though the numbers are not looked at.
    """
    _, data = _open(path)
    try:
        return safetensors.facts(data)
    except NotAVoice as refusal:
        raise refused(path, refusal.got, refusal.advice) from None


def is_pack(path: Path) -> bool:
    """Whether a file has a format for several voices, even if it holds one."""
    if path.suffix != ".bin":
        return path.suffix == ".npz"
    if not path.is_file():
        return False
    form = format_of(path)
    concatenated = path.stat().st_size > VOICE_BYTES or path.with_suffix(sherpa.NAMES_ENDING).exists()
    return form == "npz" or (form == "raw" and concatenated)


def format_of(path: Path) -> str | None:
    """The format of a regular file, by its bytes: ``pt``, ``npy``, ``npz``, ``safetensors``, ``raw`` or None.

    Raises:
        ValueError: ``path`` is no regular file.
        OSError: the file can't be read.
    """
    with _regular(path) as file:
        return _format(file.read(_HEAD), os.fstat(file.fileno()).st_size)


def read_small(path: Path, limit: int) -> bytes:
    """The bytes of a regular file of at most ``limit`` bytes.

    Raises:
        ValueError: the file has more bytes, or is no regular file.
        OSError: the file can't be read.
    """
    with _regular(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"more than {limit:,} bytes")
    return data


def refused(path: Path, got: str, advice: str) -> KvwError:
    """The error about a file that is no voice, on one line."""
    return KvwError(f"{printable_line(path)}: expected a voice (one float32 {VOICE_SHAPE} array), got {got}; {advice}")


def _open(path: Path) -> tuple[str, bytes]:
    """The format and the bytes of a regular file, which is read once, so that the checked bytes are the ones used."""
    try:
        if not path.is_file():
            raise refused(path, "a folder" if path.is_dir() else "no such file", f"check the name; {FETCH}")
        with _regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(_HEAD)
            if head.startswith(LFS_POINTER):
                raise refused(path, "a Git LFS pointer, which stands for one", "git lfs pull fetches it")
            form = _format(head, size)
            _check_claim(path, form, size)
            _check_size(path, size, _PACKS.get(str(form), MAX_FILE))
            file.seek(0)
            return str(form), file.read(size)
    except (OSError, ValueError) as error:
        raise refused(path, f"one that can't be read ({error})", "check its permissions") from None


def _regular(path: Path) -> BinaryIO:
    """Open a regular file without ever waiting: a pipe may have taken its place since it was looked at.

    Raises:
        ValueError: ``path`` is no regular file.
        OSError: the file can't be read.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise ValueError("no regular file")
    return os.fdopen(handle, "rb")


def _format(head: bytes, size: int) -> str | None:
    """The format of a file of ``size`` bytes that begins with ``head``; None if unknown."""
    if head.startswith(b"PK\x03\x04"):
        first_member = head[30 : 30 + int.from_bytes(head[26:28], "little")]
        return "npz" if first_member.endswith(b".npy") else "pt"
    if head.startswith(npy.MAGIC):
        return "npy"
    if head[4:9] == b"\0\0\0\0{":
        return "safetensors"
    return "raw" if size and size % VOICE_BYTES == 0 else None


def _check_claim(path: Path, form: str | None, size: int) -> None:
    """Refuse a file of no known format, or of another format than its ending says."""
    claimed = _CLAIMS.get(path.suffix)
    if not size:
        raise refused(path, "an empty file", f"bring it again; {FETCH}")
    if claimed and form != path.suffix[1:]:
        advice = "name it after the format that it has, or bring it again"
        raise refused(path, f"a file that isn't {claimed} format", advice)
    if form is None:
        kinds = f"torch zip, npy, npz or safetensors, nor raw float32, of {VOICE_BYTES:,} bytes a voice"
        raise refused(path, f"{size:,} bytes that are no {kinds}", "bring it again")


def _check_size(path: Path, size: int, limit: int) -> None:
    if size > limit:
        advice = f"check that it is a voice, or a pack of at most {MAX_VOICES}, and not a model"
        raise refused(path, f"a file of more than {limit >> 20} MiB", advice)


def _speakers(path: Path) -> list[str] | None:
    """The names in the text beside a concatenation; None if there is no text."""
    beside = path.with_suffix(sherpa.NAMES_ENDING)
    return sherpa.read_names(read_small(beside, sherpa.MAX_NAMES)) if os.path.lexists(beside) else None

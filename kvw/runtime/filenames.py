"""File names that every file system accepts."""

from __future__ import annotations

import re
import unicodedata

from kvw.types import EMBEDDED

_RESERVED = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {
    f"{port}{n}" for port in ("COM", "LPT") for n in "0123456789¹²³"
}


def safe_stem(text: str) -> str:
    """Turn any text into the stem of a file name: ``"My voice: é/1"`` gives ``"My_voice_é_1"``; a safe stem stays.

    Returns:
        Letters (of any script), digits, ``_``, ``-`` and ``.``; 1 to 60 UTF-8 bytes; no dot or dash in front, no dot at
        the end, no name that Windows reserves, and no ``.embedded`` at the end, which would label a voice.
    """
    kept = (c if c in "_-." or unicodedata.category(c)[0] in "LMN" else " " for c in unicodedata.normalize("NFC", text))
    stem = "_".join("".join(kept).split()).lstrip(".-")
    if _is_reserved(stem):
        stem = f"_{stem}"
    stem = (
        stem.encode()[:60].decode(errors="ignore").rstrip(".")
    )  # a name has 255 at most, and some hold two stems and scores
    return re.sub(rf"\.{EMBEDDED}$", f"_{EMBEDDED}", stem) or "unnamed"


def is_portable(stem: str) -> bool:
    """Whether each file system takes ``stem`` as a name, with an ending of up to 18 bytes (``-1a2b3c4d.kvw.json``)."""
    fits = 0 < len(stem.encode("utf-8", "replace")) <= 255 - 18
    return fits and stem.isprintable() and not set('<>:"/\\|?*') & set(stem) and not _is_reserved(stem)


def _is_reserved(stem: str) -> bool:
    return stem.partition(".")[0].rstrip(" ").upper() in _RESERVED

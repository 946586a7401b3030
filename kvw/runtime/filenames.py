"""File names that every file system takes."""

from __future__ import annotations

import re
import unicodedata

from kvw.types import EMBEDDED

_RESERVED = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {
    f"{port}{n}" for port in ("COM", "LPT") for n in "0123456789¹²³"
}


def safe_stem(text: str) -> str:
    """Make a file name's stem of any text: ``"My voice: é/1"`` gives ``"My_voice_é_1"``; safe stems stay as they are.

    Returns:
        Letters (of any script), digits, ``_``, ``-`` and ``.``; 1 to 60 UTF-8 bytes; no dot or dash in front, no dot at
        the end, no name that Windows reserves, and no ``.embedded`` at the end, which would label a voice.
    """
    kept = (c if c in "_-." or unicodedata.category(c)[0] in "LMN" else " " for c in unicodedata.normalize("NFC", text))
    stem = "_".join("".join(kept).split()).lstrip(".-")
    if _is_reserved(stem):
        stem = f"_{stem}"
    stem = stem.encode()[:60].decode(errors="ignore").rstrip(".")  # two stems and scores fit 255, a name's limit
    return re.sub(rf"\.{EMBEDDED}$", f"_{EMBEDDED}", stem) or "unnamed"


def is_portable(stem: str) -> bool:
    """Whether every file system takes ``stem`` and an ending of up to 18 bytes (``-1a2b3c4d.kvw.json``) as a name."""
    fits = 0 < len(stem.encode("utf-8", "replace")) <= 255 - 18
    return fits and stem.isprintable() and not set('<>:"/\\|?*') & set(stem) and not _is_reserved(stem)


def _is_reserved(stem: str) -> bool:
    return stem.partition(".")[0].rstrip(" ").upper() in _RESERVED

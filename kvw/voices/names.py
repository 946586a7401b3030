"""Names of Kokoro voices: a language letter, a gender letter, ``_`` and the voice's own name, as in ``af_heart``.

Kokoro's servers read the language from the first letter and take ``+ - ( )`` for operators, so every voice that is
exported gets a name of this form. Kokoro-FastAPI, where it saves a voice itself, also wants single underscores, and
knows the letters a and b alone; it serves the voices of its folder in every language of Kokoro's.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

from kvw.errors import KvwError

LANGUAGES = {
    "a": "American English",
    "b": "British English",
    "e": "Spanish",
    "f": "French",
    "h": "Hindi",
    "i": "Italian",
    "j": "Japanese",
    "p": "Brazilian Portuguese",
    "z": "Mandarin Chinese",
}
"""Kokoro's languages by their letters."""

LETTERS = "".join(LANGUAGES)
"""The letters of Kokoro's languages."""

ENGLISH = "ab"
"""The letters of American and British English."""

_LONGEST = 60  # characters of a voice's own name
NAME = re.compile(rf"[{LETTERS}][fm]_(?=[a-z0-9_]{{1,{_LONGEST}}}\Z)[a-z0-9]+(_[a-z0-9]+)*")
GENDERS = ("f", "m")

STOCK = frozenset(
    f"{prefix}_{name}"
    for prefix, names in {
        "af": "alloy aoede bella heart jessica kore nicole nova river sarah sky",
        "am": "adam echo eric fenrir liam michael onyx puck santa",
        "bf": "alice emma isabella lily",
        "bm": "daniel fable george lewis",
        "ef": "dora",
        "em": "alex santa",
        "ff": "siwis",
        "hf": "alpha beta",
        "hm": "omega psi",
        "if": "sara",
        "im": "nicola",
        "jf": "alpha gongitsune nezumi tebukuro",
        "jm": "kumo",
        "pf": "dora",
        "pm": "alex santa",
        "zf": "xiaobei xiaoni xiaoxiao xiaoyi",
        "zm": "yunjian yunxi yunxia yunyang",
    }.items()
    for name in names.split()
)
"""The names of Kokoro's 54 stock voices, which are licensed under Apache-2.0."""


def is_kokoro_name(name: str) -> bool:
    """Whether Kokoro's servers accept ``name`` as the name of a voice."""
    return NAME.fullmatch(name) is not None


def folded(name: str) -> str:
    """``name`` in the characters that a voice's own name may have: ``"Élodie 2"`` gives ``elodie_2``.

    A name without any such character, as in Chinese, becomes ``voice_`` and six hex digits of the name's sha256.
    """
    plain = unicodedata.normalize("NFKD", name).casefold().encode("ascii", "ignore").decode()
    kept = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    return kept or f"voice_{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:6]}"


def kokoro_name(name: str, language: str, gender: str) -> str:
    """The name of a voice for Kokoro's servers.

    Args:
        name: any text.
        language: one of :data:`LETTERS`.
        gender: ``f`` or ``m``.

    Raises:
        KvwError: ``language`` is another text, which would become part of a path.
    """
    if language not in tuple(LETTERS):
        raise KvwError(f"language.letter: expected one of {', '.join(LETTERS)}; got {language!r:.80}")
    return f"{language}{gender}_{folded(name)[:_LONGEST].rstrip('_')}"

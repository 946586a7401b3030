"""Names of Kokoro voices: language letter, gender letter, ``_``, and the voice's own name, as in ``af_heart``.

Kokoro's servers read the language from the first letter and take ``+ - ( )`` for operators, so a voice that leaves kvw
has a name of this form.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

import numpy as np

from kvw.types import SAMPLE_RATE, KvwError, Wave

LETTERS = "abefhijpz"
"""Kokoro's languages."""

_LONGEST = 60  # characters of a voice's own name
NAME = re.compile(rf"[{LETTERS}][fm]_[a-z0-9_]{{1,{_LONGEST}}}")

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
"""Kokoro's 54 stock voices, which are Apache-2.0."""

PITCH_BOUNDARY = 157.0
"""Hz: the geometric mean of 119 and 207, the mean pitch of men and women in Traunmüller and Eriksson (1995), "The
frequency range of the voice fundamental in the speech of male and female adults"."""

_FRAME, _HOP = 2048, 480  # samples: 85 ms hold two periods of the lowest pitch; every 20 ms
_SECONDS = 30  # of a recording that are listened to


def is_kokoro_name(name: str) -> bool:
    """Whether a server takes ``name`` for a voice's."""
    return NAME.fullmatch(name) is not None


def folded(name: str) -> str:
    """``name`` in the letters that a voice's name may have: ``"Élodie 2"`` gives ``elodie_2``.

    A name that has none of them, as in Chinese, becomes ``voice_`` and six digits that stand for it.
    """
    plain = unicodedata.normalize("NFKD", name).casefold().encode("ascii", "ignore").decode()
    kept = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    return kept or f"voice_{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:6]}"


def kokoro_name(name: str, language: str, gender: str) -> str:
    """The name of a voice for Kokoro's servers.

    Args:
        name: any text.
        language: one of Kokoro's letters.
        gender: ``f`` or ``m``.

    Raises:
        KvwError: another letter, which would become part of a path.
    """
    if language not in tuple(LETTERS):
        raise KvwError(f"language.letter: expected one of {', '.join(LETTERS)}; got {language!r:.80}")
    return f"{language}{gender}_{folded(name)[:_LONGEST].rstrip('_')}"


def gender_of(wave: Wave) -> str:
    """Guesses a speaker's gender by pitch: ``f`` or ``m``.

    What counts is the lower quartile of the pitch, which a lively reader raises less than the median. Right for 9 of 9
    clips of five real speakers, for 61 of their 65 pieces of 2 s, and for 23 of the 24 embedded voices with a text of
    10 s; a question of 1 s tells less (17 of 24).

    Raises:
        KvwError: as :func:`low_pitch`.
    """
    return "f" if low_pitch(wave) > PITCH_BOUNDARY else "m"


def low_pitch(wave: Wave) -> float:
    """The lower quartile of the fundamental frequency, Hz in [60, 400], over the louder half of the frames.

    Args:
        wave: speech, float32 ``(samples,)`` at 24 kHz; of a longer one the first 30 s count.

    Raises:
        KvwError: the wave has no sound, or numbers that are none.
    """
    import librosa

    heard = wave[: _SECONDS * SAMPLE_RATE]
    if not len(heard) or not np.isfinite(heard).all() or not np.ptp(heard):
        raise KvwError("expected speech to tell a pitch of; got none")
    loudness = librosa.feature.rms(y=heard, frame_length=_FRAME, hop_length=_HOP)[0]
    pitch = librosa.yin(heard, fmin=60, fmax=400, sr=SAMPLE_RATE, frame_length=_FRAME, hop_length=_HOP)
    return float(np.percentile(pitch[loudness >= np.median(loudness)], 25))

"""Speaks texts with espeak-ng, each in its own child process (:mod:`kvw.speech.embedded.espeak_child`)."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import espeakng_loader
import numpy as np
from scipy.signal import resample_poly

from kvw.errors import KvwError
from kvw.types import SAMPLE_RATE, Wave

LANGUAGES = {
    "a": "en-us",
    "b": "en",  # British: espeak knows the language en-gb, but its voice is named en
    "e": "es",
    "f": "fr",
    "h": "hi",
    "i": "it",
    "j": "ja",
    "p": "pt-br",
    "z": "cmn",
}
"""espeak's voice for each of Kokoro's language letters."""

CHILD = Path(__file__).with_name("espeak_child.py")

TIMEOUT = 30
"""Timeout, in seconds, of the child process; 0.1 is usual."""

_MARGIN = SAMPLE_RATE // 20  # samples kept around the audible part
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")  # espeak takes \x01 for a command, and \x00 for the end of the text

# espeak silently drops what exceeds some 32 digits or 65 letters without a space
_UNBROKEN = re.compile(r"\d{24}(?=\d)"), re.compile(r"\S{60}(?=\S)")
_LANGUAGE_SWITCH = re.compile(r"\([a-z-]+\)|_")  # "(fr)" and "_" in espeak's IPA are marks, not phonemes


@dataclass(frozen=True)
class Speech:
    """A text spoken by espeak-ng.

    Attributes:
        phonemes: IPA with stress marks and spaces; empty where nothing is audible.
        wave: the audio, trimmed to 50 ms around what is audible; empty where nothing is.
    """

    phonemes: str
    wave: Wave


@lru_cache(maxsize=64)
def utter(text: str, voice: str) -> Speech:
    """Speaks ``text`` with the espeak voice ``voice``, the same bits each time. Markup in the text is read out.

    Raises:
        KvwError: espeak-ng is missing, crashed, does not know the voice, or took longer than :data:`TIMEOUT`.
    """
    library, data = espeak_files()
    command = [sys.executable, "-I", "-S", str(CHILD), str(library), ".", voice]
    try:
        child = subprocess.run(
            command,
            input=_cleaned(text).encode(errors="replace"),
            capture_output=True,
            timeout=TIMEOUT,
            cwd=data,
        )
    except subprocess.TimeoutExpired as error:
        raise _failed(text, f"timed out after {TIMEOUT} s") from error
    except OSError as error:
        raise _failed(text, str(error)) from error
    if child.returncode:
        message = child.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise _failed(text, f"status {child.returncode}, {message[-1]}")
    header, _, samples = child.stdout.partition(b"\n")
    audio = json.loads(header)
    common = math.gcd(SAMPLE_RATE, audio["rate"])
    raw = np.frombuffer(samples, np.int16) / 32768
    wave = resample_poly(raw, SAMPLE_RATE // common, audio["rate"] // common).astype(np.float32)
    audible = np.flatnonzero(np.abs(wave) > 1e-3)
    if not audible.size:
        return Speech("", wave[:0])
    phonemes = " ".join(_LANGUAGE_SWITCH.sub("", audio["ipa"]).split())
    return Speech(phonemes, wave[max(0, audible[0] - _MARGIN) : audible[-1] + _MARGIN].copy())


def espeak_files() -> tuple[Path, Path]:
    """Returns the paths of espeak-ng's library and of its data folder.

    Raises:
        KvwError: the library or the folder is missing.
    """
    paths = espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
    library, data = (Path(path).absolute() for path in paths)
    for path in (library, data):
        if not path.exists():
            raise KvwError(f"expected espeak-ng at {path}; there is nothing; reinstall the package espeakng_loader")
    return library, data


def _cleaned(text: str) -> str:
    """Returns ``text`` without control characters, and with spaces in words that are too long for espeak."""
    text = _CONTROL.sub(" ", text)
    for unbroken in _UNBROKEN:
        text = unbroken.sub(r"\g<0> ", text)
    return text


def _failed(text: str, reason: str) -> KvwError:
    return KvwError(
        f"expected espeak-ng to speak {text[:40]!r}; it failed ({reason}); try another text, or reinstall the "
        "package espeakng_loader"
    )

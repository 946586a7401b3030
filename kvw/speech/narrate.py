"""Speaks a text of any length, paragraph by paragraph."""

from __future__ import annotations

import re

import numpy as np

from kvw.errors import KvwError
from kvw.speech.synthesizer import Synthesizer
from kvw.types import SAMPLE_RATE, Voice, Wave

PARAGRAPH_PAUSE = 0.4
"""Seconds of silence between paragraphs, in addition to the silence around a synthesiser's waves."""


def check_speed(speed: float, key: str = "speed") -> None:
    """Refuses a factor on the rate of speech that is not in [0.5, 2].

    Raises:
        KvwError: ``key`` names what is wrong.
    """
    if not 0.5 <= speed <= 2:
        raise KvwError(f"{key}: expected a number from 0.5 to 2; got {speed:g}")


def narrate(speaker: Synthesizer, voice: Voice, text: str, seed: int, speed: float = 1.0) -> Wave:
    """Speaks a text, paragraph by paragraph, with a pause between them.

    Args:
        speaker: the voice's synthesiser.
        voice: float32 ``(510, 1, 256)``.
        text: of any length; an empty line ends a paragraph.
        seed: of the synthesiser's noise.
        speed: in [0.5, 2].

    Raises:
        KvwError: nothing in the text can be pronounced, or the voice's audio is empty or not finite.
    """
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text)]
    scripts = [speaker.script(part) for part in paragraphs if any(map(str.isalnum, part))] or [speaker.script(text)]
    pause = np.zeros(round(PARAGRAPH_PAUSE * SAMPLE_RATE / speed), np.float32)
    waves = []
    for script in scripts:
        (wave,) = speaker([voice], script, seed, speed)
        if not len(wave) or not np.isfinite(wave).all():
            result = "NaN" if len(wave) else "nothing"
            raise KvwError(f"{script.text[:40]!r}: expected audio; got {result}; use another voice")
        waves += [wave, pause]
    return np.concatenate(waves[:-1])

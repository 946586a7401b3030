"""Speaks a text of any length, paragraph by paragraph."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from kvw.errors import KvwError
from kvw.speech.segmentation import Unpronounceable, sentences
from kvw.speech.synthesizer import Script, Synthesizer
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
    scripts = [speaker.script(part) for part in _paragraphs(text)] or [speaker.script(text)]
    waves = []
    for script in scripts:
        waves += [_spoken(speaker, voice, script, seed, speed), _pause(speed)]
    return np.concatenate(waves[:-1])


def narrate_by_sentence(speaker: Synthesizer, voice: Voice, text: str, seed: int, speed: float = 1.0) -> Iterator[Wave]:
    """Speaks a text, one wave for each sentence, the pauses between paragraphs included: the first comes early.

    A sentence in which nothing can be pronounced is left out.

    Args:
        speaker: the voice's synthesiser.
        voice: float32 ``(510, 1, 256)``.
        text: of any length; an empty line ends a paragraph.
        seed: of the synthesiser's noise, the same for each sentence.
        speed: in [0.5, 2].

    Raises:
        KvwError: as :func:`narrate`.
    """
    heard = False
    for paragraph in _paragraphs(text):
        begins = heard
        for sentence in sentences(paragraph):
            try:
                script = speaker.script(sentence)
            except Unpronounceable:
                continue
            wave = _spoken(speaker, voice, script, seed, speed)
            yield np.concatenate([_pause(speed), wave]) if begins else wave
            heard, begins = True, False
    if not heard:
        speaker.script(text)  # says what is wrong with it
        raise Unpronounceable(f"text: expected words that can be pronounced; got {text[:40]!r}; give at least one word")


def _paragraphs(text: str) -> list[str]:
    """The paragraphs with words, each on one line."""
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text)]
    return [part for part in paragraphs if any(map(str.isalnum, part))]


def _pause(speed: float) -> Wave:
    return np.zeros(round(PARAGRAPH_PAUSE * SAMPLE_RATE / speed), np.float32)


def _spoken(speaker: Synthesizer, voice: Voice, script: Script, seed: int, speed: float) -> Wave:
    (wave,) = speaker([voice], script, seed, speed)
    if not len(wave) or not np.isfinite(wave).all():
        result = "NaN" if len(wave) else "nothing"
        raise KvwError(f"{script.text[:40]!r}: expected audio; got {result}; use another voice")
    return wave

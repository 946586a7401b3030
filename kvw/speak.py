"""``task=speak``: a text of any length in one voice, or in several to compare, as an audio file."""

from __future__ import annotations

import itertools
import logging
import re
from functools import cache, partial
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from kvw import audio, mix, voices
from kvw.config import build, pick_device, plain, several
from kvw.inputs import passage
from kvw.speech import Synthesizer, choice
from kvw.types import SAMPLE_RATE, KvwError, Voice, Wave, some_failed

log = logging.getLogger(__name__)

PARAGRAPH_PAUSE = 0.4
"""Seconds of silence between paragraphs, beside what the synthesiser leaves after a sentence."""


def speak(cfg: DictConfig, *, speed: float) -> float:
    """Speaks ``target_text`` in each voice of ``test_voice``; of several voices each gets a file with its name.

    Args:
        cfg: the config.
        speed: factor on the rate of speech, in [0.5, 2].

    Returns:
        seconds of audio that were written.

    Raises:
        KvwError: bad input; or some voices could not be spoken with: then the others were.
    """
    output = Path(cfg.output_name)
    if not 0.5 <= speed <= 2:
        raise KvwError(f"task.speed: expected a number from 0.5 to 2; got {speed:g}")
    if output.suffix.lower() not in audio.ENDINGS:
        raise KvwError(f"output_name: expected a name in {', '.join(audio.ENDINGS)}; got {cfg.output_name!r}")
    text = cfg.language.target_text if cfg.target_text is None else passage(cfg.target_text, "target_text")
    if not voices.is_portable(output.stem) or "\0" in str(output):
        raise KvwError(f"output_name: expected a name that every system takes; got {cfg.output_name!r:.80}")
    named = chosen_voices(cfg)
    alone = len(named) == 1
    output.parent.mkdir(parents=True, exist_ok=True)
    speaker = cache(partial(synthesizer, cfg))
    seconds, failed, taken = 0.0, [], set[str]()
    for voice in named:
        stem = voices.safe_stem(voice.name)
        names = (f"{stem}-{number}" if number > 1 else stem for number in itertools.count(1))
        name = next(name for name in names if name.casefold() not in taken)  # every run's voice is called best
        taken.add(name.casefold())
        path = output if alone else output.with_stem(f"{output.stem}_{name}")
        try:
            wave = narrate(speaker(voice.synthesizer), voice.voice, text, cfg.seed, speed)
            audio.write(path, wave)
        except KvwError as error:
            if alone:
                raise
            log.error("%s: %s", voice.name, error)
            failed.append(voice.name)
        else:
            seconds += len(wave) / SAMPLE_RATE
            where = voice.path or voice.name
            log.info("%s: %.1f s in %s's voice %s", path, len(wave) / SAMPLE_RATE, voice.synthesizer, where)
    if failed:
        raise some_failed(failed, len(named), "voices")
    return seconds


def chosen_voices(cfg: DictConfig) -> list[mix.Named]:
    """The voices that ``test_voice`` names, at least one.

    Raises:
        KvwError: it names none, or one that is not there.
    """
    given = several(cfg.test_voice)
    if not any(given):
        raise KvwError("test_voice: expected a voice file, a voice's name or a blend; got none; give test_voice=VOICE")
    return mix.read_all(list(map(str, given)), Path(cfg.voices_folder))


def synthesizer(cfg: DictConfig, owner: str) -> Synthesizer:
    """The synthesiser that a voice of ``owner`` belongs to.

    Raises:
        KvwError: the config chooses another one, or its files are missing.
    """
    node = choice.of_owner(plain(cfg.synth), owner)
    made: Synthesizer = build(node, "synth", device=pick_device(cfg.device), language=cfg.language.letter)
    return made


def narrate(speaker: Synthesizer, voice: Voice, text: str, seed: int, speed: float = 1.0) -> Wave:
    """Speaks a text, paragraph by paragraph, with a pause between them.

    Args:
        speaker: the voice's synthesiser.
        voice: float32 ``(510, 1, 256)``.
        text: of any length; an empty line ends a paragraph.
        seed: of the synthesiser's noise.
        speed: in [0.5, 2].

    Raises:
        KvwError: nothing in the text can be pronounced, or what the voice says is no audio.
    """
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text)]
    scripts = [speaker.script(part) for part in paragraphs if any(map(str.isalnum, part))] or [speaker.script(text)]
    pause = np.zeros(round(PARAGRAPH_PAUSE * SAMPLE_RATE / speed), np.float32)
    waves = []
    for script in scripts:
        (wave,) = speaker([voice], script, seed, speed)
        if not len(wave) or not np.isfinite(wave).all():
            came = "NaN" if len(wave) else "nothing"
            raise KvwError(f"{script.text[:40]!r}: expected audio; got {came}; the voice is a bad one")
        waves += [wave, pause]
    return np.concatenate(waves[:-1])

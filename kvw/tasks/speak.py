"""``task=speak``: writes a text of any length as audio in one voice, or in several to compare."""

from __future__ import annotations

import itertools
import logging
from functools import cache, partial
from pathlib import Path

from omegaconf import DictConfig

from kvw.audio.write import ENDINGS, write_audio
from kvw.config.inputs import passage
from kvw.config.invocation import Invocation
from kvw.config.nodes import build
from kvw.config.schema import plain, several
from kvw.errors import KvwError, some_failed
from kvw.runtime.environment import pick_device
from kvw.runtime.filenames import is_portable, safe_stem
from kvw.speech import select
from kvw.speech.narrate import check_speed, narrate
from kvw.speech.synthesizer import Synthesizer
from kvw.types import SAMPLE_RATE
from kvw.voices.reference import NamedVoice, language_remark, resolve_all

log = logging.getLogger(__name__)


def speak(invocation: Invocation, *, speed: float) -> float:
    """Speaks ``target_text`` in each voice of ``test_voice``; each of several voices gets a file with its name.

    Args:
        invocation: of which the config counts.
        speed: factor on the rate of speech, in [0.5, 2].

    Returns:
        seconds of audio that were written.

    Raises:
        KvwError: bad input; or some voices failed, after the others were written.
    """
    cfg = invocation.cfg
    output = Path(cfg.output_name)
    check_speed(speed, "task.speed")
    if output.suffix.lower() not in ENDINGS:
        raise KvwError(f"output_name: expected a name in {', '.join(ENDINGS)}; got {cfg.output_name!r}")
    text = spoken_text(cfg)
    if not is_portable(output.stem) or "\0" in str(output):
        raise KvwError(f"output_name: expected a name that every system takes; got {cfg.output_name!r:.80}")
    named = chosen_voices(cfg)
    if remark := language_remark(named, cfg.language.letter):
        log.warning("%s", remark)
    alone = len(named) == 1
    output.parent.mkdir(parents=True, exist_ok=True)
    speaker = cache(partial(synthesizer, cfg))
    seconds, failed, taken = 0.0, [], set[str]()
    for voice in named:
        stem = safe_stem(voice.name)
        names = (f"{stem}-{number}" if number > 1 else stem for number in itertools.count(1))
        name = next(name for name in names if name.casefold() not in taken)  # every run's voice is called best
        taken.add(name.casefold())
        path = output if alone else output.with_stem(f"{output.stem}_{name}")
        try:
            wave = narrate(speaker(voice.synthesizer), voice.voice, text, cfg.seed, speed)
            write_audio(path, wave)
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


def spoken_text(cfg: DictConfig) -> str:
    """What ``target_text`` says, or the language's own text.

    Raises:
        KvwError: as :func:`kvw.config.inputs.passage`.
    """
    return str(cfg.language.target_text) if cfg.target_text is None else passage(cfg.target_text, "target_text")


def chosen_voices(cfg: DictConfig) -> list[NamedVoice]:
    """The voices that ``test_voice`` names, at least one.

    Raises:
        KvwError: the key names no voice, or one that doesn't exist.
    """
    given = several(cfg.test_voice)
    if not any(given):
        raise KvwError("test_voice: expected a voice file, a voice's name or a blend; got none; give test_voice=VOICE")
    return resolve_all(list(map(str, given)), Path(cfg.voices_folder), select.embedded_voices)


def synthesizer(cfg: DictConfig, owner: str) -> Synthesizer:
    """The synthesiser that a voice of ``owner`` belongs to.

    Raises:
        KvwError: the config chooses another one, or its files are missing.
    """
    node = select.of_owner(plain(cfg.synth), owner)
    made: Synthesizer = build(node, "synth", device=pick_device(cfg.device), language=cfg.language.letter)
    return made

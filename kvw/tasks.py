"""The tasks that have no module of their own. A task is any function that takes the config and returns a float."""

from __future__ import annotations

import itertools
import logging
import textwrap
from pathlib import Path

from hydra import compose
from omegaconf import DictConfig

from kvw import composition, hub
from kvw.config import maker, plain
from kvw.inputs import read_inputs
from kvw.speech import opening
from kvw.target import Target
from kvw.types import SAMPLE_RATE, some_failed

log = logging.getLogger(__name__)

MOST = 400
"""Characters of a transcript that a search speaks: every candidate speaks them."""

MOST_SECONDS = 25.0
"""In which they are said; recordings beyond are not transcribed."""

DENSE, MOST_DENSE = ("j", "z"), 130
"""Languages that say more in a character, and as many seconds of theirs."""


def voices(cfg: DictConfig) -> float:
    """Fetches Kokoro's stock voices into ``voice_folder``.

    Returns:
        how many are there.

    Raises:
        KvwError: the hub can't be reached, or some voices failed.
    """
    folder = Path(cfg.voices_folder)
    present, failed = hub.fetch_voices(folder)
    if failed:
        raise some_failed(failed, present + len(failed), "voices", "; run it again to go on")
    log.info("%d stock voices are in %s", present, folder)
    return float(present)


def search(cfg: DictConfig) -> float:
    """Evolves a voice: see :func:`kvw.run.run`; or goes on with it: :func:`kvw.resume.resume`."""
    if cfg.resume:
        from kvw.resume import resume

        return resume(cfg)
    inputs = read_inputs(cfg)  # before torch is imported: most mistakes are found within a second
    if cfg.transcribe_start:
        transcribe(cfg, inputs.target)
        inputs = read_inputs(cfg, inputs.target)
    from kvw.run import run

    return run(cfg, inputs)


def transcribe(cfg: DictConfig, target: Target) -> None:
    """Sets ``target_text`` to what the target's first recordings say, and the language to that which is heard.

    A language that the command line asks for stays.

    Raises:
        KvwError: a recording can't be read, no words are heard in it, or there is no transcriber.
    """
    from kvw import texts

    folder = Path(cfg.texts_folder)
    texts.make_writable(folder)
    seconds = itertools.accumulate(len(target.recordings[path]) / SAMPLE_RATE for path in target.searched)
    needed = [Path(path) for path, heard in zip(target.searched, [0.0, *seconds], strict=False) if heard < MOST_SECONDS]
    words, letter = texts.words_of(needed, folder, maker(plain(cfg.transcriber), "transcriber"))
    if cfg.target_text is not None:
        log.warning("target_text is replaced by what the recording says, as transcribe_start=true asks for")
    cfg.target_text = opening(words, MOST_DENSE if letter in DENSE else MOST)
    if cfg.target_text != words:
        begins = textwrap.shorten(cfg.target_text, 80, placeholder=" ...")
        log.info("The search speaks the first sentences of it: %s", begins)
    if letter is None or letter == cfg.language.letter or (letter == "a" and cfg.language.letter == "b"):
        return
    if composition.asked("language"):
        log.warning("language=%s is asked for; what is heard is language=%s", cfg.language.letter, letter)
        return
    log.info("language=%s is heard, and taken", letter)
    cfg.language = compose("kvw", overrides=[f"language={letter}"]).language

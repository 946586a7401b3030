"""What ``task=`` can name. A task wires parts together and calls one function; it takes the config, returns a float."""

from __future__ import annotations

import logging
import textwrap
from pathlib import Path

from hydra import compose
from omegaconf import DictConfig

from kvw import composition, hub
from kvw.config import maker, plain
from kvw.inputs import DEMO, read_inputs
from kvw.speech import opening
from kvw.types import EXIT_ITEMS_FAILED, KvwError

log = logging.getLogger(__name__)

MOST = 400
"""Characters of a transcript that a search speaks, some 25 s: every candidate speaks them."""

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
        raise KvwError(
            f"{len(failed)} of {present + len(failed)} voices failed: {', '.join(failed)}; run it again to go on",
            EXIT_ITEMS_FAILED,
        )
    log.info("%d stock voices are in %s", present, folder)
    return float(present)


def search(cfg: DictConfig) -> float:
    """Evolves a voice: see :func:`kvw.run.run`."""
    if cfg.transcribe_start:
        transcribe(cfg)
    inputs = read_inputs(cfg)  # before torch is imported: most mistakes are found within a second
    from kvw.run import run

    return run(cfg, inputs)


def transcribe(cfg: DictConfig) -> None:
    """Sets ``target_text`` to what the target recording says, and the language to that which is heard.

    A language that the command line asks for stays.

    Raises:
        KvwError: the recording can't be read, no words are heard in it, or there is no transcriber.
    """
    from kvw import texts

    folder = Path(cfg.texts_folder)
    texts.make_writable(folder)
    recordings = texts.recordings_in(cfg.target_audio or DEMO)
    words, letter = texts.words_of(recordings, folder, maker(plain(cfg.transcriber), "transcriber"))
    cfg.target_text = opening(words, MOST_DENSE if letter in DENSE else MOST)
    if cfg.target_text != words:
        log.info(
            "The search speaks the first sentences of it: %s", textwrap.shorten(cfg.target_text, 80, placeholder=" ...")
        )
    if letter is None or letter == cfg.language.letter or (letter == "a" and cfg.language.letter == "b"):
        return
    if composition.asked("language"):
        log.warning("language=%s is asked for; what is heard is language=%s", cfg.language.letter, letter)
        return
    log.info("language=%s is heard, and taken", letter)
    cfg.language = compose("kvw", overrides=[f"language={letter}"]).language

"""``task=transcribe_many``, and ``transcribe_start`` of a search: what recordings say becomes text."""

from __future__ import annotations

import functools
import itertools
import logging
import textwrap
from pathlib import Path
from typing import Any

from kvw.audio.recordings import in_folder
from kvw.audio.target import Target
from kvw.config.invocation import Invocation, compose
from kvw.config.nodes import maker
from kvw.config.schema import plain, several
from kvw.errors import KvwError, some_failed
from kvw.speech.segmentation import opening
from kvw.transcription.transcripts import make_writable, transcript_of
from kvw.transcription.whisper import Transcriber
from kvw.types import SAMPLE_RATE

log = logging.getLogger(__name__)

MOST = 400
"""Characters of a transcript that a search speaks: every candidate speaks them."""

MOST_SECONDS = 25.0
"""In which they are said; recordings beyond are not transcribed."""

DENSE, MOST_DENSE = ("j", "z"), 130
"""Languages that say more in a character, and as many seconds of theirs."""


def transcribe(invocation: Invocation, target: Target) -> None:
    """Sets ``target_text`` to the words of the target's first recordings, and ``language`` to the one that is heard.

    A language that the command line asks for is kept.

    Raises:
        KvwError: a recording can't be read, no words are heard in it, or there is no transcriber.
    """
    cfg = invocation.cfg
    from kvw.transcription.transcripts import make_writable, words_of

    folder = Path(cfg.texts_folder)
    make_writable(folder)
    seconds = itertools.accumulate(len(target.recordings[path]) / SAMPLE_RATE for path in target.searched)
    needed = [Path(path) for path, heard in zip(target.searched, [0.0, *seconds], strict=False) if heard < MOST_SECONDS]
    words, letter = words_of(needed, folder, maker(plain(cfg.transcriber), "transcriber"))
    if cfg.target_text is not None:
        log.warning("target_text is replaced by what the recording says, as transcribe_start=true asks for")
    cfg.target_text = opening(words, MOST_DENSE if letter in DENSE else MOST)
    if cfg.target_text != words:
        begins = textwrap.shorten(cfg.target_text, 80, placeholder=" ...")
        log.info("The search speaks the first sentences of it: %s", begins)
    if letter is None or letter == cfg.language.letter or (letter == "a" and cfg.language.letter == "b"):
        return
    if invocation.asked("language"):
        log.warning("language=%s is asked for; what is heard is language=%s", cfg.language.letter, letter)
        return
    log.info("language=%s is heard, and taken", letter)
    cfg.language = compose(f"language={letter}").cfg.language


class Unavailable(KvwError):
    """The transcriber can't be made: no recording is at fault, and every further one would fail as well."""


def transcribe_many(invocation: Invocation) -> float:
    """Transcribes ``target_audio``, a recording or a folder of them, into ``texts_folder``; skips finished ones.

    Returns:
        how many texts are there.

    Raises:
        KvwError: there are no recordings, no transcriber, or ``texts_folder`` can't be written; or some recordings
            failed, after the others were transcribed.
    """
    cfg = invocation.cfg
    recordings = recordings_in(cfg.target_audio)
    folder = Path(cfg.texts_folder)
    make_writable(folder)
    make = maker(plain(cfg.transcriber), "transcriber")

    @functools.cache
    def transcriber() -> Transcriber:
        try:
            made: Transcriber = make()
        except KvwError as error:
            raise Unavailable(str(error)) from error
        return made

    failed: list[str] = []
    for number, recording in enumerate(recordings, start=1):
        log.info("%d of %d: %s", number, len(recordings), recording)
        try:
            transcript_of(recording, folder, transcriber)
        except Unavailable:
            raise
        except KvwError as error:
            log.error("%s", error)
            failed.append(recording.name)
    done = len(recordings) - len(failed)
    if failed:
        raise some_failed(failed, len(recordings), "recordings", "; the others are done")
    log.info("Texts in %s: %d", folder, done)
    return float(done)


def recordings_in(given: Any) -> list[Path]:
    """The recordings that ``target_audio`` names: a file, a folder of files, or a list of those; each once.

    Returns:
        at least one; those of a folder by name.

    Raises:
        KvwError: nothing is named, there is nothing of that name, or a folder has no recording.
    """
    named = several(given)
    if not named or not all(named):
        raise KvwError(
            "target_audio: expected a recording or a folder of recordings; got nothing; give target_audio=PATH"
        )
    found: list[Path] = []
    for path in map(Path, named):
        if not path.exists():
            raise KvwError(f"target_audio: expected a recording or a folder of recordings; {path} is not there")
        found += in_folder(path)[0] if path.is_dir() else [path]
    return list(dict.fromkeys(found))

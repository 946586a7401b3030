"""The folder of the texts: what recordings say, kept. Read :func:`transcript_of` first.

A text that is there is kept and used, corrected or not, and never overwritten. The ``.kvw.json`` beside it has the
digest of its recording: two recordings of one name, or one that was recorded again, have a text each. A text without a
``.kvw.json`` was typed by someone, and is that of any recording of its name.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import logging
import os
import tempfile
import textwrap
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kvw.audio.decode import decode_file
from kvw.errors import KvwError
from kvw.runtime.filenames import is_portable, safe_stem
from kvw.runtime.files import write_whole
from kvw.transcription.whisper import Transcriber, Transcript

log = logging.getLogger(__name__)

RECORD = ".kvw.json"
"""The ending of what kvw writes beside a text: a corpus often has a ``.json`` of its own beside a recording."""


def transcript_of(recording: Path, folder: Path, transcriber: Callable[[], Transcriber]) -> Transcript:
    """What a recording says: the text that is in ``folder``, or else what is heard, which is written there.

    Args:
        recording: audio of any format.
        folder: of the texts; it is made where it is missing.
        transcriber: gives the transcriber; called only where there is no text.

    Raises:
        KvwError: the recording can't be read, or no words are heard in it; its text is empty or not UTF-8; ``folder``
            can't be written.
    """
    digest = file_digest(recording)
    path = transcript_path(recording.stem, digest, folder)
    if path.exists():
        transcript = read_transcript(path)
        told = "is kept, delete it to transcribe again"
    else:
        wave = decode_file(recording)
        make_writable(folder)
        transcript = transcriber()(wave)
        if not transcript.text:
            raise KvwError(f"{recording}: expected speech; no words were heard; listen to it, or type them into {path}")
        write_transcript(path, transcript, recording.name, digest)
        told = "is written"
    log.info("%s %s: %s", path, told, textwrap.shorten(transcript.text, 80, placeholder=" ..."))
    if transcript.language and not transcript.letter:
        log.warning("%s: Kokoro does not speak its language, %s", recording.name, transcript.language)
    return transcript


def words_of(recordings: Sequence[Path], folder: Path, make: Callable[[], Transcriber]) -> tuple[str, str | None]:
    """What recordings of one speaker say, one after the other, and Kokoro's letter for the language of most of them.

    Args:
        recordings: audio of any format, at least one.
        folder: of the texts.
        make: makes the transcriber; called at most once, and not where every text is there.

    Returns:
        the words on one line; the letter, or None where no text has a language that is known and Kokoro's.

    Raises:
        KvwError: as :func:`transcript_of`, for the first recording that fails.
    """
    once = functools.cache(make)
    heard = [transcript_of(recording, folder, once) for recording in recordings]
    letters = Counter(transcript.letter for transcript in heard if transcript.letter).most_common()
    if len(letters) > 1:
        counts = ", ".join(f"{letter} {count}" for letter, count in letters)
        log.warning("The recordings are in several languages (%s); %s is taken", counts, letters[0][0])
    return " ".join(transcript.text for transcript in heard), letters[0][0] if letters else None


def make_writable(folder: Path) -> None:
    """Makes the folder of the texts.

    Raises:
        KvwError: it can't be made, or no file in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        came = f"{folder}: {error.strerror}"
        raise KvwError(f"texts_folder: expected a folder to write texts to; {came}; give another one") from error


def file_digest(recording: Path) -> str:
    """SHA-256 of a file's bytes, in hex.

    Raises:
        KvwError: it can't be read.
    """
    digest = hashlib.sha256()
    try:
        if not recording.is_file():  # a pipe would wait for ever
            raise FileNotFoundError(errno.ENOENT, "no such file")
        with recording.open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    except OSError as error:
        raise KvwError(f"{recording}: expected a recording; {error.strerror}; check the path") from error
    return digest.hexdigest()


def transcript_path(stem: str, digest: str, folder: Path) -> Path:
    """Where the text of a recording is or belongs: ``STEM.txt``, with its digest where that is another one's.

    A stem that not every file system takes is mended, unless its text is there already.
    """
    if not is_portable(stem) and ("/" in stem or not os.path.lexists(folder / f"{stem}.txt")):
        stem = safe_stem(stem)
    plainly, own = folder / f"{stem}.txt", folder / f"{stem}-{digest[:8]}.txt"
    others = plainly.exists() and transcript_facts(plainly).get("sha256", digest) != digest
    return own if others or own.exists() else plainly


def transcript_facts(path: Path) -> dict[str, Any]:
    """What kvw wrote beside a text; nothing where the text is not kvw's."""
    try:
        found = json.loads(path.with_suffix(RECORD).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def read_transcript(path: Path) -> Transcript:
    """A text that is there.

    Raises:
        KvwError: it has no words, or is not UTF-8.
    """
    try:
        text = " ".join(path.read_text("utf-8-sig").split())
    except (OSError, UnicodeDecodeError) as error:
        raise KvwError(f"{path}: expected text in UTF-8; {error}; save it as UTF-8, or delete it") from error
    if not text:
        raise KvwError(f"{path}: expected the words of a recording; it is empty; type them, or delete it")
    language = transcript_facts(path).get("language")
    return Transcript(text, language if isinstance(language, str) else None)


def write_transcript(path: Path, transcript: Transcript, recording: str, digest: str) -> None:
    """Writes a text and its ``.kvw.json``, that one first: without it the text would be one that someone typed."""
    record = {
        "recording": recording,
        "sha256": digest,
        "language": transcript.language,
        "probability": transcript.probability,
    }
    write_whole(path.with_suffix(RECORD), f"{json.dumps(record, indent=2)}\n".encode())
    write_whole(path, f"{transcript.text}\n".encode())

"""The folder of recordings' texts. Read :func:`transcript_of` first.

A text in the folder is used, whether a user has corrected it or not, and never overwritten. The ``.kvw.json`` beside
it has the digest of the recording: two recordings of one name, or a recording that was made again, have a text each. A
text without a ``.kvw.json`` was typed by a user, and belongs to any recording of its name.
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
"""The ending of the file beside a text that kvw wrote: a corpus often has a ``.json`` of its own there."""


def transcript_of(recording: Path, folder: Path, transcriber: Callable[[], Transcriber]) -> Transcript:
    """The transcript of a recording: its text in ``folder``, or else the transcriber's, which is written there.

    Args:
        recording: audio of any format.
        folder: of the texts; it is made if it is missing.
        transcriber: makes the transcriber; called only if there is no text.

    Raises:
        KvwError: the recording can't be read, or no words are heard in it; its text is empty or not UTF-8; ``folder``
            can't be written.
    """
    digest = file_digest(recording)
    path = transcript_path(recording.stem, digest, folder)
    if path.exists():
        transcript = read_transcript(path)
        action = "is kept, delete it to transcribe again"
    else:
        wave = decode_file(recording)
        make_writable(folder)
        transcript = transcriber()(wave)
        if not transcript.text:
            raise KvwError(f"{recording}: expected speech; no words were heard; listen to it, or type them into {path}")
        write_transcript(path, transcript, recording.name, digest)
        action = "is written"
    log.info("%s %s: %s", path, action, textwrap.shorten(transcript.text, 80, placeholder=" ..."))
    if transcript.language and not transcript.letter:
        log.warning("%s: Kokoro does not speak its language, %s", recording.name, transcript.language)
    return transcript


def words_of(recordings: Sequence[Path], folder: Path, make: Callable[[], Transcriber]) -> tuple[str, str | None]:
    """The words of recordings of a speaker, one after the other, and Kokoro's letter for the language of most of them.

    Args:
        recordings: audio of any format, at least one.
        folder: of the texts.
        make: makes the transcriber; called at most once, and only if a recording has no text.

    Returns:
        the words on one line; the letter, or None where no text has a known language that Kokoro speaks.

    Raises:
        KvwError: as :func:`transcript_of`, for the first recording that fails.
    """
    once = functools.cache(make)
    transcripts = [transcript_of(recording, folder, once) for recording in recordings]
    letters = Counter(transcript.letter for transcript in transcripts if transcript.letter).most_common()
    if len(letters) > 1:
        counts = ", ".join(f"{letter} {count}" for letter, count in letters)
        log.warning("The recordings are in several languages (%s); %s is taken", counts, letters[0][0])
    return " ".join(transcript.text for transcript in transcripts), letters[0][0] if letters else None


def make_writable(folder: Path) -> None:
    """Makes the folder of the texts, and checks that files can be written there.

    Raises:
        KvwError: the folder, or a file in it, can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise KvwError(
            f"texts_folder: expected a folder to write texts to; {folder}: {error.strerror}; give another folder"
        ) from error


def file_digest(recording: Path) -> str:
    """SHA-256 of a file's bytes, in hex.

    Raises:
        KvwError: the file can't be read.
    """
    digest = hashlib.sha256()
    try:
        if not recording.is_file():  # reading a pipe would wait for ever
            raise FileNotFoundError(errno.ENOENT, "no such file")
        with recording.open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    except OSError as error:
        raise KvwError(f"{recording}: expected a recording; {error.strerror}; check the path") from error
    return digest.hexdigest()


def transcript_path(stem: str, digest: str, folder: Path) -> Path:
    """The path of a recording's text: ``STEM.txt``, or ``STEM-DIGEST.txt`` if another recording has the former.

    A stem that is not valid on every file system is replaced by a valid one, unless its text exists already.
    """
    if not is_portable(stem) and ("/" in stem or not os.path.lexists(folder / f"{stem}.txt")):
        stem = safe_stem(stem)
    plain, unique = folder / f"{stem}.txt", folder / f"{stem}-{digest[:8]}.txt"
    taken = plain.exists() and transcript_facts(plain).get("sha256", digest) != digest
    return unique if taken or unique.exists() else plain


def transcript_facts(path: Path) -> dict[str, Any]:
    """The content of a text's ``.kvw.json``; empty where there is none that can be read."""
    try:
        facts = json.loads(path.with_suffix(RECORD).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def read_transcript(path: Path) -> Transcript:
    """Reads a text and its language.

    Raises:
        KvwError: the text has no words, or is not UTF-8.
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
    """Writes a text's ``.kvw.json``, then the text: a text without the former would seem to be typed by a user."""
    record = {
        "recording": recording,
        "sha256": digest,
        "language": transcript.language,
        "probability": transcript.probability,
    }
    write_whole(path.with_suffix(RECORD), f"{json.dumps(record, indent=2)}\n".encode())
    write_whole(path, f"{transcript.text}\n".encode())

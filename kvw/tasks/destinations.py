"""Destinations of exported voices: a folder with a file for each voice, or a pack that holds all of them.

Read :class:`Destination` first; :func:`destinations` makes them.
"""

from __future__ import annotations

import getpass
import hashlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock

from kvw.errors import KvwError
from kvw.runtime.files import write_whole
from kvw.types import Voice
from kvw.voices.files import load_pack, load_voice, save_voice
from kvw.voices.formats import files, npy, npz, raw, safetensors, sherpa

log = logging.getLogger(__name__)
Writer = Callable[[Path, Voice, Mapping[str, Any]], None]

SINGLE: dict[str, tuple[str, Writer]] = {
    "pt": (".pt", save_voice),
    "fastapi": (".pt", save_voice),
    "npy": (".npy", lambda path, voice, facts: write_whole(path, npy.write(voice))),
    "kokoro_js": (".bin", lambda path, voice, facts: write_whole(path, raw.write_bare(voice))),
    "safetensors": (".safetensors", lambda path, voice, facts: write_whole(path, safetensors.write(voice, facts))),
}
"""Formats with a file for each voice: its ending, and what writes it."""

PACKS = {"npz": "voices.bin", "sherpa": "voices.sherpa.bin"}
"""Formats with one file for all voices: its name."""


class Destination(Protocol):
    """Takes the voices of one export in one format."""

    path: Path

    def held(self, name: str) -> Voice | None:
        """The voice that this destination holds by this name; None where it holds none.

        Raises:
            KvwError: a file of another kind has that name.
        """

    def put(self, name: str, voice: Voice, facts: Mapping[str, Any]) -> None:
        """Adds a voice, or writes over the one of its name.

        Raises:
            KvwError: the destination is full.
            ValueError: the format can't hold the voice.
        """

    def close(self) -> None:
        """Writes voices that are not written yet, and logs what was written."""


class FolderDestination:
    """A folder with a file for each voice.

    Args:
        path: of the folder; it is made.
        form: of :data:`SINGLE`.
    """

    def __init__(self, path: Path, form: str) -> None:
        self.path, self.form, self.count = path, form, 0
        self.ending, self._write = SINGLE[form]
        path.mkdir(parents=True, exist_ok=True)

    def held(self, name: str) -> Voice | None:
        """Reads the file of that name."""
        file = self._file(name)
        if self.ending == ".pt" and not file.exists() and (beside := file.with_suffix(".json")).exists():
            raise KvwError(f"{beside}: expected no such file, as {file.name} would get a record there; move it away")
        return load_voice(file) if file.exists() else None

    def put(self, name: str, voice: Voice, facts: Mapping[str, Any]) -> None:
        """Writes the file at once."""
        self._write(self._file(name), voice, facts)
        self.count += 1

    def close(self) -> None:
        """Says what was written."""
        log.info("%s: %d new files (%s)", self.path / f"*{self.ending}", self.count, self.form)
        if self.form == "fastapi":
            log.info(
                "Kokoro-FastAPI serves them from its folder api/src/voices/v1_0 (VOICES_DIR) without a restart, and "
                "reads a text in the language that a name's first letter stands for"
            )

    def _file(self, name: str) -> Path:
        return self.path / f"{name}{self.ending}"


class PackDestination:
    """A file of several voices, written when the destination is closed.

    Args:
        path: of the file; voices of an existing pack are kept, and new ones come after them.
        form: of :data:`PACKS`.

    Raises:
        KvwError: the file exists and is no pack of that format.
    """

    def __init__(self, path: Path, form: str) -> None:
        self.path, self.form, self.new = path, form, 0
        self.voices: dict[str, Voice] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            if files.format_of(path) != {"npz": "npz", "sherpa": "raw"}[form]:
                raise KvwError(
                    f"{path}: expected a pack of the format {form} to add to; got another; give task.out=FILE"
                )
            self.voices = load_pack(path)

    def held(self, name: str) -> Voice | None:
        """Looks among its own and the new ones."""
        return self.voices.get(name)

    def put(self, name: str, voice: Voice, facts: Mapping[str, Any]) -> None:
        """Keeps the voice until the pack is closed."""
        if len(self.voices) >= raw.MAX_VOICES and name not in self.voices:
            raise KvwError(f"{self.path}: expected at most {raw.MAX_VOICES} voices; got more; give task.out=FILE")
        self.voices[name] = voice
        self.new += 1

    def close(self) -> None:
        """Writes the pack if it has new voices."""
        if self.new:
            self._write()
        log.info("%s: %d voices, %d of them written now (%s)", self.path, len(self.voices), self.new, self.form)
        if self.form == "sherpa":
            log.info("sherpa-onnx takes it with a model whose metadata say n_speakers=%d", len(self.voices))

    def _write(self) -> None:
        if self.form == "npz":
            return write_whole(self.path, npz.write(self.voices))
        content = sherpa.write(self.voices)
        write_whole(self.path.with_suffix(sherpa.NAMES_ENDING), sherpa.write_names(self.voices))
        return write_whole(self.path, content)


@contextmanager
def destinations(formats: Sequence[str], out: Path) -> Iterator[list[Destination]]:
    """The destinations of ``formats``; missing folders are made.

    They are closed at the end of the block, unless it raises. Another process that exports into the folder waits until
    then: two that read a pack and write it would lose the voices of one.

    Args:
        formats: of :data:`SINGLE` and :data:`PACKS`.
        out: a folder; or, by its ending, the file of a pack, in whose folder the other formats go.

    Raises:
        KvwError: ``out`` is a file and ``formats`` has no pack or several; or the file exists and is no such pack.
    """
    packs = [form for form in formats if form in PACKS]
    is_file = out.suffix in (".bin", ".npz") and not out.is_dir()
    if is_file and (len(packs) != 1 or (out.suffix == ".npz" and packs != ["npz"])):
        raise KvwError(f"task.out: expected a folder for {', '.join(formats)}; got a pack's file {out}; give a folder")
    folder = out.parent if is_file else out
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(lock_of(folder)):
        places: list[Destination] = [
            FolderDestination(folder, form)
            if form in SINGLE
            else PackDestination(out if is_file else folder / PACKS[form], form)
            for form in formats
        ]
        yield places
        for place in places:
            place.close()


def lock_of(folder: Path) -> Path:
    """The file that processes of this user lock to write into a folder; not in it, which is often published."""
    name = hashlib.sha256(str(folder.resolve()).encode(errors="surrogateescape")).hexdigest()[:16]
    user = getattr(os, "getuid", getpass.getuser)()  # a container's user may have a number alone
    return Path(tempfile.gettempdir()) / f"kvw-{user}-{name}.lock"

"""Voices on disk: one strict loader, one writer, records of facts, and banks.

Read :mod:`kvw.types` first. A voice is a file (``.pt``, as Kokoro's ``KPipeline`` reads it, or another of
:mod:`kvw.voices.formats`), or a member of a pack, which is one file of several voices. A record, which is the ``.json``
beside a file or the metadata of a ``.safetensors``, holds the facts about a voice and names its synthesiser. A voice
without a record is Kokoro's, and so is every voice of a pack.

A file may come from a stranger: it is compared with the plain case of its format, and nothing in it is ever run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kvw.errors import KvwError
from kvw.runtime.files import retry, write_whole
from kvw.text import printable_line
from kvw.types import EMBEDDED, KOKORO, VOICE_SHAPE, Voice
from kvw.voices.formats import files, raw, torch_zip

FORMAT = "kvw voice 1"

ENDINGS = (".pt", ".npy", ".safetensors", ".bin")
"""Endings of files that hold one voice; a ``.bin`` may also be a pack."""

_LABEL = f".{EMBEDDED}"
_SEAL = "facts_sha256"
_MAX_RECORD = 1 << 20  # bytes of a .json


@dataclass(frozen=True)
class Bank:
    """The voices of a folder or file, at least one, sorted by name, and the synthesiser that they all belong to."""

    voices: dict[str, Voice]
    synthesizer: str


def load_voice(path: str | Path) -> Voice:
    """Read one voice without running anything in its file.

    Args:
        path: a ``.pt``, ``.npy``, ``.safetensors``, or raw ``.bin``; or a pack of one voice.

    Returns:
        float32 ``(510, 1, 256)``, finite, C-ordered, a copy.

    Raises:
        KvwError: as :func:`load_pack`; or the file is a pack of several voices.
    """
    path = Path(path)
    voices = load_pack(path)
    if len(voices) > 1:
        names = ", ".join([*list(voices)[:3], "..."][: len(voices)])
        advice = f"name one of them: {path}:{next(iter(voices))}"
        raise files.refused(path, f"a pack of {len(voices)} ({names})", advice)
    return next(iter(voices.values()))


def load_pack(path: Path) -> dict[str, Voice]:
    """Read the voices of a file, which holds one or several, without running anything in it.

    Returns:
        At least one voice by name, in the file's order. A single voice is named by :func:`name_of`, the members of a
        pack as in the file, and those of a concatenation without names by their numbers.

    Raises:
        KvwError: as :func:`kvw.voices.formats.files.read_voices`; or the voice's numbers aren't those of the ``sha256``
            in its record.
    """
    voices = files.read_voices(path, name_of(path))
    recorded = facts_of(path).get("sha256")
    if recorded is not None and [recorded] != [voice_digest(voice) for voice in voices.values()]:
        advice = "bring both again, or resume the run that was writing them"
        raise files.refused(path, "other numbers than the sha256 in its record says", advice)
    return voices


def save_voice(path: str | Path, voice: Voice, facts: Mapping[str, object]) -> None:
    """Write ``path`` (``.pt``, as ``KPipeline`` reads it) and the ``.json`` beside it; equal input gives equal bytes.

    The ``.json`` is written first, so that a crash never leaves an embedded voice without a record: as Kokoro's.

    Args:
        path: ends in ``.pt``; its folder exists.
        voice: float32 ``(510, 1, 256)``, finite.
        facts: JSON values and numpy scalars by name; other values are written as their ``str``. ``"synthesiser"`` is
            required. ``format``, ``shape``, ``sha256`` (of the little-endian float32 numbers) and ``facts_sha256`` (of
            the facts) are added.

    Raises:
        ValueError: another suffix, shape or dtype; NaN or infinity; no synthesiser, or another than the name says.
        OSError: the folder can't be written, or is full; no file is left half written.
    """
    path = Path(path)
    owner = facts.get("synthesiser")
    if path.suffix != ".pt" or not owner or (_labelled(path) and owner != EMBEDDED):
        raise ValueError(f"expected a name in .pt and the synthesiser that it allows, got {path.name} and {owner!r}")
    content = torch_zip.write(voice)
    complete = {**facts, "format": FORMAT, "shape": list(VOICE_SHAPE), "sha256": voice_digest(voice)}
    record = json.loads(json.dumps(complete, allow_nan=False, default=_json))
    record[_SEAL] = _seal(record)
    text = json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    with contextlib.suppress(KvwError):
        if synthesizer_of(path) != owner:
            # or a crash after the new .json would label the old voice with the new synthesiser
            retry(path, partial(path.unlink, missing_ok=True))
    write_whole(path.with_suffix(".json"), text.encode("utf-8", "backslashreplace"))  # lone surrogates as JSON escapes
    write_whole(path, content)


def voice_digest(voice: Voice) -> str:
    """sha256 of a voice's numbers as little-endian float32, in hex."""
    return hashlib.sha256(raw.write(voice)).hexdigest()


def name_of(path: Path) -> str:
    """The name of the voice in a file: the file's name without its ending and ``.embedded``."""
    return path.stem.removesuffix(_LABEL)


def facts_of(path: Path) -> dict[str, Any]:
    """The facts in a voice's record: the ``.json`` beside its file, or a ``.safetensors``' own metadata; else empty.

    Raises:
        KvwError: the record can't be read, was changed, names no synthesiser, or another than a name in ``.embedded``
            says; or the ``.safetensors`` file isn't one.
    """
    if path.suffix == ".safetensors":
        record, facts = path, files.metadata(path)
        if "synthesiser" not in facts and not _labelled(path):
            return facts  # another program's file
    else:
        record = path.with_suffix(".json")
        if files.is_pack(path) or not os.path.lexists(record):
            return {}
        facts = _read_record(record)
        if _SEAL in facts and facts.pop(_SEAL) != _seal(facts):
            raise KvwError(
                f"{printable_line(record)}: expected the file as kvw wrote it, got another checksum; bring it back, or "
                f"delete its line {_SEAL} if you changed the file yourself"
            )
    owner = facts.get("synthesiser")
    if not isinstance(owner, str) or not owner or (_labelled(path) and owner != EMBEDDED):
        wanted = f'"{EMBEDDED}" as the name says' if _labelled(path) else "the name of one"
        raise KvwError(
            f'{printable_line(record)}: expected "synthesiser" to be {wanted}, got {owner!a:.80}; delete the record '
            "and its voice, or mend the record"
        )
    return facts


def synthesizer_of(path: Path) -> str:
    """The synthesiser that a voice belongs to; the voice's numbers aren't read.

    Raises:
        KvwError: as :func:`facts_of`.
    """
    return str(facts_of(path).get("synthesiser", EMBEDDED if _labelled(path) else KOKORO))


def single_files(folder: Path) -> list[Path]:
    """The files of a folder that hold one voice each, sorted, without packs."""
    paths = (path for path in sorted(folder.glob("[!.]*")) if path.suffix in ENDINGS)  # macOS leaves ._name.pt
    return [path for path in paths if not files.is_pack(path)]


def load_bank(path: Path) -> Bank:
    """Load the voices of a folder, without the packs in it; or the voices of one file, which may be a pack.

    A voice's name is :func:`name_of` its file, or its name in the pack. Files of several formats may hold the same
    voice under the same name.

    Raises:
        KvwError: there is no such folder or file, or it holds no voices; two voices share a name; voices belong to
            several synthesisers; or a voice is bad.
    """
    if path.is_file():
        return Bank(dict(sorted(load_pack(path).items())), synthesizer_of(path))
    if not path.is_dir():
        raise KvwError(f"{path}: expected a folder of voices, found none; {files.FETCH}")
    singles = single_files(path)
    owners: dict[str, Path] = {}
    for file in singles:
        owners.setdefault(synthesizer_of(file), file)
        if len(owners) > 1:
            kinds = ", ".join(
                f"{printable_line(first.name)} ({printable_line(owner):.60})" for owner, first in owners.items()
            )
            raise KvwError(f"{path}: expected voices of one synthesiser, got {kinds}; move one kind elsewhere")
    voices: dict[str, Voice] = {}
    sources: dict[str, Path] = {}
    for file in singles:
        name, voice = name_of(file), load_voice(file)
        twin = sources.setdefault(name, file)
        if twin != file and (twin.suffix == file.suffix or not np.array_equal(voices[name], voice)):
            raise KvwError(
                f"{path}: expected one voice of each name, got {printable_line(twin.name)} and "
                f"{printable_line(file.name)}, both named {printable_line(name)}; rename one"
            )
        voices[name] = voice
    if not voices:
        raise KvwError(
            f"{path}: expected voices ({', '.join(f'*{ending}' for ending in ENDINGS)}), found none; {files.FETCH}"
        )
    return Bank(dict(sorted(voices.items())), next(iter(owners)))


def _json(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else str(value)


def _seal(facts: Mapping[str, object]) -> str:
    """sha256 over the facts of a record, JSON values, in hex."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _labelled(path: Path) -> bool:
    return path.stem.endswith(_LABEL)


def _read_record(record: Path) -> dict[str, Any]:
    try:
        facts = json.loads(files.read_small(record, _MAX_RECORD).decode("utf-8"), object_pairs_hook=raw.unique)
    except (OSError, ValueError, RecursionError) as error:
        raise KvwError(
            f"{printable_line(record)}: expected the JSON that kvw writes beside a voice, got {error}; "
            "delete the record and its voice"
        ) from None
    return facts if isinstance(facts, dict) else {}

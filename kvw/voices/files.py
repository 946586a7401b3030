"""Voices on disk: one strict loader, one writer, banks, and names that every file system takes.

Read :mod:`kvw.types` first. A voice is a file (``.pt``, as Kokoro's ``KPipeline`` reads it, or another of
:mod:`kvw.voices.formats`), or a member of a pack, which is one file of several voices. The ``.json`` beside a file, or
the metadata of a ``.safetensors``, say which synthesiser its voice belongs to; a voice without is Kokoro's, as every
pack is. Nothing else in kvw opens or writes a voice.

A stranger's file is data: what it is shows in its bytes, is compared with the plain case and never run.
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
from kvw.types import EMBEDDED, KOKORO, VOICE_SHAPE, Voice
from kvw.voices.formats import files, raw, torch_zip

FORMAT = "kvw voice 1"

ENDINGS = (".pt", ".npy", ".safetensors", ".bin")
"""Endings of files that hold one voice; a ``.bin`` may be a pack as well."""

_LABEL = f".{EMBEDDED}"
_SEAL = "facts_sha256"
_MAX_FACTS = 1 << 20  # bytes of a .json


@dataclass(frozen=True)
class Bank:
    """The voices of a folder or file, at least one, sorted by name, and the synthesiser that all of them belong to."""

    voices: dict[str, Voice]
    synthesizer: str


def load_voice(path: Path) -> Voice:
    """Read one voice, running nothing that the file says.

    Args:
        path: a ``.pt``, ``.npy``, ``.safetensors``, or raw ``.bin``; or a pack of one voice.

    Returns:
        float32 ``(510, 1, 256)``, finite, C-ordered, the caller's own.

    Raises:
        KvwError: as :func:`load_pack`; or a pack of several voices.
    """
    found = load_pack(path)
    if len(found) > 1:
        names = ", ".join([*list(found)[:3], "..."][: len(found)])
        raise files.refused(path, f"a pack of {len(found)} ({names})", f"name one of them: {path}:{next(iter(found))}")
    return next(iter(found.values()))


def load_pack(path: Path) -> dict[str, Voice]:
    """Read the voices of a file, of one as of several, running nothing that the file says.

    Returns:
        At least one, in the file's order, by the names that it has for them: a single voice by :func:`name_of`, those
        of a concatenation without names by their numbers.

    Raises:
        KvwError: no such file; not a regular file; too large; of no known format, or of another than its ending says;
            whatever the modules of :mod:`kvw.voices.formats` refuse; or other numbers than what is known of the voice
            says.
    """
    found = files.read_voices(path, name_of(path))
    said = facts_of(path).get("sha256")
    if said is not None and [said] != [voice_digest(voice) for voice in found.values()]:
        advice = "bring both again, or go on with the run that was writing them"
        raise files.refused(path, "other numbers than the sha256 that is known of it says", advice)
    return found


def save_voice(path: Path, voice: Voice, facts: Mapping[str, object]) -> None:
    """Write ``path`` (``.pt``, as ``KPipeline`` reads it) and the ``.json`` beside it; equal input, equal bytes.

    The ``.json`` goes first, so that a crash never leaves an embedded voice without one: that would be Kokoro's.

    Args:
        path: ends in ``.pt``; its folder exists.
        voice: float32 ``(510, 1, 256)``, finite.
        facts: JSON values, numpy scalars or what ``str`` can say; ``"synthesiser"`` is required. ``format``, ``shape``,
            ``sha256`` (of the little-endian float32 numbers) and ``facts_sha256`` (of the others) are added.

    Raises:
        ValueError: another suffix, shape or dtype; NaN or infinity; no synthesiser, or one that the name denies.
        OSError: the folder can't be written, or is full; no file is left half written.
    """
    owner = facts.get("synthesiser")
    if path.suffix != ".pt" or not owner or (_labelled(path) and owner != EMBEDDED):
        raise ValueError(f"expected a name in .pt and the synthesiser that it allows, got {path.name} and {owner!r}")
    content = torch_zip.write(voice)
    own = {**facts, "format": FORMAT, "shape": list(VOICE_SHAPE), "sha256": voice_digest(voice)}
    record = json.loads(json.dumps(own, allow_nan=False, default=_json))
    record[_SEAL] = _sealed(record)
    text = json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    with contextlib.suppress(KvwError):
        if synthesizer_of(path) != owner:
            # else a crash after the new .json would give the old voice its label
            retry(path, partial(path.unlink, missing_ok=True))
    write_whole(path.with_suffix(".json"), text.encode("utf-8", "backslashreplace"))  # lone surrogates as JSON escapes
    write_whole(path, content)


def voice_digest(voice: Voice) -> str:
    """sha256 of the little-endian float32 numbers, in hex."""
    return hashlib.sha256(raw.write(voice)).hexdigest()


def name_of(path: Path) -> str:
    """The name of the voice in a file: the file's, without its ending and ``.embedded``."""
    return path.stem.removesuffix(_LABEL)


def facts_of(path: Path) -> dict[str, Any]:
    """What is known of a voice: the ``.json`` beside its file, or a ``.safetensors``' own metadata; empty if nothing.

    Raises:
        KvwError: the record isn't readable, names no synthesiser, or denies a name in ``.embedded``; or the
            ``.safetensors`` isn't one.
    """
    if path.suffix == ".safetensors":
        beside, facts = path, files.metadata(path)
        if "synthesiser" not in facts and not _labelled(path):
            return facts  # someone else's
    else:
        beside = path.with_suffix(".json")
        if files.is_pack(path) or not os.path.lexists(beside):
            return {}
        facts = _record(beside)
        if _SEAL in facts and facts.pop(_SEAL) != _sealed(facts):
            raise KvwError(
                f"{files.shown(beside)}: expected it as it was written, got another checksum; bring it back, or delete "
                f"its line {_SEAL} where you changed it yourself"
            )
    found = facts.get("synthesiser")
    if not isinstance(found, str) or not found or (_labelled(path) and found != EMBEDDED):
        wanted = f'"{EMBEDDED}" as the name says' if _labelled(path) else "the name of one"
        raise KvwError(
            f'{files.shown(beside)}: expected "synthesiser" to be {wanted}, got {found!a:.80}; delete both, or mend it'
        )
    return facts


def synthesizer_of(path: Path) -> str:
    """Say which synthesiser a voice belongs to; its numbers aren't read.

    Raises:
        KvwError: as :func:`facts_of`.
    """
    return str(facts_of(path).get("synthesiser", EMBEDDED if _labelled(path) else KOKORO))


def single_files(folder: Path) -> list[Path]:
    """List the files of a folder that hold one voice each, sorted; packs aren't among them."""
    found = (path for path in sorted(folder.glob("[!.]*")) if path.suffix in ENDINGS)  # macOS leaves ._name.pt
    return [path for path in found if not files.is_pack(path)]


def load_bank(path: Path) -> Bank:
    """Load the voices of a folder, packs in it left out; or those of one file, which may be a pack.

    A voice's name is :func:`name_of` its file, or what the pack calls it. Files of several formats may hold the same
    voice by the same name.

    Raises:
        KvwError: no such folder or file; no voices in it; two of one name; voices of several synthesisers; a bad voice.
    """
    if path.is_file():
        return Bank(dict(sorted(load_pack(path).items())), synthesizer_of(path))
    if not path.is_dir():
        raise KvwError(f"{path}: expected a folder of voices, found none; {files.FETCH}")
    holders = single_files(path)
    owners: dict[str, Path] = {}
    for file in holders:
        owners.setdefault(synthesizer_of(file), file)
        if len(owners) > 1:
            kinds = ", ".join(
                f"{files.shown(other.name)} ({files.shown(owner):.60})" for owner, other in owners.items()
            )
            raise KvwError(f"{path}: expected voices of one synthesiser, got {kinds}; move one kind elsewhere")
    voices: dict[str, Voice] = {}
    sources: dict[str, Path] = {}
    for file in holders:
        name, voice = name_of(file), load_voice(file)
        twin = sources.setdefault(name, file)
        if twin != file and (twin.suffix == file.suffix or not np.array_equal(voices[name], voice)):
            raise KvwError(
                f"{path}: {files.shown(twin.name)} and {files.shown(file.name)} are both named {files.shown(name)}; "
                "rename one"
            )
        voices[name] = voice
    if not voices:
        raise KvwError(
            f"{path}: expected voices ({', '.join(f'*{ending}' for ending in ENDINGS)}), found none; {files.FETCH}"
        )
    return Bank(dict(sorted(voices.items())), next(iter(owners)))


def _json(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else str(value)


def _sealed(facts: Mapping[str, object]) -> str:
    """sha256 over JSON values."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _labelled(path: Path) -> bool:
    return path.stem.endswith(_LABEL)


def _record(beside: Path) -> dict[str, Any]:
    try:
        facts = json.loads(files.read_small(beside, _MAX_FACTS).decode("utf-8"), object_pairs_hook=raw.unique)
    except (OSError, ValueError, RecursionError) as error:
        raise KvwError(
            f"{files.shown(beside)}: expected the JSON that kvw writes by a voice, got {error}; delete both"
        ) from None
    return facts if isinstance(facts, dict) else {}

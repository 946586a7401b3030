"""Voices on disk: one strict loader, one writer, banks, and names that every file system takes.

Read :mod:`kvw.types` first. A voice is the ``.pt`` file that Kokoro's ``KPipeline`` reads. The ``.json`` beside it says
which synthesiser it belongs to; a voice without one is Kokoro's. Nothing else in kvw reads or writes a voice.

A stranger's file is read as data: its pickle is compared with what ``torch.save`` writes for a plain tensor, never run.
``torch.load(weights_only=True)`` (2.13) wouldn't do: it inflates deflate bombs, fills memory by ``bytearray``, hashes
nested tuples for hours, and returns expanded, sparse and meta tensors whose shape the file doesn't hold.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import pickletools
import re
import unicodedata
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kvw.disk import write_whole
from kvw.types import VOICE_SHAPE, KvwError, Voice

KOKORO = "kokoro"
EMBEDDED = "embedded"
FORMAT = "kvw voice 1"
_LABEL = f".{EMBEDDED}.pt"
_MAX_FILE = 2 << 20  # bytes; Kokoro's voices have 523 kB
_MAX_CONTENT = 1 << 20  # bytes, all members
_MAX_MEMBERS = 32  # Kokoro's voices have 5
_MAX_PICKLE = 4096  # bytes; Kokoro's voices have 165
# The pickle of one plain tensor, as torch.save has written it since 1.6: its strings quoted, its numbers, its opcodes.
_PLAIN = re.compile(
    r"'torch\._utils _rebuild_tensor_v2' MARK MARK 'storage' 'torch (?P<type>\w+)Storage' '\w+' '(?P<device>[\w:]+)'"
    r" (?P<count>\d+) TUPLE BINPERSID (?P<offset>\d+) (?:MARK )?(?P<shape>[\d ]*)(?:EMPTY_)?TUPLE\d?"
    r" (?:MARK )?(?P<strides>[\d ]*)(?:EMPTY_)?TUPLE\d? (?P<grad>NEWFALSE|NEWTRUE)"
    r" 'collections OrderedDict' EMPTY_TUPLE REDUCE TUPLE REDUCE STOP"
)
_VOICE = {"type": "Float", "device": "cpu", "count": "130560", "offset": "0", "shape": "510 1 256 ", "grad": "NEWFALSE"}
_AGAIN = "use what torch.save writes of voice.detach().cpu().float().clone()"
_FETCH = "python -m kvw task=voices fetches Kokoro's"
_RESERVED = {"CON", "PRN", "AUX", "NUL"} | {f"{port}{n}" for port in ("COM", "LPT") for n in "0123456789¹²³"}


@dataclass(frozen=True)
class Bank:
    """The voices of one folder, at least one, sorted by name; all for one synthesiser, :data:`KOKORO` or another."""

    voices: dict[str, Voice]
    synthesizer: str


def load(path: Path) -> Voice:
    """Read one voice, running nothing that the file says.

    Returns:
        float32 ``(510, 1, 256)``, finite, C-ordered, the caller's own.

    Raises:
        KvwError: no such file; not a regular file; over 2 MiB; not a torch zip; members compressed, too many, doubled,
            or over 1 MiB together; a pickle of anything but one plain tensor (code, dict, sparse, meta, ``Parameter``);
            another shape, dtype or device; a storage that isn't exactly the numbers; NaN or infinity.
    """
    raw = _read(path)
    try:
        pickled, data = _members(path, raw)
        _check_pickle(path, pickled, len(data))
    except KvwError:
        raise
    except Exception as error:  # a damaged file: zipfile and pickletools share no base class
        raise _error(path, f"a damaged file ({error!r:.120})") from None
    voice = np.frombuffer(data, "<f4").reshape(VOICE_SHAPE).astype(np.float32)
    if not np.isfinite(voice).all():
        raise _error(path, f"{np.count_nonzero(~np.isfinite(voice))} numbers that are NaN or infinite")
    return voice


def save(path: Path, voice: Voice, facts: Mapping[str, object]) -> None:
    """Write ``path`` (``.pt``, as ``KPipeline`` reads it) and the ``.json`` beside it; equal input, equal bytes.

    The ``.json`` goes first, so that a crash never leaves an embedded voice without one: that would be Kokoro's.

    Args:
        path: ends in ``.pt``; its folder exists.
        voice: float32 ``(510, 1, 256)``, finite.
        facts: JSON values, numpy scalars or what ``str`` can say; ``"synthesiser"`` is required. ``format``, ``shape``
            and ``sha256`` (of the little-endian float32 numbers) are added.

    Raises:
        ValueError: another suffix, shape or dtype; NaN or infinity; no synthesiser, or one that the name denies.
        OSError: the folder can't be written, or is full; no file is left half written.
    """
    import torch

    owner = facts.get("synthesiser")
    if not path.name.endswith(".pt") or not owner or (path.name.endswith(_LABEL) and owner != EMBEDDED):
        raise ValueError(f"expected a name in .pt and the synthesiser that it allows, got {path.name} and {owner!r}")
    if voice.shape != VOICE_SHAPE or voice.dtype != np.float32 or not np.isfinite(voice).all():
        raise ValueError(f"expected a finite float32 {VOICE_SHAPE}, got {voice.dtype} {voice.shape}")
    digest = hashlib.sha256(np.ascontiguousarray(voice, dtype="<f4").tobytes()).hexdigest()
    record = {**facts, "format": FORMAT, "shape": list(VOICE_SHAPE), "sha256": digest}
    text = json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False, default=_json) + "\n"
    archive = io.BytesIO()  # not the path: torch would write its name into the file
    torch.save(torch.tensor(np.ascontiguousarray(voice)), archive)
    with contextlib.suppress(KvwError):
        if synthesizer_of(path) != owner:
            path.unlink(missing_ok=True)  # else a crash after the new .json would give the old voice its label
    write_whole(path.with_suffix(".json"), text.encode("utf-8", "backslashreplace"))  # lone surrogates as JSON escapes
    write_whole(path, archive.getvalue())


def synthesizer_of(path: Path) -> str:
    """Say which synthesiser a voice belongs to; the ``.pt`` itself isn't read.

    Raises:
        KvwError: the ``.json`` beside it isn't readable, names no synthesiser, or denies a name in ``.embedded.pt``.
    """
    beside, named = path.with_suffix(".json"), path.name.endswith(_LABEL)
    if not os.path.lexists(beside):
        return EMBEDDED if named else KOKORO
    try:
        facts = json.loads(beside.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise KvwError(f"{beside}: expected the JSON that kvw writes by a voice, got {error}; delete both") from None
    found = facts.get("synthesiser") if isinstance(facts, dict) else None
    if not isinstance(found, str) or not found or (named and found != EMBEDDED):
        wanted = f'"{EMBEDDED}" as the name says' if named else "the name of one"
        raise KvwError(f'{beside}: expected "synthesiser" to be {wanted}, got {found!r}; delete both, or mend it')
    return found


def load_bank(folder: Path) -> Bank:
    """Load every ``*.pt`` of a folder; a voice's name is its file's without ``.pt`` or ``.embedded.pt``.

    Raises:
        KvwError: no such folder; no voices in it; two of one name; voices of several synthesisers; a bad voice.
    """
    if not folder.is_dir():
        raise KvwError(f"{folder}: expected a folder of voices, found none; {_FETCH}")
    files: dict[str, Path] = {}
    owners: dict[str, Path] = {}
    for path in sorted(folder.glob("[!.]*.pt")):  # macOS leaves ._name.pt on foreign disks
        name = path.name.removesuffix(".pt").removesuffix(f".{EMBEDDED}")
        owners.setdefault(synthesizer_of(path), path)
        if len(owners) > 1:
            kinds = ", ".join(f"{other.name} ({owner})" for owner, other in owners.items())
            raise KvwError(f"{folder}: expected voices of one synthesiser, got {kinds}; move one kind elsewhere")
        if name in files:
            raise KvwError(f"{folder}: {files[name].name} and {path.name} are both named {name}; rename one")
        files[name] = path
    if not files:
        raise KvwError(f"{folder}: expected voices (*.pt), found none; {_FETCH}")
    return Bank({name: load(files[name]) for name in sorted(files)}, next(iter(owners)))


def safe_stem(text: str) -> str:
    """Make a file name's stem of any text: ``"My voice: é/1"`` gives ``"My_voice_é_1"``; safe stems stay as they are.

    Returns:
        Letters (of any script), digits, ``_``, ``-`` and ``.``; 1 to 60 UTF-8 bytes; no dot or dash in front, no dot at
        the end, no name that Windows reserves, and no ``.embedded`` at the end, which would label a voice.
    """
    kept = (c if c in "_-." or unicodedata.category(c)[0] in "LMN" else " " for c in unicodedata.normalize("NFC", text))
    stem = "_".join("".join(kept).split()).lstrip(".-")
    if stem.partition(".")[0].upper() in _RESERVED:
        stem = f"_{stem}"
    stem = stem.encode()[:60].decode(errors="ignore").rstrip(".")  # two stems and scores fit 255, a name's limit
    return re.sub(rf"\.{EMBEDDED}$", f"_{EMBEDDED}", stem) or "unnamed"


def _error(path: Path, came: str, advice: str = _AGAIN) -> KvwError:
    return KvwError(f"{path}: expected a voice (a torch zip of one float32 {VOICE_SHAPE} tensor), got {came}; {advice}")


def _json(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else str(value)


def _read(path: Path) -> bytes:
    """Read a whole regular file of at most 2 MiB, once, so that what was checked is what is used."""
    try:
        if not path.is_file():  # a pipe would wait for ever
            raise _error(path, "a folder" if path.is_dir() else "no such file", f"check the name; {_FETCH}")
        with path.open("rb") as file:
            raw = file.read(_MAX_FILE + 1)
    except (OSError, ValueError) as error:
        raise _error(path, f"one that can't be read ({error})", "check its permissions") from None
    if len(raw) > _MAX_FILE:
        raise _error(path, f"a file of more than {_MAX_FILE >> 20} MiB", "check that it is a voice, not a model")
    return raw


def _members(path: Path, raw: bytes) -> tuple[bytes, bytes]:
    """Take the pickle and the numbers out of a torch zip, inflating nothing."""
    if not raw.startswith(b"PK\x03\x04"):
        raise _error(path, "a file that isn't torch's zip format" if raw else "an empty file")
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        members = archive.infolist()
        if len(members) > _MAX_MEMBERS or len(set(archive.namelist())) < len(members) or members[0].header_offset:
            raise _error(path, f"a zip of {len(members)} members, too many, doubled or behind another file")
        if any(member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1 for member in members):
            raise _error(path, "a zip with compressed or encrypted members")
        if sum(member.file_size for member in members) > _MAX_CONTENT:
            raise _error(path, "a zip of more than 1 MiB")
        pickles = [member for member in members if member.filename.endswith("/data.pkl")]
        root = pickles[0].filename.removesuffix("data.pkl") if pickles else "/"
        storages = [member for member in members if member.filename.startswith(f"{root}data/")]
        if len(pickles) != 1 or len(storages) != 1:
            raise _error(path, f"a zip of {len(pickles)} pickles and {len(storages)} tensors")
        if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") != b"little":
            raise _error(path, "numbers that aren't little-endian")
        return archive.read(pickles[0]), archive.read(storages[0])


def _check_pickle(path: Path, pickled: bytes, size: int) -> None:
    """Refuse a pickle that says anything but: one plain float32 voice on the CPU, its storage the ``size`` bytes."""
    if len(pickled) > _MAX_PICKLE:
        raise _error(path, "a pickle of more than one tensor")
    codes = [(code.name, said) for code, said, _ in pickletools.genops(pickled)]
    text = " ".join(name if said is None else repr(said) for name, said in codes if name not in ("PROTO", "BINPUT"))
    plain = _PLAIN.fullmatch(text)
    if plain is None:
        names = ", ".join(str(said).replace(" ", ".") for name, said in codes if name == "GLOBAL")
        raise _error(path, f"a pickle of more than a plain tensor (it names {names!r:.200})")
    found = plain.groupdict()
    strides = found.pop("strides")
    # The axis of length 1 may have any stride. A storage of another size would be a view, or a lie.
    if found != _VOICE or not re.fullmatch(r"256 \d+ 1 ", strides) or size != 4 * int(_VOICE["count"]):
        odd = ", ".join(f"{key} {it.strip()}" for key, it in found.items() if it != _VOICE[key]) or "another storage"
        raise _error(path, f"one with {odd} (strides {strides}in {size} bytes)")

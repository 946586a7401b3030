"""``.pt``: the zip that ``torch.save`` writes of one plain tensor, as Kokoro's ``KPipeline`` reads it.

Its pickle is never run: it is compared with what ``torch.save`` writes of a plain tensor. ``torch.load`` of torch 2.13
is not safe enough, even with ``weights_only=True``: it inflates deflate bombs, fills memory by ``bytearray``, hashes
nested tuples for hours, and returns expanded, sparse and meta tensors whose numbers the file doesn't hold.
"""

from __future__ import annotations

import io
import pickletools
import re
import zipfile

import numpy as np

from kvw.types import VOICE_SHAPE, Voice
from kvw.voices.formats import raw
from kvw.voices.formats.raw import VOICE_BYTES, NotAVoice

_MAX_CONTENT = 1 << 20  # bytes of all members
_MAX_MEMBERS = 32  # Kokoro's voices have 5
_MAX_PICKLE = 4096  # bytes; Kokoro's voices have 165
_MAX_DIRECTORY = _MAX_MEMBERS * 512  # bytes
_END, _LOCATOR, _END64 = 22, 20, 56  # bytes of the records that end a zip without a comment; torch writes all three

# The members that torch.save writes beside the tensor. A constants.pkl would make torch.load run it as TorchScript.
_BESIDE = {"data.pkl", ".format_version", ".storage_alignment", "byteorder", "version", ".data/serialization_id"}

# The pickle of one plain tensor, as torch.save has written it since 1.6: opcodes by name, strings quoted, numbers.
_PLAIN = re.compile(
    r"2 'torch\._utils _rebuild_tensor_v2' MARK MARK 'storage' 'torch (?P<type>\w+)Storage' '(?P<key>\w+)'"
    r" '(?P<device>[\w:]+)' (?P<count>\d+) TUPLE BINPERSID (?P<offset>\d+)"
    r" (?:MARK )?(?P<shape>[\d ]*)(?:EMPTY_)?TUPLE\d?"
    r" (?:MARK )?(?P<strides>[\d ]*)(?:EMPTY_)?TUPLE\d? (?P<grad>NEWFALSE|NEWTRUE)"
    r" 'collections OrderedDict' EMPTY_TUPLE REDUCE TUPLE REDUCE STOP"
)

_VOICE = {"type": "Float", "device": "cpu", "count": "130560", "offset": "0", "shape": "510 1 256 ", "grad": "NEWFALSE"}
_AGAIN = "use what torch.save writes of voice.detach().cpu().float().clone()"


def read(data: bytes) -> Voice:
    """The voice in a torch zip, running nothing that the file says.

    Raises:
        NotAVoice: the file is no torch zip; its members are compressed, too many, doubled, unknown, or over 1 MiB
            together; the pickle is of anything but one plain tensor (code, dict, sparse, meta, ``Parameter``), or of
            another shape, dtype or device; the storage isn't exactly the voice's numbers; NaN or infinity.
        zipfile.BadZipFile: a damaged zip.
    """
    _check_directory(data)
    pickled, numbers, key = _members(data)
    _check_pickle(pickled, len(numbers), key)
    return raw.read(numbers, _AGAIN)


def write(voice: Voice) -> bytes:
    """A contiguous float32 CPU tensor as ``torch.save`` writes it; equal voices give equal bytes.

    Raises:
        ValueError: as :func:`kvw.voices.formats.raw.write`.
    """
    import torch

    numbers = np.frombuffer(raw.write(voice), "<f4").reshape(VOICE_SHAPE)
    archive = io.BytesIO()  # not a path: torch would write its name into the file
    torch.save(torch.tensor(numbers), archive)
    return archive.getvalue()


def _refused(got: str) -> NotAVoice:
    return NotAVoice(got, _AGAIN)


def _check_directory(data: bytes) -> None:
    """Refuse a zip with a comment, or with a long list of members: zipfile would read the whole list."""
    end = data[-_END:]
    length = int.from_bytes(end[12:16], "little")
    where = len(data) - _END - _LOCATOR - _END64
    if data[-_END - _LOCATOR :].startswith(b"PK\x06\x07"):  # the locator of the zip64 record, whose length counts
        locator = data[-_END - _LOCATOR : -_END]
        located = (
            where > 0 and int.from_bytes(locator[8:16], "little") == where and data[where:].startswith(b"PK\x06\x06")
        )
        length = int.from_bytes(data[where + 40 : where + 48], "little") if located else _MAX_DIRECTORY + 1
    if not end.startswith(b"PK\x05\x06") or not end.endswith(b"\0\0") or length > _MAX_DIRECTORY:
        raise _refused("a zip that is cut short, has something behind it, or has too long a list of members")


def _members(data: bytes) -> tuple[bytes, bytes, str]:
    """The pickle, the numbers and the key of the numbers in a torch zip; nothing is inflated."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if len(members) > _MAX_MEMBERS or len(set(archive.namelist())) < len(members) or members[0].header_offset:
            raise _refused(f"a zip of {len(members)} members, too many, doubled or behind another file")
        if any(member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1 for member in members):
            raise _refused("a zip with compressed or encrypted members")
        if sum(member.file_size for member in members) > _MAX_CONTENT:
            raise _refused("a zip of more than 1 MiB")
        pickles = [member for member in members if member.filename.endswith("/data.pkl")]
        root = pickles[0].filename.removesuffix("data.pkl") if pickles else "/"
        storages = [member for member in members if member.filename.startswith(f"{root}data/")]
        if len(pickles) != 1 or len(storages) != 1:
            raise _refused(f"a zip of {len(pickles)} pickles and {len(storages)} tensors")
        key = storages[0].filename.removeprefix(f"{root}data/")
        names = {member.filename.removeprefix(root) for member in members}
        if unknown := sorted(names - _BESIDE - {f"data/{key}"}):
            raise _refused(f"a zip with {unknown[0]!a:.80}, which isn't torch's of a tensor")
        if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") != b"little":
            raise _refused("numbers that aren't little-endian")
        return archive.read(pickles[0]), archive.read(storages[0]), key


def _check_pickle(pickled: bytes, size: int, key: str) -> None:
    """Refuse a pickle of anything but one plain float32 voice on the CPU whose storage is ``size`` bytes."""
    if len(pickled) > _MAX_PICKLE:
        raise _refused("a pickle of more than one tensor")
    operations = list(pickletools.genops(pickled))
    if operations[-1][2] != len(pickled) - 1:
        raise _refused("a pickle with something behind it")
    codes = [(code.name, value) for code, value, _ in operations if code.name != "BINPUT"]
    words = [name if value is None else repr(value) for name, value in codes]
    plain = _PLAIN.fullmatch(" ".join(words)) if codes[0] == ("PROTO", 2) else None
    if plain is None:
        names = ", ".join(str(value).replace(" ", ".") for name, value in codes if name == "GLOBAL")
        raise _refused(f"a pickle of more than a plain tensor (it names {names!r:.200})")
    tensor = plain.groupdict()
    strides = tensor.pop("strides")
    raw.check_rows([int(axis) for axis in tensor["shape"].split()])
    # The axis of length 1 may have any stride. A storage of another size would be a view, or a lie.
    if tensor != {**_VOICE, "key": key} or not re.fullmatch(r"256 \d+ 1 ", strides) or size != VOICE_BYTES:
        differing = [f"{name} {value.strip()}" for name, value in tensor.items() if value != _VOICE.get(name, key)]
        raise _refused(f"one with {', '.join(differing) or 'another storage'} (strides {strides}in {size} bytes)")

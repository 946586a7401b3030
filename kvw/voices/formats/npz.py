"""kokoro-onnx's voices file: a zip of ``NAME.npy``, as ``np.savez`` writes it. KVoiceWalk's ``voices.bin`` is one.

Of Kokoro's 54 voices, sorted by name, :func:`write` makes kokoro-onnx's ``voices-v1.0.bin``, byte for byte.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

from kvw.types import Voice
from kvw.voices.formats import npy, raw
from kvw.voices.formats.raw import MAX_FILE, MAX_VOICES, VOICE_BYTES, NotAVoice

MAX_BYTES = MAX_VOICES * (VOICE_BYTES + 2048)
_MAX_DIRECTORY = MAX_VOICES * 512  # bytes; 53 a voice in kokoro-onnx's file
_END = 22  # bytes of the record that ends a zip without a comment
_AGAIN = "use what np.savez writes of {name: float32 voice}"


def read(data: bytes) -> dict[str, Voice]:
    """The voices of a pack by their names, in the pack's order; names lose the ``.pt`` that KVoiceWalk's have.

    Members may be deflated, as by ``np.savez_compressed``; none is inflated beyond :data:`MAX_FILE` bytes.

    Raises:
        NotAVoice: the zip has another form; members are too many, doubled, encrypted, too large or not arrays; or a
            member, which the message names, is no voice.
        zipfile.BadZipFile: a damaged zip.
    """
    _check_directory(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        names = [member.filename.removesuffix(".npy").removesuffix(".pt") for member in members]
        if len(members) > MAX_VOICES or len(set(names)) < len(members):
            raise NotAVoice(f"a zip of {len(members)} members: more than {MAX_VOICES}, or doubled ones", _AGAIN)
        return {name: _member(archive, member, name) for name, member in zip(names, members, strict=True)}


def write(voices: Mapping[str, Voice]) -> bytes:
    """The bytes that ``np.savez`` writes, though it could not take a voice of the name ``file``.

    Raises:
        ValueError: as :func:`kvw.voices.formats.raw.write`.
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, voice in voices.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:  # as NumPy does, for equal bytes
                member.write(npy.write(voice))
    return file.getvalue()


def _check_directory(data: bytes) -> None:
    """Refuse a zip with a long list of members: zipfile would read the whole list, gigabytes from a file of 100 MB."""
    end = data[-_END:]
    plain = end.startswith(b"PK\x05\x06") and end.endswith(b"\0\0") and data[-_END - 20 : -_END - 16] != b"PK\x06\x07"
    if not plain or int.from_bytes(end[12:16], "little") > _MAX_DIRECTORY:
        raise NotAVoice("a zip that is cut short, has something behind it, or has too long a list of members", _AGAIN)


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> Voice:
    if not raw.is_name(name):
        raise NotAVoice(f"a zip with a member of the name {name!a:.120}", _AGAIN)
    if not member.filename.endswith(".npy"):
        raise NotAVoice(f"a zip with {name}, which is no array", _AGAIN)
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
        raise NotAVoice(f"a zip with {name} encrypted, or compressed in a way that NumPy doesn't use", _AGAIN)
    if member.file_size > MAX_FILE:
        raise NotAVoice(f"a zip with {name} of {member.file_size:,} bytes", _AGAIN)
    with archive.open(member) as file:
        content = file.read(MAX_FILE)  # read() without a limit would inflate 2 GB before zipfile looks at the size
    try:
        return npy.read(content)
    except NotAVoice as refusal:
        raise NotAVoice(f"{name}: {refusal.got}", refusal.advice) from None

"""Voices as bytes, honest and hostile, and what the refusal of a file has to be."""

from __future__ import annotations

import io
import os
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kvw.errors import KvwError
from kvw.types import VOICE_SHAPE, Voice
from kvw.voices.files import load_voice
from kvw.voices.formats import npy, raw
from tests.conftest import audited

MEBIBYTES = 16  # of memory, beside the file's own
RAN = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "ctypes", "compile", "exec")


def a_voice(seed: int = 0) -> Voice:
    return np.random.default_rng(seed).normal(0, 0.2, VOICE_SHAPE).astype(np.float32)


A, B, C = a_voice(10), a_voice(11), a_voice(12)
PACK = {"af_a": A, "am_b": B, "af_c": C}
DATA = raw.write(A)
FLOATS = torch.zeros(VOICE_SHAPE)
NAN, INFINITE = a_voice(), a_voice()
NAN[509, 0, 255] = np.nan
INFINITE[0, 0, 0] = -np.inf


def torch_file(value: object, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def saved(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def zipped(members, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


class Payload:
    """Unpickles by making a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch '{self.marker}'",)


def objects(marker="marker"):
    array = np.empty(VOICE_SHAPE, dtype=object)
    array[0, 0, 0] = Payload(marker)
    return array


def swapped(member):
    return zipped({"good.npy": npy.write(A), "bad.npy": member})


def refused(path: Path) -> str:
    """The one line with which the loader refuses a file, in little memory, having run nothing in it."""
    with pytest.raises(KvwError) as caught:  # and twice more below: the first call imports
        load_voice(path)
    tracemalloc.start()
    try:
        with pytest.raises(KvwError):
            load_voice(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2.2 * (path.stat().st_size if path.is_file() else 0) + (MEBIBYTES << 20)
    with audited() as events, pytest.raises(KvwError):
        load_voice(path)
    assert not [event for event in events if event.startswith(RAN)]
    message = str(caught.value)
    assert caught.value.code == 2
    assert message.isprintable(), "one line, and nothing that moves a terminal's cursor"
    assert message.startswith(f"{path}: expected a voice") and ", got " in message and "; " in message
    assert len(message) < 600
    return message

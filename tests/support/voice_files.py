"""Sound voices, and what the refusal of a file has to be."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from kvw.errors import KvwError
from kvw.voices.files import load_voice
from tests.conftest import audited
from tests.support.hostile.packs import A
from tests.support.hostile.voices import a_voice

MEBIBYTES = 16  # of memory, beside the file's own
RAN = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "ctypes", "compile", "exec")


B, C = a_voice(1), a_voice(2)
PACK = {"af_a": A, "am_b": B, "af_c": C}


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

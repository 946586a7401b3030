"""Things beside voice files: what is no ordinary file, records that are none, and odd voices that are sound."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from kvw.voices.formats import npy, npz, raw, safetensors
from tests.support.hostile.packs import DATA, A
from tests.support.hostile.voices import GOOD


def sound() -> dict[str, tuple[str, bytes]]:
    """Voices that look odd and are none the worse: refusing these would be wrong."""
    tiny = A.copy()
    tiny[0, 0, :3] = [1e-45, -1e-40, -0.0]
    return {
        "torch's own": (".pt", GOOD),
        "subnormal numbers, npy": (".npy", npy.write(tiny)),
        "subnormal numbers, bin": (".bin", raw.write(tiny)),
        "a pack of odd names": (".npz", npz.write({"voix à deux": A, "声": A, "-rf": A, "CON": A, "$HOME": A})),
        "facts of another program": (".safetensors", safetensors.write(A, {"format": "pt"})),
    }


def oddities(folder: Path) -> dict[str, Path]:
    """Things that are no ordinary files; made in ``folder``."""
    found = {"a folder": folder / "folder.pt", "nothing": folder / "none.pt", "a long name": folder / f"{'n' * 300}.pt"}
    found["a folder"].mkdir()
    sizes = {
        "sparse.pt": 10 << 30,
        "sparse.bin": 522_240 * 20_000,
        "sparse.npz": 10 << 30,
        "sparse.safetensors": 8 << 30,
    }
    for name, size in sizes.items():
        found[f"{size >> 30} GB of nothing, {name}"] = folder / name
        (folder / name).touch()
        os.truncate(folder / name, size)
    for name, target in {"zero": "/dev/zero", "memory": "/proc/self/mem", "loop": "loop.pt", "pipe": "a pipe"}.items():
        with suppress(OSError):
            (folder / f"{name}.pt").symlink_to(target)
            found[f"a link to {target}"] = folder / f"{name}.pt"
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "a pipe")
        os.mkfifo(folder / "names.speakers.txt")
        (folder / "names.bin").write_bytes(DATA)
        found["names in a pipe"] = folder / "names.bin"
    return found


RECORDS = {
    "no JSON": b"\xff\xfe",
    "deep": b'{"a":' * 100_000,
    "twice a synthesiser": b'{"synthesiser": "kokoro", "synthesiser": "embedded"}',
    "a list that moves the cursor": b'{"synthesiser": ' + json.dumps(["\x1b[2J"] * 50_000).encode() + b"}",
    "an integer of 900,000 digits": b'{"synthesiser": ' + b"9" * 900_000 + b"}",
    "an object": b'{"synthesiser": {"_target_": "os.system"}}',
    "more than a mebibyte": b" " * (2 << 20),
}

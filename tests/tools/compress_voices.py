"""Makes ``kvw/data/stock_voices.npz`` of Kokoro's 54 stock voices, and prints what the compression loses.

    python -m tests.tools.compress_voices FOLDER

FOLDER has the real voices, as ``python -m kvw task=voices`` fetches them. Equal voices give equal bytes.
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import numpy as np

from kvw.runtime.files import write_whole
from kvw.types import KOKORO, Voice
from kvw.voices.files import load_bank
from kvw.voices.names import STOCK
from kvw.voices.stock import stock_voices
from tests.conftest import ROOT

CURVES = 5
FILE = ROOT / "kvw" / "data" / "stock_voices.npz"


def compressed(voices: dict[str, Voice]) -> dict[str, np.ndarray]:
    """The arrays of the file; the curves are the first left singular vectors of all voices' rows less their means."""
    rows = np.stack([voice[:, 0] for voice in voices.values()]).astype(np.float64)
    means = rows.mean(1)
    rest = rows - means[:, None]
    left, _, _ = np.linalg.svd(rest.transpose(1, 0, 2).reshape(rows.shape[1], -1), full_matrices=False)
    curves = left[:, :CURVES] * np.sqrt(len(left))  # of about one, as float16 likes it
    moves = np.einsum("rk,vrc->vkc", curves, rest) / len(left)
    halves = {"means": means, "curves": curves, "moves": moves}
    return {"names": np.array(list(voices)), **{name: array.astype(np.float16) for name, array in halves.items()}}


def packed(arrays: dict[str, np.ndarray]) -> bytes:
    """The bytes of an ``.npz`` without the time of day, which ``np.savez`` writes into it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.save(member, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue(), zipfile.ZIP_DEFLATED)
    return content.getvalue()


def main() -> None:
    bank = load_bank(Path(sys.argv[1]))
    if bank.synthesizer != KOKORO or bank.voices.keys() != STOCK:
        sys.exit(f"{sys.argv[1]} holds other voices than Kokoro's {len(STOCK)}")
    write_whole(FILE, packed(compressed(bank.voices)))
    real, kept = (np.stack(list(voices.values())).astype(np.float64) for voices in (bank.voices, stock_voices()))
    error, rows = kept - real, real - real.mean(1, keepdims=True)
    lost = (error**2).sum() / (rows**2).sum()
    sys.stdout.write(
        f"{FILE}: {FILE.stat().st_size:,} bytes; rms error {np.sqrt((error**2).mean()):.5f}, largest "
        f"{np.abs(error).max():.3f}, {1 - lost:.4%} of the variance over rows\n"
    )


if __name__ == "__main__":
    main()

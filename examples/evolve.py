"""Evolves a voice for a recording and speaks with it: ``python evolve.py [RECORDING "ITS WORDS"]``.

Without arguments it does so for the demo recording by the embedded synthesiser, which needs no download.
"""

from __future__ import annotations

import sys
from pathlib import Path

import soundfile

import kvw


def main() -> None:
    """Writes ``mine.pt``, its ``mine.json``, and ``mine.wav`` into the working directory."""
    if len(sys.argv) == 3:
        result = kvw.evolve(sys.argv[1], sys.argv[2])
    else:
        result = kvw.evolve(kvw.demo(), step_limit=40, synth="embedded")
    print(result)
    path = result.save(Path("mine.pt"))
    wave = kvw.speak(result, "Anything at all.")
    soundfile.write(path.with_suffix(".wav"), wave, 24_000)


if __name__ == "__main__":
    main()

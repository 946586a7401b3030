"""What an evaluation costs, against KVoiceWalk's way: ``make bench``, or ``python -m tests.benchmarks kokoro``.

Both sides of a row take turns in one run, on one thread, so that a noisy machine disturbs both: believe the ratios.
"""

from __future__ import annotations

import argparse
import platform
import sys
from importlib import import_module

import torch

from kvw.config.paths import DEMO
from kvw.runtime.workers import limit_threads

TEXTS = (
    DEMO.with_suffix(".txt").read_text("utf-8").strip(),
    "If you mix vinegar, baking soda, and a bit of dish soap in a tall cylinder, the resulting eruption is both a "
    "visual and tactile delight, often used in classrooms to simulate volcanic activity on a miniature scale.",
)
PARTS = ("embedded", "kokoro")


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; none is both")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"expected parts of {', '.join(PARTS)}; got {', '.join(sorted(unknown))}")
    limit_threads(1)
    say(f"{platform.platform()}, Python {platform.python_version()}, torch {torch.__version__}, 1 thread")
    for part in given.parts or PARTS:
        say("")
        for text in import_module(f"tests.benchmarks.{part}").tables(TEXTS):
            say(text)


def say(line: str) -> None:
    """Prints a line of a table."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

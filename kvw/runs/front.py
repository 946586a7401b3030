"""The voices that a run kept, and which of them are worth a choice: clearer, or nearer to the target.

A record keeps of most candidates no more than the rows that were heard. A choice by ear needs whole voices: these are
the files of a run's improvements, of what its strategies kept, and of its result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kvw.errors import KvwError
from kvw.runs.artifacts import CLEAR
from kvw.voices.files import facts_of

BEST = "best.pt"
"""The file of a run's result."""


@dataclass(frozen=True)
class Kept:
    """A voice that a run kept, with what was measured of it.

    Attributes:
        path: of the voice's file; beside it is a ``.wav`` of the target text.
        step: the candidate's number, from 0; None where the file does not say it.
        similarity: to the target, in [0, 1].
        words: share of the words that Whisper hears, in [0, 1]; None where the fitness does not count words.
        quality: DNSMOS on the held-out texts, in [1, 5]; None where nobody measured it, as of all but results.
    """

    path: Path
    step: int | None
    similarity: float
    words: float | None
    quality: float | None

    def dominates(self, other: Kept) -> bool:
        """Whether this voice is better in one figure and worse in none, of those that both have."""
        pairs = [
            (own, its)
            for own, its in (
                (self.similarity, other.similarity),
                (self.words, other.words),
                (self.quality, other.quality),
            )
            if own is not None and its is not None
        ]
        return all(own >= its for own, its in pairs) and any(own > its for own, its in pairs)


def front(folder: Path) -> list[Kept]:
    """The voices of a run that no other one dominates, and the result, the least similar to the target first.

    The result is among them wherever it stands: it is the best in the score, which counts more than these figures.

    Args:
        folder: of the run. Links in it, and files that can't be read, are left out.
    """
    voices = list(kept(folder))
    chosen = [
        voice for voice in voices if voice.path == folder / BEST or not any(other.dominates(voice) for other in voices)
    ]
    return sorted(chosen, key=lambda voice: (voice.similarity, -(voice.words or 0.0)))


def kept(folder: Path) -> Iterator[Kept]:
    """Every voice that a run kept, once, though an improvement and the result may be files of the same voice."""
    paths = [folder / BEST, folder / f"{CLEAR}.pt", *sorted(folder.glob("*.pt")), *sorted(folder.glob("*/*.pt"))]
    seen = set()
    for path in dict.fromkeys(paths):
        if path.is_symlink() or path.parent.is_symlink() or not path.is_file():
            continue
        try:
            facts = facts_of(path)
        except (KvwError, OSError):
            continue
        scores = facts.get("scores")
        if not isinstance(scores, dict) or (similarity := _figure(scores, "target_similarity")) is None:
            continue
        own = tuple(sorted((name, _figure(scores, name)) for name in scores))
        if own not in seen:
            seen.add(own)
            step = facts.get("step")
            words, quality = _figure(scores, "words_similarity"), _figure(facts, "quality")
            yield Kept(path, step if isinstance(step, int) else None, similarity, words, quality)


def _figure(facts: Mapping[str, Any], name: str) -> float | None:
    """A number of a record, which may be a stranger's."""
    value = facts.get(name)
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None

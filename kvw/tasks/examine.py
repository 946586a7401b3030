"""How voices do on texts and audio that no search ever heard: how near they are, and how clear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kvw.fitness.heldout import HeldOut
from kvw.reports.judges import Jury, verdict
from kvw.runs.result import JUDGED, HeldOutFigures
from kvw.search.archive import Archive, Entry
from kvw.types import SAMPLE_RATE, Voice, Wave

SILENCE = np.zeros(SAMPLE_RATE, dtype=np.float32)
"""Judged in the place of a text that a voice fails to say."""

SCORED = "the search heard this encoder too: its figures were optimised, and are no proof"

JUDGES = {"words": "word_errors", "quality": "quality", "speaker": "same_speaker"}
"""What the judges of held-out speech measure, see :data:`kvw.runs.result.JUDGED`, by their names in ``judges``."""


@dataclass
class Examiner:
    """Measures how voices do on held-out texts and audio.

    Attributes:
        heldout: measures similarity.
        texts: the held-out texts.
        jury: has the judges :data:`JUDGES`; where it is None or lacks one, nobody measures that.
        language: Kokoro's letter.
        scored: identities of the encoders that the search heard.
        lacking: why something was not measured, or is no proof, by its name.
    """

    heldout: HeldOut
    texts: Sequence[str]
    jury: Jury | None
    language: str
    scored: Sequence[str] = ()
    lacking: dict[str, str] = field(default_factory=dict)

    def __call__(self, voice: Voice) -> tuple[HeldOutFigures, list[Wave | None]]:
        """The figures of a voice, and what it says; None for a text that it fails to say."""
        similarities, waves = map(list, zip(*self.heldout.hear(voice), strict=True))
        heard = [SILENCE if wave is None else wave for wave in waves]
        figures: dict[str, float | None] = {}
        for name, what in JUDGES.items():
            judge = self.jury.judges.get(name) if self.jury else None
            speaker = self.heldout.audio
            found = "judges has none" if judge is None else verdict(judge, heard, self.texts, speaker, self.language)
            figures[what] = found if isinstance(found, float) else None
            if isinstance(found, str):
                self.lacking[JUDGED[what][0]] = found
            elif getattr(judge, "encoder", None) in self.scored:
                self.lacking[JUDGED[what][0]] = SCORED
        return HeldOutFigures(similarities, **figures), waves

    def nearest_clear(self, archive: Archive, stock: HeldOutFigures) -> tuple[Entry, HeldOutFigures] | None:
        """Of the archive's former bests the most similar that is as clear as a stock voice, and more similar than it.

        Returns:
            the voice and its figures; None where there is none.
        """
        for entry in reversed(archive.former):
            figures, _ = self(entry.voice)
            if figures.is_as_clear_as(stock) and figures.similarity > stock.similarity:
                return entry, figures
        return None

"""The files of a run's voices: improvements, the voices that strategies keep, and the compared voices' speech."""

from __future__ import annotations

import glob
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kvw.audio.write import write_audio
from kvw.runs.result import scores_of
from kvw.runtime.files import retry
from kvw.search.archive import Archive, Entry
from kvw.search.candidate import Candidate
from kvw.search.observer import Observer
from kvw.search.stage import SearchStage
from kvw.types import Voice, Wave
from kvw.voices.files import save_voice

CLEAR = "best_clear"
"""The files of the most similar voice that is as clear as the best stock voice, where the best one is not."""


class Improvements(Observer):
    """Saves improvements and the voices that strategies keep, as voice and audio.

    An improvement is ``{name}_{step}_{score}_{similarity}_{target}``, if all are kept, and the newest also ``best``.

    Args:
        folder: of the run.
        name: the files' first word.
        target: safe name of the target.
        facts: the provenance in every voice's ``.json``.
        speak: speaks the target text in a voice.
        keep_all: whether every improvement keeps files of its own.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        target: str,
        facts: Mapping[str, Any],
        speak: Callable[[Voice], Wave],
        keep_all: bool = True,
    ) -> None:
        self.folder, self.name, self.target, self.speak, self.keep_all = folder, name, target, speak, keep_all
        self.facts = dict(facts)
        self._saved = 0

    def ranked(self, ranking: Sequence[Entry], top: Sequence[Entry]) -> None:
        """Adds the stock voices that seed the search to the base voices, beside those of a starting voice."""
        self.facts["base_voices"] = base_voices(self.facts.get("base_voices", []), top)
        self._stock = {entry.voice.tobytes() for entry in ranking}

    def __call__(self, generation: int, population: Sequence[Candidate], archive: Archive) -> None:
        """Saves the best candidate of all so far, if it is a new one."""
        if archive.best and archive.improvements > self._saved:
            self._save_best(archive, archive.best)

    def resumed(self, archive: Archive, uncounted: int) -> None:
        """Saves the best candidate again: the run may have been killed before its files were complete."""
        if archive.best:
            self._save_best(archive, archive.best)

    def _save_best(self, archive: Archive, best: Entry) -> None:
        self._saved = archive.improvements
        score, similarity = best.evaluation.score, best.evaluation.target_similarity
        wave = self.speak(best.voice)
        own = f"{self.name}_{best.step}_{score:.2f}_{similarity:.2f}_{self.target}"
        for stem in (own, "best") if self.keep_all else ("best",):
            self.save(best, stem)
            write_audio(self.folder / f"{stem}.wav", wave)

    def save_clear(self, entry: Entry | None, facts: Mapping[str, Any]) -> None:
        """Saves ``best_clear``, or deletes that of an earlier end of the run where there is none now."""
        if entry:
            self.save(entry, CLEAR, **facts)
            write_audio(self.folder / f"{CLEAR}.wav", self.speak(entry.voice))
            return
        for path in self.folder.glob(f"{CLEAR}.*"):
            retry(path, partial(path.unlink, missing_ok=True))

    def ended(self, stage: SearchStage, reason: str, kept: Mapping[str, Sequence[Entry]]) -> None:
        """Saves the voices that a strategy keeps, in its order: ``{folder}/{number}_{score}_{similarity}_{target}``.

        Files of an earlier end of the stage, before the run was resumed, are deleted.
        """
        for name, entries in kept.items():
            folder = self.folder / name
            retry(folder, partial(folder.mkdir, exist_ok=True))
            own = [entry for entry in entries if entry.voice.tobytes() not in self._stock]
            stems = []
            for number, entry in enumerate(own, start=1):
                score, similarity = entry.evaluation.score, entry.evaluation.target_similarity
                stems.append(f"{number:02}_{score:.2f}_{similarity:.2f}_{self.target}")
                self.save(entry, f"{name}/{stems[-1]}", notes=dict(entry.notes))
                write_audio(folder / f"{stems[-1]}.wav", self.speak(entry.voice))
            for path in folder.glob(f"[0-9][0-9]_*_{glob.escape(self.target)}.*"):
                if path.stem not in stems:
                    retry(path, partial(path.unlink, missing_ok=True))

    def save(self, entry: Entry, stem: str, **more: Any) -> None:
        """Saves a voice with its provenance, step and scores, and with ``more`` facts."""
        step = {"step": entry.step} if entry.step >= 0 else {}
        facts = {**self.facts, **step, "scores": scores_of(entry.evaluation), **more}
        save_voice(self.folder / f"{stem}.pt", entry.voice, facts)


def base_voices(starting: Sequence[str], top: Sequence[Entry]) -> list[str]:
    """The names of the voices that a search begins with, each once: those of its starting voice, then its seeds."""
    return list(dict.fromkeys([*starting, *(entry.name for entry in top)]))


SPOKEN = "spoken"
"""The folder, in a run's, of the compared voices' audio: ``ROLE_NUMBER.flac``."""

ROLES = ("stock", "start", "best")
"""The best stock voice, the first candidate of a run with a starting voice, and the best candidate."""


def spoken_path(run: Path, role: str, number: int) -> Path:
    """The audio file of a voice speaking a text.

    Args:
        run: the run's folder.
        role: one of :data:`ROLES`.
        number: 0 is the target text (not of ``best``: that is ``best.wav``); then the held-out texts in order.
    """
    return run / SPOKEN / f"{role}_{number}.flac"


def keep_spoken(run: Path, spoken: Mapping[str, Sequence[Wave | None]]) -> None:
    """Writes the compared voices' audio; files of an earlier end of the run are deleted.

    Args:
        run: the run's folder.
        spoken: waves by role, in the order of :func:`spoken_path`'s numbers; None where there is no audio to write.

    Raises:
        StorageError: the storage is full, broken or gone.
        OSError: the folder can't be written.
    """
    folder = run / SPOKEN
    retry(folder, partial(folder.mkdir, exist_ok=True))
    for old in folder.glob("*.flac"):
        retry(old, partial(old.unlink, missing_ok=True))
    for role, waves in spoken.items():
        for number, wave in enumerate(waves):
            if wave is not None and len(wave) and np.isfinite(wave).all():
                write_audio(spoken_path(run, role, number), wave)

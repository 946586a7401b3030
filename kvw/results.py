"""What a run leaves behind: its folder, the improvements as voices and audio, and the summary.

``best.pt`` and ``best.wav`` are the candidate with the highest score. A stock voice is never copied out under our name.
"""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kvw import audio, voices
from kvw.archive import Archive, Entry
from kvw.candidate import Candidate, Evaluation
from kvw.chain import SearchStage
from kvw.disk import GONE, insist
from kvw.search import Observer, Result
from kvw.table import aligned
from kvw.types import EXIT_BAD_INPUT, EXIT_STORAGE, KvwError, Voice, Wave

LABELS = {"target": "Target Sim", "self": "Self Sim", "feature": "Feature Sim"}
"""The documents' names of the fitness stages."""


def figures(evaluation: Evaluation, notes: Mapping[str, float] | None = None) -> str:
    """The documents' figures of an evaluation, on one line."""
    parts = [f"{LABELS.get(name, name)}: {value:.3f}" for name, value in evaluation.parts.items()]
    more = [f"{name}: {value:.2f}".removesuffix(".00") for name, value in (notes or {}).items()]
    outcome = f"Score: {evaluation.score:.2f}" if evaluation.complete else f"{evaluation.status} {evaluation.detail}"
    return ", ".join([*parts, outcome.strip(), *more])


def new_folder(parent: Path, name: str) -> Path:
    """Makes ``parent/name``, with a number behind it where that is taken: runs may start in the same second.

    Raises:
        KvwError: it can't be made.
    """
    folder, number = parent / name, 1
    try:
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                number += 1
                folder = parent / f"{name}-{number}"
    except OSError as error:
        raise KvwError(
            f"output folder: expected to write to {parent}; got {error.strerror}; mend it, or choose another with "
            "hydra.run.dir=FOLDER",
            EXIT_STORAGE if error.errno in GONE else EXIT_BAD_INPUT,
        ) from error


def digest(wave: Wave) -> str:
    """sha256 over the samples of ``wave``, little-endian float32."""
    return hashlib.sha256(np.ascontiguousarray(wave, dtype="<f4").tobytes()).hexdigest()


def scores(evaluation: Evaluation) -> dict[str, float]:
    """The score and its parts as JSON values."""
    return {"score": evaluation.score, **{f"{name}_similarity": value for name, value in evaluation.parts.items()}}


class Improvements(Observer):
    """Saves improvements as ``{name}_{step}_{score}_{similarity}_{target}`` and as ``best``, and what strategies keep.

    Args:
        folder: of the run.
        name: what the files begin with.
        target: safe name of the target.
        facts: what every voice's ``.json`` says.
        speak: speaks the target text.
    """

    def __init__(
        self, folder: Path, name: str, target: str, facts: Mapping[str, Any], speak: Callable[[Voice], Wave]
    ) -> None:
        self.folder, self.name, self.target, self.speak = folder, name, target, speak
        self.facts = dict(facts)
        self._seen = 0

    def ranked(self, ranking: Sequence[Entry], top: Sequence[Entry]) -> None:
        """Remembers which stock voices the search starts from, beside a starting voice's own."""
        begun = self.facts.get("base_voices", [])
        self.facts["base_voices"] = list(dict.fromkeys([*begun, *(entry.name for entry in top)]))
        self._stock = {entry.voice.tobytes() for entry in ranking}

    def __call__(self, generation: int, population: Sequence[Candidate], archive: Archive) -> None:
        """Saves the best candidate if it is new."""
        if archive.best and archive.improvements > self._seen:
            self._save_best(archive, archive.best)

    def resumed(self, archive: Archive, uncounted: int) -> None:
        """Saves the best candidate again: the run may have been killed before it did."""
        if archive.best:
            self._save_best(archive, archive.best)

    def _save_best(self, archive: Archive, best: Entry) -> None:
        self._seen = archive.improvements
        score, similarity = best.evaluation.score, best.evaluation.target_similarity
        wave = self.speak(best.voice)
        for stem in (f"{self.name}_{best.step}_{score:.2f}_{similarity:.2f}_{self.target}", "best"):
            self.save(best, stem)
            audio.write(self.folder / f"{stem}.wav", wave)

    def ended(self, stage: SearchStage, reason: str, kept: Mapping[str, Sequence[Entry]]) -> None:
        """Saves what the stage's strategy keeps, in its order: ``{folder}/{number}_{score}_{similarity}_{target}``.

        What it kept where the run ended before, to go on, gives way.
        """
        for name, entries in kept.items():
            folder = self.folder / name
            insist(folder, partial(folder.mkdir, exist_ok=True))
            own = [entry for entry in entries if entry.voice.tobytes() not in self._stock]
            stems = []
            for number, entry in enumerate(own, start=1):
                score, similarity = entry.evaluation.score, entry.evaluation.target_similarity
                stems.append(f"{number:02}_{score:.2f}_{similarity:.2f}_{self.target}")
                self.save(entry, f"{name}/{stems[-1]}", notes=dict(entry.notes))
                audio.write(folder / f"{stems[-1]}.wav", self.speak(entry.voice))
            for path in folder.glob(f"[0-9][0-9]_*_{glob.escape(self.target)}.*"):
                if path.stem not in stems:
                    insist(path, partial(path.unlink, missing_ok=True))

    def save(self, entry: Entry, stem: str, **more: Any) -> None:
        """Saves a voice with its facts, and ``more`` of them."""
        step = {"step": entry.step} if entry.step >= 0 else {}
        facts = {**self.facts, **step, "scores": scores(entry.evaluation), **more}
        voices.save(self.folder / f"{stem}.pt", entry.voice, facts)


def summary(result: Result, heldout: Mapping[str, Sequence[float]], about: Mapping[str, str]) -> str:
    """The figures of a run as text: best stock voice, start and result, on the scored texts and held out.

    Args:
        result: of the search.
        heldout: similarities on the held-out texts, by the label of :func:`compared`.
        about: further lines, name and text.
    """
    lines = []
    if not result.improved:
        lines.append(f"no improvement: no candidate scored above the best stock voice, {result.baseline.name}")
    head = ("", "Score", *LABELS.values(), "Held-out")
    rows = [head]
    for label, entry in compared(result).items():
        parts = [entry.evaluation.parts.get(name) for name in LABELS]
        cells = ["-" if part is None else f"{part:.3f}" for part in parts]
        rows.append((label, f"{entry.evaluation.score:.2f}", *cells, f"{np.mean(heldout[label]):.3f}"))
    lines += aligned(rows, 1)
    lines += [f"{name}: {text}" for name, text in about.items()]
    return "\n".join(lines)


def compared(result: Result) -> dict[str, Entry]:
    """What a summary compares, by label."""
    rows = {f"best stock voice, {result.baseline.name}": result.baseline}
    if result.start:
        rows["start"] = result.start
    if result.archive.best:
        rows[f"result, step {result.archive.best.step}"] = result.archive.best
    return rows


def report(result: Result, heldout: Mapping[str, Sequence[float]], facts: Mapping[str, Any]) -> str:
    """The same as JSON, with everything in it."""
    rows = {
        label: {**scores(entry.evaluation), "status": entry.evaluation.status, "heldout": list(heldout[label])}
        for label, entry in compared(result).items()
    }
    archive = result.archive
    record = {
        **facts,
        "improved": result.improved,
        "stopped_because": result.reason,
        "seconds": result.seconds,
        "evaluations": archive.steps,
        "complete": archive.complete,
        "failures": archive.failures,
        "synthesised_seconds": archive.synthesised,
        "voices": rows,
    }
    return json.dumps(record, indent=2, ensure_ascii=False) + "\n"

"""``tracking=tensorboard``: a run's figures and audio where TensorBoard shows them, ``tensorboard --logdir outputs``.

The log is made of the run's record: where a run goes on it is written anew from that, so that nothing is in it twice
and nothing lacks, whatever ended the run, and whether it was tracked before or not.
"""

from __future__ import annotations

import glob
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kvw.audio.decode import decode_file
from kvw.errors import KvwError
from kvw.evaluation import Evaluation
from kvw.runs.comparison import flat
from kvw.runs.reader import Run
from kvw.runs.samples import Sample
from kvw.search.archive import Archive
from kvw.search.candidate import Candidate
from kvw.search.observer import Observer
from kvw.types import SAMPLE_RATE

try:
    from torch.utils.tensorboard import SummaryWriter
    from torch.utils.tensorboard.summary import hparams
except ImportError as error:
    raise ImportError(
        "expected the package tensorboard; it is not installed; pip install 'kvw[tensorboard]'"
    ) from error


FOLDER = "tensorboard"
"""Of a run, with its log."""

SETTINGS = ("seed", "population_limit", "step_limit", "strategy", "space", "fitness", "stages")
"""Keys of the config that are the hyper-parameters of a run."""


class TensorBoard(Observer):
    """Writes what a search does as events; a step is a candidate.

    Of every candidate it writes the score, if that is complete, and its parts; of every generation the best score, the
    share of candidates that were stopped, and evaluations a second; of every improvement the audio; of the run its
    settings, and in the end the held-out similarities.

    Args:
        folder: of the run, whose record is there.
        config: of the run.
        stem: with which the names of its improvements begin.
    """

    def __init__(self, *, folder: Path, config: Mapping[str, Any], stem: str) -> None:
        self._run, self._stem = folder, stem
        self._stopped = self._seen = 0
        self._at = time.monotonic()
        place = folder / FOLDER
        place.mkdir(exist_ok=True)
        for old in place.glob("events.out.tfevents.*"):
            old.unlink()
        self._writer = SummaryWriter(str(place))
        chosen = flat({key: config[key] for key in SETTINGS if config.get(key) is not None})
        events = self._writer.file_writer
        assert events is not None
        for summary in hparams(chosen, {"best/score": 0.0, "heldout/best": 0.0}):
            events.add_summary(summary)

    def resumed(self, archive: Archive, uncounted: int) -> None:
        """Writes what the record has of the run so far."""
        run = Run(self._run)
        better = {one.step for one in run.improvements(run.candidates())}
        generation: list[Sample] = []
        best = 0.0

        def flush() -> None:
            last = generation[-1].step
            self._scalar("stopped", self._stopped / (last + 1), last)
            if best:
                self._scalar("best/score", best, last)
            generation.clear()

        for one in run.candidates():
            if one.step >= archive.steps:  # the record has what the checkpoint before a damaged one lacks
                break
            if generation and one.generation > generation[-1].generation:
                flush()
            generation.append(one)
            self._candidate(one.evaluation, one.step)
            if one.step in better:
                best = one.evaluation.score
                self._audio(one.step)
        if generation:
            flush()
        self._seen, self._at = archive.improvements, time.monotonic()
        self._writer.flush()

    def __call__(self, generation: int, population: Sequence[Candidate], archive: Archive) -> None:
        """Writes a generation."""
        last, best = archive.steps - 1, archive.best
        for step, candidate in enumerate(population, start=archive.steps - len(population)):
            if candidate.evaluation:
                self._candidate(candidate.evaluation, step)
        now = time.monotonic()
        self._scalar("stopped", self._stopped / archive.steps, last)
        self._scalar("evaluations_per_second", len(population) / max(now - self._at, 1e-9), last)
        self._at = now
        if best:
            self._scalar("best/score", best.evaluation.score, last)
            if archive.improvements > self._seen:
                self._seen = archive.improvements
                self._audio(best.step)

    def close(self) -> None:
        """Writes how the run was judged, if it has ended, and closes the log."""
        try:
            for role, similarities in Run(self._run).heldout.items():
                self._scalar(f"heldout/{role}", float(np.mean(similarities)), 0)
        finally:
            self._writer.close()

    def _candidate(self, seen: Evaluation, step: int) -> None:
        self._stopped += seen.status == "stopped"
        if seen.complete:
            self._scalar("score", seen.score, step)
        for name, part in seen.parts.items():
            self._scalar(f"parts/{name}", part, step)

    def _audio(self, step: int) -> None:
        """The audio of an improvement, as the run saved it before."""
        for path in self._run.glob(f"{glob.escape(self._stem)}_{step}_*.wav"):
            try:
                wave = decode_file(path)
            except KvwError:
                continue
            self._writer.add_audio("best", wave[None], step, SAMPLE_RATE)

    def _scalar(self, name: str, value: float, step: int) -> None:
        self._writer.add_scalar(name, value, step)

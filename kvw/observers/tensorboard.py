"""``tracking=tensorboard``: logs a run's figures and audio for ``tensorboard --logdir outputs``.

When a run resumes, its log is written anew from its record: every candidate is in the log once, however the run ended,
and whether the run was tracked before or not.
"""

from __future__ import annotations

import glob
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kvw.audio.decode import decode_file
from kvw.errors import KvwError
from kvw.evaluation import Evaluation
from kvw.runs.comparison import flat
from kvw.runs.reader import Run
from kvw.runs.result import facts_of
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
"""Name of the log's folder in a run's folder."""

SETTINGS = ("seed", "population_limit", "step_limit", "strategy", "space", "fitness", "stages")
"""Keys of the config that are logged as hyper-parameters."""


class TensorBoard(Observer):
    """Writes the events of a search; an event's step is that of a candidate.

    Events of a candidate are its score, if it is complete, and its parts; of a generation the best score, the share of
    stopped candidates, and evaluations a second; of an improvement its audio; of the run its settings, and at its end
    the held-out similarities.

    Args:
        folder: the run's, with its record.
        config: the run's.
        stem: the start of the file names of the run's improvements.
    """

    def __init__(self, *, folder: Path, config: Mapping[str, Any], stem: str) -> None:
        self._run, self._stem = folder, stem
        self._stopped = self._improvements = 0
        self._at = time.monotonic()
        log_folder = folder / FOLDER
        log_folder.mkdir(exist_ok=True)
        for old in log_folder.glob("events.out.tfevents.*"):
            old.unlink()
        self._writer = SummaryWriter(str(log_folder))
        chosen = flat({key: config[key] for key in SETTINGS if config.get(key) is not None})
        events = self._writer.file_writer
        assert events is not None
        for summary in hparams(chosen, {"best/score": 0.0, "heldout/best": 0.0}):
            events.add_summary(summary)

    def resumed(self, archive: Archive, uncounted: int) -> None:
        """Writes the events of all candidates that the run's record has so far."""
        run = Run(self._run)
        better = {sample.step for sample in run.improvements(run.candidates())}
        generation: list[Sample] = []
        best = 0.0

        def flush() -> None:
            last = generation[-1].step
            self._scalar("stopped", self._stopped / (last + 1), last)
            if best:
                self._scalar("best/score", best, last)
            generation.clear()

        for sample in run.candidates():
            if sample.step >= archive.steps:  # a run that resumes from an older checkpoint evaluates these again
                break
            if generation and sample.generation > generation[-1].generation:
                flush()
            generation.append(sample)
            self._candidate(sample.evaluation, sample.step)
            if sample.step in better:
                best = sample.evaluation.score
                self._audio(sample.step, archive)
        if generation:
            flush()
        self._improvements, self._at = archive.improvements, time.monotonic()
        self._writer.flush()

    def __call__(self, generation: int, population: Sequence[Candidate], archive: Archive) -> None:
        """Writes the events of a generation."""
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
            if archive.improvements > self._improvements:
                self._improvements = archive.improvements
                self._audio(best.step, archive)

    def close(self) -> None:
        """Writes the figures on held-out texts, if the run has been judged, and closes the log."""
        try:
            for role, figures in Run(self._run).heldout.items():
                for name, value in facts_of(figures).items():
                    if value is not None:
                        self._scalar(f"{name}/{role}", value, 0)
        finally:
            self._writer.close()

    def _candidate(self, evaluation: Evaluation, step: int) -> None:
        self._stopped += evaluation.status == "stopped"
        if evaluation.complete:
            self._scalar("score", evaluation.score, step)
        for name, part in evaluation.parts.items():
            self._scalar(f"parts/{name}", part, step)

    def _audio(self, step: int, archive: Archive) -> None:
        """Writes the audio of an improvement, if the run has kept it: the newest is always there."""
        kept = [*self._run.glob(f"{glob.escape(self._stem)}_{step}_*.wav")]
        if not kept and archive.best and archive.best.step == step:
            kept = [self._run / "best.wav"]
        for path in kept:
            try:
                wave = decode_file(path)
            except KvwError:
                continue
            self._writer.add_audio("best", wave[None], step, SAMPLE_RATE)

    def _scalar(self, name: str, value: float, step: int) -> None:
        self._writer.add_scalar(name, value, step)

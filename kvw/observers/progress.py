"""Progress of a search: a live line on a terminal, a plain line every 20 seconds in a pipe, and each improvement."""

from __future__ import annotations

import logging
import multiprocessing
import shutil
import sys
import time
from collections.abc import Callable, Sequence

from tqdm import tqdm

from kvw.runs.result import figures_line
from kvw.search.archive import Archive, Entry
from kvw.search.candidate import Candidate
from kvw.search.observer import Observer
from kvw.search.stage import SearchStage
from kvw.text import duration

log = logging.getLogger(__name__)

PIPE_SECONDS = 20.0
"""Seconds between two plain lines."""

SCORED_SHARE = 0.5
"""Share of candidates that pass the first gate, for estimates; measured for KVoiceWalk's walk: 0.47."""


class Progress(Observer):
    """Shows and logs the progress of a search.

    Args:
        step_limit: most candidates of the search, beside those that do not count against it.
    """

    def __init__(self, step_limit: int) -> None:
        self.step_limit = step_limit
        self._uncounted = self._done = self._before = 0
        alone = multiprocessing.current_process().name == "MainProcess"  # the jobs of a sweep share the terminal
        quiet = not (alone and sys.stderr.isatty())
        self._bar = tqdm(total=0, unit="voice", disable=quiet, bar_format="{desc}", leave=False)
        self._started = self._logged_at = self._searching = self._better = time.monotonic()
        self._ranked_at = [(0, self._started)]
        self._improvements = 0

    def ranking(self, done: int, total: int) -> None:
        """Shows the progress of the ranking."""
        self._ranked_at.append((done, time.monotonic()))
        self._show(done, total, "ranking", lambda room: "")

    def ranked(self, ranking: Sequence[Entry], top: Sequence[Entry]) -> None:
        """Logs the nearest stock voices, and estimates the seconds of a candidate."""
        log.info("The %d stock voices nearest to the target, of %d:", len(top), len(ranking))
        for entry in top:
            log.info("  %-14s %s", entry.name, figures_line(entry.evaluation))
        # a resumed run has no ranking to measure
        self._step_seconds = step_seconds(self._ranked_at, len(ranking), len(top)) if len(self._ranked_at) > 1 else 0.0
        self._searching = self._logged_at = self._better = time.monotonic()

    def resumed(self, archive: Archive, uncounted: int) -> None:
        """Logs the step at which the search resumes, and its best candidate so far."""
        self._done, self._uncounted, self._improvements = archive.steps, uncounted, archive.improvements
        self._before = archive.steps
        log.info("Resuming after %d candidates", archive.steps)
        if archive.best:
            log.info("Step %d: %s", archive.best.step, figures_line(archive.best.evaluation, archive.best.notes))

    def began(self, stage: SearchStage, total: int | None) -> None:
        """Logs the candidates of a stage and the time that they will take."""
        self._uncounted += total or 0
        allowed = self.step_limit + self._uncounted - self._done
        allowed = min(stage.limit or allowed, allowed)
        count = f"{total} candidates, beside step_limit" if total else f"up to {allowed} candidates"
        known = self._step_seconds and not stage.pullbacks  # the ranking tells nothing of what a gradient takes
        takes = f", about {duration(self._step_seconds * (total or allowed))}" if known else ""
        log.info("%s: %s%s", stage.name, count, takes)

    def __call__(self, generation: int, population: Sequence[Candidate], archive: Archive) -> None:
        """Shows the progress of the search, and logs a new best candidate."""
        self._done = archive.steps
        best = archive.best
        if best and archive.improvements > self._improvements:
            self._improvements = archive.improvements
            log.info("Step %d: %s", best.step, figures_line(best.evaluation, best.notes))
            self._better = time.monotonic()
        now = time.monotonic()
        limit = self.step_limit + self._uncounted
        rate = (archive.steps - self._before) / max(now - self._searching, 1e-9)
        since = now - self._better
        self._show(archive.steps, limit, "searching", lambda room: standing(archive, rate, since, room))

    def close(self) -> None:
        """Removes the live line from the terminal."""
        self._bar.close()

    def _show(self, done: int, total: int, what: str, more: Callable[[int], str]) -> None:
        """Shows ``done`` of ``total``, the time left, and the text that ``more`` makes for a number of characters."""
        now = time.monotonic()
        left = f"{duration((now - self._searching) / max(done - self._before, 1) * max(total - done, 0))} left"
        if not self._bar.disable:
            columns = shutil.get_terminal_size().columns - 1
            first = f"{done}/{total}"
            line = f"{first}, {more(columns - len(first) - len(left) - 4) or what}, {left}"
            self._bar.total, self._bar.n = total, done
            self._bar.set_description_str(line[:columns], refresh=False)
            self._bar.refresh() if done >= total else self._bar.update(0)
        elif now - self._logged_at >= PIPE_SECONDS:
            self._logged_at = now
            log.info("%s: %d of %d, %s", what, done, total, ", ".join(filter(None, (left, more(1000)))))


def standing(archive: Archive, rate: float, since: float, room: int) -> str:
    """The best score, as many of its parts as there is room for, the share of stopped candidates, and the pace.

    Args:
        archive: of the search, with at least one candidate.
        rate: candidates a second.
        since: seconds since the last improvement.
        room: characters at most.
    """
    pace = f"{archive.stopped / archive.steps:.0%} stopped, {rate:.1f}/s"
    if not archive.best:
        return f"none scored yet, {pace}"
    evaluation = archive.best.evaluation
    parts = [f"{name} {value:.2f}".replace(" 0.", " .") for name, value in evaluation.parts.items()]
    while True:
        shown = f" ({' '.join(parts)})" if parts else ""
        line = f"best {evaluation.score:.2f}{shown} {duration(since)} ago, {pace}"
        if len(line) <= room or not parts:
            return line
        parts.pop()


def step_seconds(ranked_at: Sequence[tuple[int, float]], voices: int, top: int) -> float:
    """Estimated seconds of a candidate, from the pace of the ranking.

    The last evaluations of the ranking complete the nearest voices, which have spoken the target text by then; the ones
    before them are of the target text alone, by all voices; or by some, behind a short text or as an atlas orders them.

    Args:
        ranked_at: pairs (evaluations done, time in seconds), in order, beginning with (0, start).
        voices: how many stock voices there are.
        top: how many of them were completed.
    """
    total, end = ranked_at[-1]
    begun = max(total - voices - top, 0)  # those behind a short text; 0 without one
    # from the first batch on, where there are two: before that, workers start
    before, started = next(
        ((done, at) for done, at in ranked_at if (voices if begun else 1) <= done < total - top), ranked_at[0]
    )
    spoken = next(at for done, at in ranked_at if done >= total - top)
    return (spoken - started) / (total - top - before) + SCORED_SHARE * (end - spoken) / top

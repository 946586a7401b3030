"""The end of a run: the result is judged on what no search ever heard, and the summary is written."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from kvw.config.inputs import Inputs
from kvw.errors import EXIT_TOO_MANY_FAILURES, KvwError
from kvw.fitness.heldout import HeldOut
from kvw.runs import folders
from kvw.runs.artifacts import Improvements, keep_spoken
from kvw.runs.result import compared, result_json, summary
from kvw.runtime.files import write_whole
from kvw.search.archive import Entry
from kvw.search.loop import SearchResult
from kvw.text import duration
from kvw.types import Wave

log = logging.getLogger(__name__)


def conclude(result: SearchResult, heldout: HeldOut, improvements: Improvements, inputs: Inputs, folder: Path) -> float:
    """Judges a search on what it never scored, and writes and logs its summary."""
    best = result.archive.best
    if not result.archive.steps:
        took = duration(result.seconds)
        raise KvwError(
            f"minutes: expected more than the ranking takes; it took {took}: nothing was searched; allow more"
        )
    if best is None and not result.archive.failures:
        raise KvwError("every candidate was a stock voice; allow more steps")
    if best is None:
        counts = ", ".join(f"{count} {status}" for status, count in result.archive.failures.items())
        raise KvwError(
            f"none of {result.archive.steps} candidates could be scored ({counts}); see {folder / 'run.db'}",
            EXIT_TOO_MANY_FAILURES,
        )
    log.info("Judging on held-out texts and audio")
    rows = compared(result)
    by_step: dict[int, list[float]] = {}
    waves: dict[int, list[Wave | None]] = {}
    for label, entry in rows.items():
        if entry.step not in by_step:  # the start may be the result
            heard = heldout.hear(entry.voice)
            by_step[entry.step] = [similarity for similarity, _ in heard]
            waves[entry.step] = [wave for _, wave in heard]
            log.info("  %s: %.3f", label, np.mean(by_step[entry.step]))
    judged = {label: by_step[entry.step] for label, entry in rows.items()}
    improvements.save(best, "best", heldout=float(np.mean(by_step[best.step])))
    entries = {"stock": result.baseline, "start": result.start, "best": best}
    with forgiven("what the voices say is not kept for a report"):
        spoken = {role: entry for role, entry in entries.items() if entry}
        first = {role: speech(entry, improvements) for role, entry in spoken.items() if role != "best"}  # best.wav
        keep_spoken(folder, {role: [first.get(role), *waves[entry.step]] for role, entry in spoken.items()})
    lengths = [script.phonemes for script in heldout.scripts]
    archive = result.archive
    about = {
        "Target": inputs.target.summary,
        "Held-out": f"mean of {len(lengths)} texts of {min(lengths)} to {max(lengths)} phonemes, "
        f"against {inputs.target.heldout_note}",
        "Synthesiser": str(improvements.facts["synthesiser"]),
        "Search": f"{archive.steps} candidates in {duration(result.seconds)}, {archive.synthesised:.0f} s of audio, "
        f"{archive.stopped / archive.steps:.0%} stopped early, {archive.failed} failed; {result.reason}",
        "Result": f"{folder / 'best.pt'} and best.wav",
    }
    text = summary(result, judged, about)
    write_whole(folder / folders.SUMMARY, f"{text}\n".encode())
    write_whole(folder / folders.RESULT, result_json(result, judged, improvements.facts).encode())
    log.info("\n%s", text)
    return best.evaluation.score


def speech(entry: Entry, improvements: Improvements) -> Wave | None:
    """The voice speaking the target text; None of a candidate that could not be scored."""
    return None if entry.evaluation.failed else improvements.speak(entry.voice)


@contextmanager
def forgiven(what: str) -> Iterator[None]:
    """Says in one line what goes wrong within: a finished run is not lost over what can be made later."""
    try:
        yield
    except Exception as error:  # a full disk, a plugin, a figure
        log.warning("%s: %s", what, " ".join(f"{type(error).__name__}: {error}".split())[:300])

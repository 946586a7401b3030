"""The end of a search: its result is judged on held-out texts and audio, and a run gets its summary."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kvw.config.inputs import Inputs
from kvw.errors import EXIT_TOO_MANY_FAILURES, KvwError, error_line
from kvw.runs import folders
from kvw.runs.artifacts import Improvements, keep_spoken
from kvw.runs.result import (
    HELDOUT_LABELS,
    UNCLEAR,
    HeldOutFigures,
    compared,
    facts_of,
    result_json,
    summary,
    verdict_of,
)
from kvw.runtime.files import write_whole
from kvw.runtime.workers import every_core
from kvw.search.archive import Entry
from kvw.search.loop import SearchResult
from kvw.tasks.examine import Examiner
from kvw.text import duration
from kvw.types import Wave

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """A search that has ended, and how its voices do on texts and audio that no search ever heard.

    Attributes:
        result: of the search; ``result.archive.best`` is not None.
        heldout: of each voice that a summary compares, by its label: its figures on the held-out texts.
        waves: what these voices say on the held-out texts; None for a text that a voice failed to say.
        lacking: what was not measured of them, and why.
        clear: of a result that is less clear than the best stock voice, the voice to take in its place, with its
            figures: see :meth:`kvw.tasks.examine.Examiner.nearest_clear`; else None.
        provenance: where the voice comes from, as JSON values: synthesiser, target, strategy, seed, versions, ...
        folder: of the run; None where nothing was written.
    """

    result: SearchResult
    heldout: dict[str, HeldOutFigures]
    waves: dict[str, list[Wave | None]]
    lacking: Mapping[str, str]
    clear: tuple[Entry, HeldOutFigures] | None
    provenance: Mapping[str, Any]
    folder: Path | None = None

    @property
    def best(self) -> Entry:
        """The best candidate."""
        return best_of(self.result)

    @property
    def verdict(self) -> str:
        """As :func:`kvw.runs.result.verdict_of`."""
        stock, *_, best = self.heldout.values()
        return verdict_of(self.result, stock, best)


def best_of(result: SearchResult) -> Entry:
    """The best candidate of a search.

    Raises:
        KvwError: there is none; the message says why.
    """
    archive = result.archive
    if archive.best:
        return archive.best
    if not archive.steps:
        took = duration(result.seconds)
        raise KvwError(
            f"minutes: expected more than the ranking takes; it took {took}: nothing was searched; allow more"
        )
    if archive.stopped == archive.steps:
        raise KvwError(
            f"the gates stopped all {archive.steps} candidates; allow more steps, or set fitness.gates.STAGE=null"
        )
    if not archive.failures:
        raise KvwError("every candidate was a stock voice; allow more steps")
    counts = ", ".join(f"{count} {status}" for status, count in archive.failures.items())
    raise KvwError(f"none of {archive.steps} candidates could be scored ({counts})", EXIT_TOO_MANY_FAILURES)


def judge(
    result: SearchResult, examiner: Examiner, provenance: Mapping[str, Any], folder: Path | None = None
) -> Outcome:
    """Judges the voices that a summary compares on held-out texts and audio.

    Raises:
        KvwError: no candidate could be scored.
    """
    best_of(result)
    log.info("Judging on held-out texts and audio")
    seen: dict[int, tuple[HeldOutFigures, list[Wave | None]]] = {}
    rows = compared(result)
    for label, entry in rows.items():
        if entry.step not in seen:  # the start may be the result
            with every_core():  # nobody else is at work
                seen[entry.step] = examiner(entry.voice)
            log.info("  %s: %s", label, ", ".join(seen[entry.step][0].cells()))
    heldout = {label: seen[entry.step][0] for label, entry in rows.items()}
    waves = {label: seen[entry.step][1] for label, entry in rows.items()}
    stock, *_, best = heldout.values()
    clear = None
    if verdict_of(result, stock, best) == UNCLEAR:
        log.info("The result is less clear than %s: judging voices that were the best before", result.baseline.name)
        clear = examiner.nearest_clear(result.archive, stock)
    return Outcome(result, heldout, waves, examiner.lacking, clear, provenance, folder)


def conclude(outcome: Outcome, examiner: Examiner, improvements: Improvements, inputs: Inputs) -> None:
    """Writes what a run ends with: held-out figures, what the voices say, and the summary, which is logged too."""
    folder, result, archive = improvements.folder, outcome.result, outcome.result.archive
    rows = compared(result)
    own = list(rows)[-1]
    improvements.save(outcome.best, "best", **facts_of(outcome.heldout[own]))
    improvements.save_clear(outcome.clear and outcome.clear[0], facts_of(outcome.clear[1]) if outcome.clear else {})
    with forgiven("what the voices say is not kept for a report"):
        keep_spoken(folder, spoken_of(outcome, improvements))
    lengths = [script.phonemes for script in examiner.heldout.scripts]
    candidates = "1 candidate" if archive.steps == 1 else f"{archive.steps} candidates"
    climbed = f" ({archive.gradients} gradients)" if archive.gradients else ""
    about = {
        "Target": inputs.target.summary,
        "Held-out": f"mean of {texts_of(lengths)}, against {inputs.target.heldout_note}",
        "Synthesiser": str(improvements.facts["synthesiser"]),
        "Search": f"{candidates}{climbed} in {duration(result.seconds)}, {duration(result.ranked)} of them for ranking "
        f"stock voices; {archive.synthesised:.0f} s of audio, {archive.stopped / archive.steps:.0%} stopped early, "
        f"{archive.failed} failed; {result.reason}",
        "Result": f"{folder / 'best.pt'} and best.wav",
    }
    if outcome.verdict == UNCLEAR:
        about["Clear"] = clear_line(outcome)
    about |= outcome.lacking
    text = summary(result, outcome.heldout, about)
    write_whole(folder / folders.SUMMARY, f"{text}\n".encode())
    content = result_json(result, outcome.heldout, lengths, improvements.facts)
    write_whole(folder / folders.RESULT, content.encode())
    log.info("\n%s", text)


def texts_of(lengths: Sequence[int]) -> str:
    """How many texts there are, of how many phonemes."""
    if len(lengths) == 1:
        return f"1 text of {lengths[0]} phonemes"
    return f"{len(lengths)} texts of {min(lengths)} to {max(lengths)} phonemes"


def clear_line(outcome: Outcome) -> str:
    """Which voice to take in the place of a result that is less clear than the best stock voice."""
    if not outcome.clear:
        return f"take the stock voice {outcome.result.baseline.name}: no voice of this search is as clear and nearer"
    entry, figures = outcome.clear
    told = ", ".join(f"{label} {cell}" for label, cell in zip(HELDOUT_LABELS, figures.cells(), strict=True))
    return f"best_clear.pt, step {entry.step}, is the most similar voice that is still as clear: {told}"


def spoken_of(outcome: Outcome, improvements: Improvements) -> dict[str, list[Wave | None]]:
    """What each compared voice says, by its role: the target text, then the held-out texts.

    The best candidate's target text is left out, since ``best.wav`` has it; so is that of a voice that failed.
    """
    result = outcome.result
    labels = {id(entry): label for label, entry in compared(result).items()}
    entries = {"stock": result.baseline, "start": result.start, "best": outcome.best}
    spoken = {}
    for role, entry in entries.items():
        if entry:
            silent = role == "best" or entry.evaluation.failed
            spoken[role] = [None if silent else improvements.speak(entry.voice), *outcome.waves[labels[id(entry)]]]
    return spoken


@contextmanager
def forgiven(what: str) -> Iterator[None]:
    """Logs an error of its block in one line: a finished run is not lost over files that can be made later."""
    try:
        yield
    except Exception as error:  # a full disk, a plugin, a figure
        log.warning("%s: %s", what, error_line(error))

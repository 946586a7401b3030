"""``task=compare``: strategies on recordings of several speakers, measured by what no search heard.

Read :func:`compare` first. The searches are those of :mod:`kvw.tasks.cells`; they run one after the other, with the
executor of the command line and without judges: :mod:`kvw.tasks.measure` judges every voice once, from the audio that
its run kept.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kvw.audio.recordings import by_speaker
from kvw.audio.target import Target, read_target
from kvw.config.invocation import Invocation
from kvw.config.paths import PACKAGE
from kvw.config.schema import plain
from kvw.errors import EXIT_ITEMS_FAILED, EXIT_STORAGE, KvwError, error_line, some_failed
from kvw.runtime.files import write_whole
from kvw.runtime.workers import every_core
from kvw.tasks.cells import Search, searches
from kvw.tasks.report import jury_of
from kvw.text import aligned, nearest

if TYPE_CHECKING:
    from kvw.reports.comparison import Comparison

log = logging.getLogger(__name__)

CSV, PAGE, EAR_TEST = "compare.csv", "compare.html", "ear_test.html"

UNHEARD = PACKAGE / "data" / "unheard.txt"
"""Texts that nobody searches on, of 20 to 320 phonemes: English ones."""


def compare(
    invocation: Invocation,
    *,
    recordings: str | None,
    contenders: Any,
    only: Any,
    seeds: Any,
    folder: str,
    heard: str | None,
) -> float:
    """Searches with every contender for every speaker with every seed, and writes what was found.

    Args:
        invocation: whose other keys go to each search; its ``judges`` judge the results.
        recordings: a folder, see :func:`kvw.audio.recordings.by_speaker`.
        contenders: overrides, a list or a line, by name.
        only: names of the contenders that take part; None for all.
        seeds: of each contender on each speaker.
        folder: below the folder of all runs.
        heard: a CSV of an ear test, which is counted in the place of all that; None for none.

    Returns:
        how many searches have a result; of an ear test, how many answers.

    Raises:
        KvwError: bad input, before anything is searched; or, after everything is written, some searches failed.
    """
    from kvw.reports import ear_test  # what it imports takes a second, as that of the other imports within this module

    if heard is not None:
        answers = ear_test.read_answers(Path(heard))
        log.info("%s", "\n".join(aligned(ear_test.counted(answers), 2)))
        return float(len(answers))
    chosen = chosen_contenders(contenders, only)
    if recordings is None:
        raise KvwError("task.recordings: expected a folder with recordings of several speakers; got none")
    if not isinstance(seeds, list) or not seeds or any(type(seed) is not int or seed < 0 for seed in seeds):
        raise KvwError(f"task.seeds: expected whole numbers from 0 on, such as [0,1,2]; got {seeds!r:.80}")
    paths = by_speaker(Path(recordings))
    speakers, refused = read_speakers(paths)
    place, cfg = invocation.outputs / folder, invocation.cfg
    own_texts = cfg.heldout_texts or cfg.language.letter not in ("a", "b")
    planned = searches(invocation, chosen, paths, speakers, seeds, place, None if own_texts else UNHEARD)
    finished = sum(bool(search.run) for search in planned)
    log.info("%d searches, %d of them finished; folder %s", len(planned), finished, place)
    if cfg.dry_run:
        return float(finished)
    errors = finish(planned)
    found = judge_and_write(invocation, planned, errors, speakers, refused, place)
    failed = [str(search) for search, cell in zip(planned, found.cells, strict=True) if cell.error]
    problems = [some_failed(list(refused), len(paths), "speakers")] if refused else []
    problems += [some_failed(failed, len(planned), "searches", "; run it again to try them again")] if failed else []
    if problems:
        raise KvwError("\n".join(map(str, problems)), EXIT_ITEMS_FAILED)
    return float(len(planned))


def chosen_contenders(contenders: Any, only: Any) -> dict[str, Any]:
    """The contenders that take part.

    Raises:
        KvwError: there are none, or ``only`` names one that is not there.
    """
    known = dict(contenders) if isinstance(contenders, Mapping) else {}
    names = list(known) if only is None else [str(name) for name in (only if isinstance(only, list) else [only])]
    for name in names:
        if name not in known:
            raise KvwError(f"task.only: there is no contender {name!r:.80}{nearest(name, known)}")
    if not names:
        raise KvwError("task.contenders: expected command lines by name; got none")
    return {name: known[name] for name in names}


def read_speakers(paths: Mapping[str, Sequence[Path]]) -> tuple[dict[str, Target], dict[str, str]]:
    """Reads the recordings of every speaker: the first one is the target, the others judge.

    Returns:
        What was read, and why of other speakers nothing was, by name.

    Raises:
        KvwError: no speaker's recordings can be read.
    """
    read, refused = {}, {}
    for name, files in paths.items():
        try:
            if not files:
                raise KvwError("expected recordings in its folder; got none that can be read")
            first, *others = files
            read[name] = read_target([str(first)], [str(path) for path in others] or None)
        except KvwError as error:
            refused[name] = "; ".join(str(error).splitlines())
            log.error("%s: left out: %s", name, refused[name])
    if not read:
        raise KvwError("task.recordings: expected recordings that can be targets; got none: the log says why")
    return read, refused


def finish(planned: Sequence[Search]) -> dict[Search, str]:
    """Runs or resumes every search that is not finished.

    Returns:
        those that failed, each with its error in one line.

    Raises:
        KvwError: the storage is full or gone, which ends them all.
    """
    errors = {}
    for number, search in enumerate(planned, start=1):
        if search.run:
            continue
        log.info("Search %d of %d: %s", number, len(planned), search)
        try:
            search.finish()
            continue
        except KvwError as error:
            if error.code == EXIT_STORAGE:
                raise
            errors[search] = "; ".join(str(error).splitlines())
        except Exception as error:  # a defect, or a plugin's: it must not end the comparison
            log.exception("Search %d: a defect", number)
            errors[search] = error_line(error)
        log.error("%s failed: %s", search, errors[search])
    return errors


def judge_and_write(
    invocation: Invocation,
    planned: Sequence[Search],
    errors: Mapping[Search, str],
    speakers: Mapping[str, Target],
    refused: Mapping[str, str],
    place: Path,
) -> Comparison:
    """Judges every result, and writes CSV, page and ear test; logs the tables.

    Args:
        invocation: of whose config ``judges`` and ``language`` count.
        planned: all searches.
        errors: of those that failed.
        speakers: what was read of the recordings, by name.
        refused: why speakers were left out, by name.
        place: the folder of the comparison.

    Returns:
        what was found, a cell for each search, in their order.

    Raises:
        OSError, StorageError: it can't be written.
    """
    from kvw.reports import comparison, comparison_page, ear_test
    from kvw.tasks.measure import Bench

    cfg = invocation.cfg
    log.info("Judging on held-out texts and audio")
    with every_core():
        bench = Bench(place, jury_of(cfg.judges and plain(cfg.judges)), cfg.language.letter, speakers)
        found = bench(planned, errors, [f"{name} is left out: {why}" for name, why in refused.items()])
    runs = {(one.contender, one.speaker, one.seed): run for one in planned if (run := one.run)}
    clips = comparison_page.clips_of(found, runs)
    place.mkdir(parents=True, exist_ok=True)
    write_whole(place / CSV, comparison.as_csv(found).encode("utf-8", "backslashreplace"))
    pages = {PAGE: comparison_page.page(found, clips), EAR_TEST: ear_test.page(clips)}
    for name, content in pages.items():
        write_whole(place / name, content.encode("utf-8", "backslashreplace"))
    for title, table in comparison.tables(found).items():
        log.info("\n%s\n%s", title, "\n".join(aligned([table.head, *table.rows], 1)))
    for remark in found.remarks:
        log.info("%s", remark)
    log.info("Comparison: %s", ", ".join(str(place / name) for name in (CSV, *pages)))
    return found

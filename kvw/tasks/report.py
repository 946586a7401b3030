"""``task=report``: writes the report of a run, or a page that compares several, from their folders alone."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kvw.config.invocation import Invocation
from kvw.config.nodes import build
from kvw.config.schema import plain, several
from kvw.errors import KvwError
from kvw.reports.judges import Jury
from kvw.runs import folders
from kvw.runs.comparison import run_label
from kvw.runs.reader import Run
from kvw.runtime.files import write_whole

log = logging.getLogger(__name__)


def report(invocation: Invocation, *, out: str | None) -> float:
    """Writes the report of the run that the key ``run`` names, or one page that compares several runs.

    Args:
        invocation: of which ``run`` and ``judges`` of the config count.
        out: the page; None for ``report.html`` in the run's folder, of several in the folder of all runs.

    Returns:
        how many runs.

    Raises:
        KvwError: no run is named, a run is missing or can't be read, or ``out`` is no path of a page.
    """
    from kvw.reports import page  # what it imports takes a second

    cfg, outputs = invocation.cfg, invocation.outputs
    if out is not None and (Path(out).suffix.lower() not in (".html", ".htm") or Path(out).is_dir()):
        raise KvwError(f"task.out: expected the path of a page, such as page.html; got {out!r:.80}")
    chosen = [Run(folders.named(str(name), outputs)) for name in several(cfg.run)] if cfg.run is not None else []
    if not chosen:
        raise KvwError("run: expected a run's folder, last, or several [a,b]; got none; see task=runs")
    jury = jury_of(plain(cfg.judges))
    if len(chosen) == 1:
        path = Path(out) if out else chosen[0].folder / folders.REPORT
        content = page.of_one(chosen[0], jury)
    else:
        path = Path(out) if out else outputs / folders.REPORT
        content = page.of_several(chosen, [run_label(run, outputs) for run in chosen], jury)
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, content)
    log.info("Report: %s", path)
    return float(len(chosen))


def report_of_run(folder: Path, judges: Mapping[str, Any] | None) -> Path:
    """Writes the report of the run in ``folder``.

    Args:
        folder: of the run.
        judges: config node of the judges; None for none.

    Returns:
        the page.

    Raises:
        KvwError: the record or the node can't be read.
        OSError: the page can't be written.
    """
    from kvw.reports import page

    path = folder / folders.REPORT
    write(path, page.of_one(Run(folder), jury_of(judges)))
    return path


def jury_of(node: Mapping[str, Any] | None) -> Jury | None:
    """The judges that a config node names.

    Raises:
        KvwError: they can't be made.
    """
    made: Jury | None = build(node, "judges") if node else None
    return made


def write(path: Path, content: str) -> None:
    """Writes a page as UTF-8; bytes of file names that are no text are escaped."""
    write_whole(path, content.encode("utf-8", "backslashreplace"))

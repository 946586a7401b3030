"""The command line: ``python -m kvw key=value ...``, or ``kvw`` for short.

Hydra composes the config, the task that it names runs, and an error becomes one line and an exit status. Heavy modules
are imported by the task that needs them, so that ``--help`` does not wait for torch.
"""

from __future__ import annotations

import io
import logging
import multiprocessing
import os
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from kvw.cli.errors import explained, from_os_error
from kvw.cli.help import page
from kvw.cli.sweep import record, sweeps
from kvw.config.arguments import MULTIRUN, quoted, with_executor, with_task
from kvw.config.invocation import Invocation, register
from kvw.config.nodes import bound
from kvw.config.paths import CONF, conf_folders, expand_home, user_plugins
from kvw.config.schema import plain
from kvw.errors import EXIT_BAD_INPUT, EXIT_INTERRUPTED, EXIT_ITEMS_FAILED, KvwError
from kvw.runtime import signals
from kvw.runtime.environment import give_numba_a_cache
from kvw.runtime.log_handlers import Console
from kvw.text import printable

log = logging.getLogger(__name__)

failures: list[KvwError] = []
"""The errors of this command line; in a sweep, of the jobs that ran in this process."""

register()


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="kvw")
def main(cfg: DictConfig) -> float:
    """Runs the task that the config names.

    Returns:
        the task's figure, for sweepers: a search's best score; 0.0 for a job that failed. Its error goes to
        :data:`failures`, since an error that is raised here would end the whole sweep.
    """
    job = invocation_of(cfg)
    prepare_process(job.job)
    score = 0.0
    error: KvwError | None = None
    if job.multirun:
        log.info("Job %s: %s", job.job, textwrap.shorten(" ".join(job.overrides), 160, placeholder=" ..."))
    try:
        score = float(bound(plain(cfg.task), "task")(job))
    except KvwError as raised:
        error = raised
    except OSError as raised:
        error = from_os_error(raised)
    except Exception as raised:  # a defect: it has to be seen, and must not end a sweep
        if not job.multirun:
            raise
        log.exception("Job %s: a defect", job.job)
        error = KvwError(f"{type(raised).__name__}: {raised}")
    if error:
        failures.append(error)
        if cfg.debug:
            log.error("debug=true", exc_info=error)
    if job.multirun:
        finish(job, error)
    else:
        with suppress(OSError):  # Hydra makes the output folder for every task
            job.folder.rmdir()
    return score


def invocation_of(cfg: DictConfig) -> Invocation:
    """Everything that a task needs to know of the command line, read from Hydra's globals once."""
    hydra = HydraConfig.get()
    expand_home(cfg)
    return Invocation(
        cfg,
        choices={str(group): name for group, name in hydra.runtime.choices.items()},
        overrides=tuple(hydra.overrides.task),
        outputs=Path(hydra.run.dir),
        folder=Path(hydra.runtime.output_dir),
        multirun=hydra.mode == RunMode.MULTIRUN,
        job=hydra.job.num if hydra.mode == RunMode.MULTIRUN else 0,
    )


def finish(job: Invocation, error: KvwError | None) -> None:
    """Ends a job of a sweep: leaves a record for the sweep's table, or nothing after a dry run without an error."""
    line = "; ".join(str(error).splitlines()) if error else None
    if line:
        log.error("Job %s failed: %s", job.job, line)
    if line or not job.cfg.dry_run:
        record(job.folder, job.job, job.overrides, line)
    else:
        with suppress(OSError):
            job.folder.rmdir()


def entry() -> None:
    """The console script: runs :func:`main` and exits with its status."""
    sys.exit(invoke(sys.argv[1:]))


def invoke(arguments: list[str]) -> int:
    """Runs kvw with the arguments of a shell.

    Returns:
        the exit status: 0 done, 1 some items or jobs failed, 2 bad input, 3 the run's folder is in use, 4 storage is
        full or gone, 5 a run's record is damaged, 6 too many failed evaluations, 130 interrupted, 143 terminated.
    """
    prepare_process()
    logging.getLogger("hydra.utils").setLevel(logging.CRITICAL)  # it logs what it raises
    # Hydra would print its own errors and exit with 1
    os.environ["HYDRA_FULL_ERROR"] = "1"
    failures.clear()
    sweeps.clear()
    try:
        if not {"--help", "-h"}.isdisjoint(arguments):
            sys.stdout.write(page(arguments, conf_folders()))
            return 0
        user_plugins()
        if "--hydra-help" in arguments:  # of Hydra alone, which knows none of kvw's keys
            arguments = ["--hydra-help"]
        sys.argv = [sys.argv[0], *quoted(with_executor(with_task(arguments)))]
        try:
            with signals.handled():
                main()
        finally:  # an interrupted sweep has a table of what it finished
            failed = [entry for entry in sweeps if entry.conclude()]
        if failures and MULTIRUN.isdisjoint(arguments):
            raise failures[0]
    except KvwError as error:
        sys.stderr.write("".join(f"kvw: {printable(line)}\n" for line in str(error).splitlines()))
        return error.code
    except (HydraException, OmegaConfBaseException) as error:
        if "debug=true" in arguments:
            raise
        sys.stderr.write(f"kvw: {explained(error, arguments)}\n")
        return EXIT_BAD_INPUT
    except OSError as error:  # Hydra makes the output folder before it calls main
        sys.stderr.write(f"kvw: {printable(str(from_os_error(error)))}\n")
        return from_os_error(error).code
    except KeyboardInterrupt as interruption:
        return getattr(interruption, "code", EXIT_INTERRUPTED)
    return EXIT_ITEMS_FAILED if failures or failed else 0


def prepare_process(job: int = 0) -> None:
    """Prepares this process for a task.

    A job of a sweep may run in a process of its own, where :func:`invoke` was never called; its messages begin with the
    number ``job``, since several jobs write to one terminal.
    """
    for name in ("stdin", "stdout", "stderr"):  # in this order, as each takes the number that is free
        if getattr(sys, name) is None:  # a service's, or pythonw's: else the next file would take its number
            setattr(sys, name, Path(os.devnull).open("r" if name == "stdin" else "w"))  # noqa: SIM115 - for good
    logger = logging.getLogger("kvw")
    console = Console()
    if multiprocessing.current_process().name != "MainProcess":
        console.setFormatter(logging.Formatter(f"[{job}] %(message)s"))
    logger.handlers = [console]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    if isinstance(sys.stdout, io.TextIOWrapper):  # a console may lack the letters of a path; that must not end a run
        sys.stdout.reconfigure(errors="backslashreplace")
    give_numba_a_cache()
    # torch reads it when it is imported: Kokoro on Apple's MPS needs the fallback
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

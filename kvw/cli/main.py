"""The command line: ``python -m kvw key=value ...``, or ``kvw`` for short.

Hydra composes the config; here is what it needs around it: an error is one line and an exit status. Heavy modules are
imported by the task that needs them, so that ``--help`` does not wait for torch.
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
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from kvw.cli.errors import explained, from_os_error
from kvw.cli.help import page
from kvw.cli.sweep import record, sweeps
from kvw.config.arguments import MULTIRUN, quoted, with_executor, with_task
from kvw.config.nodes import bound
from kvw.config.paths import CONF, UserConf, user_plugins
from kvw.config.schema import Config, plain
from kvw.errors import EXIT_BAD_INPUT, EXIT_INTERRUPTED, EXIT_ITEMS_FAILED, KvwError
from kvw.runtime import signals
from kvw.runtime.log_handlers import Console
from kvw.text import printable

log = logging.getLogger(__name__)

failures: list[KvwError] = []
"""What went wrong in this run; in a sweep, in the jobs that ran in this process."""

Plugins.instance().register(UserConf)

ConfigStore.instance().store("kvw_schema", Config)


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="kvw")
def main(cfg: DictConfig) -> float:
    """Runs the task that the config names.

    Returns:
        its figure, for sweepers: a search's best score; 0.0 for a job that failed, whose error goes to
        :data:`failures`: raised here it would end the whole of a multirun.
    """
    prepare_process()
    score = 0.0
    error: KvwError | None = None
    multirun = HydraConfig.get().mode == RunMode.MULTIRUN
    if multirun:
        told = " ".join(HydraConfig.get().overrides.task)
        log.info("Job %s: %s", HydraConfig.get().job.num, textwrap.shorten(told, 160, placeholder=" ..."))
    try:
        score = float(bound(plain(cfg.task), "task")(cfg))
    except KvwError as raised:
        error = raised
    except OSError as raised:
        error = from_os_error(raised)
    except Exception as raised:  # a defect: it has to be seen, and must not end a sweep
        if not multirun:
            raise
        log.exception("Job %s: a defect", HydraConfig.get().job.num)
        error = KvwError(f"{type(raised).__name__}: {raised}")
    if error:
        failures.append(error)
        if cfg.debug:
            log.error("debug=true", exc_info=error)
    if multirun:
        finish(error, dry=cfg.dry_run)
    else:
        with suppress(OSError):  # Hydra makes the output folder for every task
            Path(HydraConfig.get().runtime.output_dir).rmdir()
    return score


def finish(error: KvwError | None, *, dry: bool) -> None:
    """Ends a job of a sweep: it leaves a record for the table, or nothing if it was a dry run that went well."""
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    line = "; ".join(str(error).splitlines()) if error else None
    if line:
        log.error("Job %s failed: %s", hydra.job.num, line)
    if line or not dry:
        record(folder, hydra.job.num, hydra.overrides.task, line)
    else:
        with suppress(OSError):
            folder.rmdir()


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
            folders = [CONF, Path.cwd() / "conf"]
            sys.stdout.write(page(arguments, folders))
            return 0
        user_plugins()
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


def prepare_process() -> None:
    """Prepares this process for a task: a job of a sweep may run in one of its own, where :func:`invoke` never was."""
    logger = logging.getLogger("kvw")
    console = Console()
    if multiprocessing.current_process().name != "MainProcess":  # jobs speak at the same time
        console.setFormatter(logging.Formatter(f"[{HydraConfig.get().job.num}] %(message)s"))
    logger.handlers = [console]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    if isinstance(sys.stdout, io.TextIOWrapper):  # a console may lack the letters of a path; that must not end a run
        sys.stdout.reconfigure(errors="backslashreplace")
    # torch reads it when it is imported: Kokoro on Apple's MPS needs the fallback
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

"""The command line: ``python -m kvw key=value ...``, or ``kvw`` for short.

Hydra composes the config; here is what it needs around it: free text and paths arrive as they were typed, a user's own
``./conf`` and ``./strategies`` extend ours, and an error is one line and an exit status. Heavy modules are imported by
the task that needs them, so that ``--help`` does not wait for torch.
"""

from __future__ import annotations

import io
import logging
import multiprocessing
import os
import re
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kvw import interrupts, manual, sweep
from kvw.config import Config, bound, nearest, plain
from kvw.disk import GONE
from kvw.log import Console, printable
from kvw.types import EXIT_BAD_INPUT, EXIT_INTERRUPTED, EXIT_ITEMS_FAILED, EXIT_STORAGE, KvwError

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
CONF = HERE / "conf" if (HERE / "conf").is_dir() else HERE.parent / "conf"
"""``kvw/conf`` in a wheel, the repository's ``conf`` in a checkout."""

VERBATIM = frozenset(
    {
        "target_audio",
        "target_text",
        "other_text",
        "voice_folder",
        "voices_folder",
        "output_name",
        "starting_voice",
        "test_voice",
        "texts_folder",
        "heldout_audio",
        "heldout_texts",
        "other_texts",
        "fitness.probe_text",
        "synth.model",
        "synth.config",
        "transcriber.model",
        "task.name",
        "task.out",
        "task.csv",
        "resume",
        "run",
    }
)
"""Keys whose values are free text or paths, which Hydra's grammar would take apart."""

LISTS = frozenset({"target_audio", "heldout_audio", "test_voice", "run"})
"""Those of them whose value can be a list ``[a,b]``."""

SHORTCUTS = {"export_bin": "export", "transcribe_many": "transcribe_many", "test_voice": "speak"}
"""The documents' arguments that choose a task, where the command line names none."""

MULTIRUN = frozenset({"-m", "--multirun"})

NO = ("false", "no", "off", "0")
BOOLEANS = ("true", "yes", "on", "1", *NO)
"""How a truth value can be written."""

failures: list[KvwError] = []
"""What went wrong in this run; in a sweep, in the jobs that ran in this process."""

sweeps: list[Sweep] = []
"""The sweep of this run, if it is one."""


class Sweep(Callback):
    """Notes the folder of a sweep when it begins; Hydra makes it from ``hydra.callbacks``."""

    folder: Path
    started: float
    missing: list[Path]

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before it makes a folder or a job."""
        self.folder = Path(config.hydra.sweep.dir)
        self.started = time.time()
        self.missing = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
        sweeps.append(self)
        if str(config.hydra.sweeper.get("direction", "")).endswith("minimize"):
            log.warning("This sweep looks for the lowest score: for the highest add hydra.sweeper.direction=maximize")

    def conclude(self) -> bool:
        """Writes the sweep's table, or removes the folders that nothing came of.

        Returns:
            whether a job failed.
        """
        failed = sweep.conclude(self.folder, self.started)
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        if self.folder in self.missing and files == [config := self.folder / "multirun.yaml"]:
            config.unlink()
        for folder in (*self.folder.glob("*/"), *self.missing):
            with suppress(OSError):  # not empty: it stays
                folder.rmdir()
        return failed


class UserConf(SearchPathPlugin):
    """Puts the working directory's ``conf`` before ours."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Called by Hydra while it composes."""
        user = Path.cwd() / "conf"
        if user.is_dir() and not user.samefile(CONF):
            search_path.prepend("kvw-user", f"file://{user}", anchor=SearchPathQuery(provider="main"))


Plugins.instance().register(UserConf)
ConfigStore.instance().store("kvw_schema", Config)


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="kvw")
def main(cfg: DictConfig) -> float:
    """Runs the task that the config names.

    Returns:
        its figure, for sweepers: a search's best score; 0.0 for a job that failed, whose error goes to
        :data:`failures`: raised here it would end the whole of a multirun.
    """
    prepare()
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
        error = refused(raised)
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
        sweep.record(folder, hydra.job.num, hydra.overrides.task, line)
    else:
        with suppress(OSError):
            folder.rmdir()


def entry() -> None:
    """The console script: runs :func:`main` and exits with its status."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs kvw with the arguments of a shell.

    Returns:
        the exit status: 0 done, 1 some items or jobs failed, 2 bad input, 3 the run's folder is in use, 4 storage is
        full or gone, 5 a run's record is damaged, 6 too many failed evaluations, 130 interrupted, 143 terminated.
    """
    prepare()
    logging.getLogger("hydra.utils").setLevel(logging.CRITICAL)  # it logs what it raises
    # Hydra would print its own errors and exit with 1
    os.environ["HYDRA_FULL_ERROR"] = "1"
    failures.clear()
    sweeps.clear()
    try:
        if not {"--help", "-h"}.isdisjoint(arguments):
            folders = [CONF, Path.cwd() / "conf"]
            sys.stdout.write(manual.page(arguments, folders))
            return 0
        user_plugins()
        sys.argv = [sys.argv[0], *quoted(with_executor(with_task(arguments)))]
        try:
            with interrupts.answered():
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
        sys.stderr.write(f"kvw: {printable(str(refused(error)))}\n")
        return refused(error).code
    except KeyboardInterrupt as interruption:
        return getattr(interruption, "code", EXIT_INTERRUPTED)
    return EXIT_ITEMS_FAILED if failures or failed else 0


def prepare() -> None:
    """Prepares this process for a task: a job of a sweep may run in one of its own, where :func:`run` never was."""
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


def refused(error: OSError) -> KvwError:
    """A line for a file or folder that the system refuses."""
    if isinstance(error, FileExistsError):
        return KvwError(f"{error.filename}: expected a folder; got a file of that name; move it away")
    gone = error.errno in GONE
    what = "free or mend the storage" if gone else "check the path and its permissions"
    where = error.filename or "a file"
    return KvwError(f"{where}: {error.strerror or error}; {what}", EXIT_STORAGE if gone else EXIT_BAD_INPUT)


def user_plugins() -> None:
    """Lets ``./strategies`` extend ours.

    Raises:
        KvwError: it is a regular package, which would hide ours.
    """
    here = Path.cwd()
    marker = here / "strategies" / "__init__.py"
    if marker.exists():
        raise KvwError(
            f"strategies: expected a folder without __init__.py; remove {marker}, which hides kvw's strategies"
        )
    if str(here) not in sys.path:
        sys.path.insert(0, str(here))


def quoted(arguments: list[str]) -> list[str]:
    """Hydra arguments in which free text and paths are quoted, so that they arrive as they were typed.

    ``null`` stays null; a key of :data:`LISTS` can be a list ``[a,b]``; in a multirun ``choice(a,b)`` stays Hydra's.

    Raises:
        KvwError: an argument is written ``--key value``.
    """
    multirun = not MULTIRUN.isdisjoint(arguments)
    ready = []
    for position, argument in enumerate(arguments):
        dashed = re.match(r"--([a-z_.-]+)(=?)(.*)", argument, re.DOTALL)
        if dashed and (key := dashed[1].replace("-", "_")) in Config.__dataclass_fields__:
            value = dashed[3] if dashed[2] else "".join(arguments[position + 1 : position + 2])
            value = "true" if not value or value.startswith("--") else value
            raise KvwError(f"{argument.split('=')[0]}: kvw's arguments are key=value; type {key}={manual.shell(value)}")
        key, equals, value = argument.partition("=")
        grammar = value == "null" or (multirun and re.fullmatch(r"choice\(.*\)", value, re.DOTALL))
        if not equals or key.lstrip("+") not in VERBATIM or grammar:
            ready.append(argument)
        elif key in LISTS and value.startswith("[") and value.endswith("]"):
            ready.append(f"{key}=[{','.join(quote(path.strip()) for path in value[1:-1].split(','))}]")
        else:
            ready.append(f"{key}={quote(value)}")
    # Hydra's parser takes no flag between overrides
    return sorted(ready, key=lambda argument: argument not in MULTIRUN)


def with_task(arguments: list[str]) -> list[str]:
    """The arguments, and the task that one of them stands for, as in the documents.

    ``transcribe_many=PATH`` is the documents' own form of ``transcribe_many=true target_audio=PATH``.
    """
    given = dict(argument.partition("=")[::2] for argument in arguments)
    many = given.get("transcribe_many", "false")
    if many.lower() not in BOOLEANS:
        arguments = [argument for argument in arguments if not argument.startswith("transcribe_many=")]
        return with_task([*arguments, "transcribe_many=true", f"target_audio={many}"])
    for key, task in SHORTCUTS.items():
        if "task" not in given and given.get(key, "null").lower() not in ("null", "", *NO):
            return [*arguments, f"task={task}"]
    return arguments


def with_executor(arguments: list[str]) -> list[str]:
    """The arguments, and for a run that goes on its own executor, where settings of that are all that is given."""
    given = dict(argument.partition("=")[::2] for argument in arguments)
    settings = [key for key in given if key.startswith("executor.")]
    if not given.get("resume") or not settings or "executor" in given:
        return arguments
    from kvw import folder, runs

    choices = runs.Run(folder.named(given["resume"], Path(given.get("hydra.run.dir", "outputs")))).facts.get("choices")
    chosen = choices.get("executor") if isinstance(choices, dict) else None
    # somebody else may have written it, and Hydra reads more in a word than a name
    return [*arguments, f"executor={chosen}"] if re.fullmatch(r"[a-z]\w*", str(chosen)) else arguments


def quote(value: str) -> str:
    """``value`` in quotes of Hydra's grammar, and with OmegaConf's interpolations escaped."""
    value = re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + r"\${", value)
    value = re.sub(r"(\\*)('|\Z)", lambda match: match[1] * 2 + (r"\'" if match[2] else ""), value)
    return f"'{value}'"


def explained(error: Exception, arguments: list[str]) -> str:
    """One line for an error that Hydra or OmegaConf found in the config, with the nearest valid name."""
    message = str(error)
    cause = f"{message}\n{error.__cause__ or ''}"
    if match := re.search(r"Could not find '([^/']+)/([^']*)'", message):
        names = re.findall(r"^\t([\w-]+)$", message, re.MULTILINE)
        return f"{match[1]}: there is no {match[1]} {match[2]!r}{nearest(match[2], names)}"
    if match := re.search(r"Could not override '([^']+)'", message):
        known = keys(with_executor(with_task(arguments)))
        within = [name for name in known if name.endswith(f".{match[1]}")]
        return f"{match[1]}: kvw has no such key{nearest(within[0] if within else match[1], known)}"
    if match := re.search(
        r"Value '(.*)' of type '\w+' could not be converted to (\w+)\s+full_key: (\S+)", cause, re.DOTALL
    ):
        return f"{match[3]}: expected {match[2]}; got {match[1]!r}"
    line = " ".join(message.split("\nSee ")[0].split())
    return f"{line} (the form is key=value; python -m kvw --help lists the keys)"


def keys(arguments: list[str]) -> list[str]:
    """Every key of the config that ``arguments`` choose, with its groups' settings."""
    groups = {path.name for folder in (CONF, Path.cwd() / "conf") for path in folder.glob("*/")}
    chosen = [argument for argument in arguments if argument.partition("=")[0] in groups]
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = hydra.compose("kvw", overrides=chosen)

    def names(node: Any, prefix: str) -> list[str]:
        children = node.items() if isinstance(node, dict) else ()
        return [prefix, *(name for key, value in children for name in names(value, f"{prefix}.{key}".lstrip(".")))]

    found = names(OmegaConf.to_container(cfg, resolve=False), "")[1:]
    return [name for name in found if not name.endswith("_target_")]

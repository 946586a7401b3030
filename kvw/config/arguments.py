"""The command line's arguments, made ready for Hydra: free text and paths arrive as they were typed.

KVoiceWalk's own arguments that choose a task are understood here, too.
"""

from __future__ import annotations

import re
from pathlib import Path

from kvw.config.paths import PATHS, expanded
from kvw.config.schema import Config
from kvw.errors import KvwError
from kvw.text import escape_interpolation, shell

VERBATIM = PATHS | {"target_text", "other_text", "fitness.probe_text", "task.name", "task.host", "task.token"}
"""Keys whose values are free text or paths, which Hydra's grammar would take apart."""

CONTENDERS = "task.contenders."
"""The beginning of keys whose values are command lines: verbatim too."""

LISTS = frozenset({"target_audio", "heldout_audio", "test_voice", "run"})
"""Those of them whose value can be a list ``[a,b]``."""

SHORTCUTS = {"export_bin": "export", "transcribe_many": "transcribe_many", "test_voice": "speak"}
"""KVoiceWalk's arguments that choose a task, where the command line names none."""

FOLDERS = frozenset({"hydra.run.dir", "hydra.sweep.dir"})
"""Hydra's own paths, in which it fills in the time and the like."""

MULTIRUN = frozenset({"-m", "--multirun"})
NO = ("false", "no", "off", "0")

BOOLEANS = ("true", "yes", "on", "1", *NO)
"""How a truth value can be written."""


def quoted(arguments: list[str]) -> list[str]:
    """Quotes the free text and the paths among ``arguments`` for Hydra, so that they arrive as they were typed.

    ``null`` stays null; a key of :data:`LISTS` can be a list ``[a,b]``; in a multirun ``choice(a,b)`` stays Hydra's.

    Raises:
        KvwError: an argument is written ``--key value`` or has no key, or a text is ``???``.
    """
    multirun = not MULTIRUN.isdisjoint(arguments)
    ready = []
    for position, argument in enumerate(arguments):
        dashed = re.match(r"--([a-z_.-]+)(=?)(.*)", argument, re.DOTALL)
        if dashed and (key := dashed[1].replace("-", "_")) in Config.__dataclass_fields__:
            value = dashed[3] if dashed[2] else "".join(arguments[position + 1 : position + 2])
            value = "true" if not value or value.startswith("--") else value
            raise KvwError(f"{argument.split('=')[0]}: kvw's arguments are key=value; type {key}={shell(value)}")
        key, equals, value = argument.partition("=")
        if equals and not key.strip("+~ "):
            raise KvwError(f"{argument}: expected key=value; got no key; python -m kvw --help lists the keys")
        if key in FOLDERS:
            value = expanded(value)
            ready.append(f"{key}={value if '${' in value else quote(value)}")
            continue
        grammar = value == "null" or (multirun and re.fullmatch(r"choice\(.*\)", value, re.DOTALL))
        name = key.lstrip("+")
        if not equals or not (name in VERBATIM or name.startswith(CONTENDERS)) or grammar:
            ready.append(argument)
        elif key in LISTS and value.startswith("[") and value.endswith("]"):
            ready.append(f"{key}=[{','.join(quote(path.strip()) for path in value[1:-1].split(','))}]")
        else:
            ready.append(f"{key}={quote(value)}")
    # Hydra's parser takes no flag between overrides
    return sorted(ready, key=lambda argument: argument not in MULTIRUN)


def with_task(arguments: list[str]) -> list[str]:
    """Adds the task that one of the arguments stands for, as in KVoiceWalk.

    ``transcribe_many=PATH`` is KVoiceWalk's form of ``transcribe_many=true target_audio=PATH``.
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
    """Adds the executor of the run that is resumed, where ``arguments`` have settings of an executor but name none."""
    given = dict(argument.partition("=")[::2] for argument in arguments)
    settings = [key for key in given if key.startswith("executor.")]
    if not given.get("resume") or not settings or "executor" in given:
        return arguments
    from kvw.runs import folders
    from kvw.runs.reader import Run

    outputs = Path(expanded(given.get("hydra.run.dir", "outputs")))
    choices = Run(folders.named(expanded(given["resume"]), outputs)).facts.get("choices")
    chosen = choices.get("executor") if isinstance(choices, dict) else None
    # somebody else may have written it, and Hydra reads more in a word than a name
    return [*arguments, f"executor={chosen}"] if re.fullmatch(r"[a-z]\w*", str(chosen)) else arguments


def quote(value: str) -> str:
    """Quotes ``value`` by Hydra's grammar, with OmegaConf's interpolations escaped.

    Raises:
        KvwError: it is ``???``, which OmegaConf takes for a missing value and has no escape for.
    """
    if value == "???":
        raise KvwError("??? stands for a value that is missing; type a text with words, or ./??? for a file's name")
    value = re.sub(
        r"(\\*)('|\Z)", lambda match: match[1] * 2 + (r"\'" if match[2] else ""), escape_interpolation(value)
    )
    return f"'{value}'"

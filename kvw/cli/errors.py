"""Errors of Hydra, OmegaConf and the operating system as one line for a person, with the nearest valid name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import hydra
from omegaconf import OmegaConf

from kvw.config.arguments import with_executor, with_task
from kvw.config.paths import CONF
from kvw.errors import EXIT_BAD_INPUT, EXIT_STORAGE, KvwError
from kvw.runtime.files import GONE
from kvw.text import nearest


def from_os_error(error: OSError) -> KvwError:
    """A line for a file or folder that the system refuses."""
    if isinstance(error, FileExistsError):
        return KvwError(f"{error.filename}: expected a folder; got a file of that name; move it away")
    gone = error.errno in GONE
    what = "free or mend the storage" if gone else "check the path and its permissions"
    where = error.filename or "a file"
    return KvwError(f"{where}: {error.strerror or error}; {what}", EXIT_STORAGE if gone else EXIT_BAD_INPUT)


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

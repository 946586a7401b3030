"""Errors of Hydra, OmegaConf and the operating system as one line for a person, with the nearest valid name."""

from __future__ import annotations

import re

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from kvw.cli.help import gathered, summary
from kvw.config.arguments import with_executor, with_task
from kvw.config.invocation import Invocation, compose, keys
from kvw.config.paths import conf_folders
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


def composed(*overrides: str) -> Invocation:
    """Composes the config for a program.

    Raises:
        KvwError: an override names no key or choice, or its value is of another type.
    """
    try:
        return compose(*overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise KvwError(explained(error, list(overrides))) from error


def explained(error: Exception, arguments: list[str]) -> str:
    """One line for an error that Hydra or OmegaConf found in the config, with the nearest valid name."""
    message = str(error)
    cause = f"{message}\n{error.__cause__ or ''}"
    if match := re.search(r"Could not find '([^/']+)/([^']*)'", message):
        if match[1] == "language":
            return f"language: there is no language {match[2]!r}; {languages(match[2])}"
        names = re.findall(r"^\t([\w-]+)$", message, re.MULTILINE)
        return f"{match[1]}: there is no {match[1]} {match[2]!r}{nearest(match[2], names)}"
    if match := re.search(r"Could not override '([^']+)'", message):
        groups = {path.name for folder in conf_folders() for path in folder.glob("*/")}
        given = with_executor(with_task(arguments))
        known = keys(*(argument for argument in given if argument.partition("=")[0] in groups))
        within = [name for name in known if name.endswith(f".{match[1]}")]
        return f"{match[1]}: kvw has no such key{nearest(within[0] if within else match[1], known)}"
    if match := re.search(
        r"Value '(.*)' of type '\w+' could not be converted to (\w+)\s+full_key: (\S+)", cause, re.DOTALL
    ):
        return f"{match[3]}: expected {match[2]}; got {match[1]!r}"
    if match := re.search(r"Ambiguous value for argument '([^=]+)=(.*?)'\n", message, re.DOTALL):
        return (
            f"{match[1]}: expected one value; got {match[2]}; python -m kvw -m {match[1]}={match[2]} runs each of them"
        )
    line = " ".join(message.split("\nSee ")[0].split())
    return f"{line} (the form is key=value; python -m kvw --help lists the keys)"


def languages(asked: str) -> str:
    """Kokoro's languages with their letters, and those that a word or a code such as ``en-us`` may mean."""
    from kvw.transcription.whisper import CODES

    files = gathered(conf_folders())["language"]
    names = {letter: summary(path).partition(".")[0] for letter, path in sorted(files.items())}
    word = asked.lower()
    code = re.split("[-_]", word)[0]
    meant = [
        letter for letter, name in names.items() if word in (letter, *name.lower().split()) or code == CODES.get(letter)
    ]
    told = ", ".join(f"{letter} {name}" for letter, name in names.items())
    advice = f"give language={' or '.join(meant)}" if meant else "it speaks no other"
    return f"Kokoro speaks {told}; {advice}"

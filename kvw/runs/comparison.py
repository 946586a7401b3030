"""In which settings runs differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kvw.runs.reader import Run
from kvw.runs.schema import guard_types

BESIDE = ("target_sha256", "synthesiser_identity", "versions")
"""What is compared beside the config, which names only the files."""


def differing_settings(chosen: Sequence[Run]) -> dict[str, list[str]]:
    """What differs between runs: the text of each, by the dotted key of the config or of :data:`BESIDE`.

    Raises:
        KvwError: a record can't be read.
    """
    settings = []
    for run in chosen:
        with guard_types(run.path, "config"):
            settings.append(flat({**run.config, **{key: run.about[key] for key in BESIDE if key in run.about}}))
    keys = dict.fromkeys(key for one in settings for key in one)
    differ = [key for key in keys if len({one.get(key) for one in settings}) > 1]
    return {key: [one.get(key, "-") for one in settings] for key in differ}


def flat(node: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """A nested config as texts by dotted keys."""
    texts: dict[str, str] = {}
    for key, value in node.items():
        if isinstance(value, dict) and value:
            texts |= flat(value, f"{above}{key}.")
        else:
            texts[f"{above}{key}"] = value if isinstance(value, str) else json.dumps(value, default=str)
    return texts


def run_label(run: Run, outputs: Path) -> str:
    """A run's folder, relative to ``outputs`` if it is below."""
    folder, above = run.folder.absolute(), outputs.absolute()
    return str(folder.relative_to(above)) if folder.is_relative_to(above) else str(run.folder)

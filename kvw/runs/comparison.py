"""Compares the settings of runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kvw.runs.reader import Run
from kvw.runs.schema import guard_types

BESIDE = ("target_sha256", "synthesiser_identity", "versions")
"""Keys of a run's provenance that are compared beside the config, which only names files."""


def differing_settings(chosen: Sequence[Run]) -> dict[str, list[str]]:
    """Settings in which runs differ: each run's value as text, by the dotted key of the config or of :data:`BESIDE`.

    A run without the setting has ``-``.

    Raises:
        KvwError: a record can't be read.
    """
    settings = []
    for run in chosen:
        with guard_types(run.path, "config"):
            settings.append(flat({**run.config, **{key: run.about[key] for key in BESIDE if key in run.about}}))
    keys = dict.fromkeys(key for texts in settings for key in texts)
    differing = [key for key in keys if len({texts.get(key) for texts in settings}) > 1]
    return {key: [texts.get(key, "-") for texts in settings] for key in differing}


def flat(node: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """The values of a nested config as texts, by dotted keys."""
    texts: dict[str, str] = {}
    for key, value in node.items():
        if isinstance(value, dict) and value:
            texts |= flat(value, f"{above}{key}.")
        else:
            texts[f"{above}{key}"] = value if isinstance(value, str) else json.dumps(value, default=str)
    return texts


def run_label(run: Run, outputs: Path) -> str:
    """A run's folder, relative to ``outputs`` if the folder is below it."""
    folder, above = run.folder.absolute(), outputs.absolute()
    return str(folder.relative_to(above)) if folder.is_relative_to(above) else str(run.folder)

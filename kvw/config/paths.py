"""Where kvw's own config and its demo recording are, and how a user's ``conf`` and ``strategies`` extend kvw's."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, ListConfig, OmegaConf

from kvw.errors import KvwError
from kvw.text import escape_interpolation

PACKAGE = Path(__file__).parents[1]

CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"
"""``kvw/conf`` in a wheel, the repository's ``conf`` in a checkout."""

PATHS = frozenset(
    {
        *("target_audio", "heldout_audio", "heldout_texts", "other_texts", "texts_folder", "voice_folder"),
        *("voices_folder", "starting_voice", "test_voice", "output_name", "atlas.file", "resume", "run"),
        *("synth.model", "synth.config", "transcriber.model", "fitness.words_model", "task.out", "task.csv"),
        *("task.recordings", "task.folder", "task.heard"),
    }
)
"""Keys whose values are paths, or can be."""

DEMO = PACKAGE / "data" / "demo.flac"
"""The target where none is given; ``demo.txt`` has its words."""


def expanded(path: str) -> str:
    """A path with the home folder in the place of a ``~`` at its beginning; a file may be named ``~a.wav``."""
    return os.path.expanduser(path)  # noqa: PTH111 - Path's own raises an error for such a name


def expand_home(cfg: DictConfig) -> None:
    """Replaces ``~`` at the beginning of every path in ``cfg`` by the home folder, as shells do before most words."""
    for key in PATHS:
        value = OmegaConf.select(cfg, key)
        given = list(value) if isinstance(value, ListConfig) else [value]
        if any(isinstance(one, str) and one.startswith("~") for one in given):
            ready = [escape_interpolation(expanded(one)) if isinstance(one, str) else one for one in given]
            OmegaConf.update(cfg, key, ready if isinstance(value, ListConfig) else ready[0])


def conf_folders() -> list[Path]:
    """The folders that hold config groups: kvw's, then the working directory's ``conf``, which may be missing."""
    return [CONF, Path.cwd() / "conf"]


class UserConf(SearchPathPlugin):
    """Puts the working directory's ``conf`` before kvw's."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Called by Hydra while it composes."""
        _, user = conf_folders()
        if user.is_dir() and not user.samefile(CONF):
            search_path.prepend("kvw-user", f"file://{user}", anchor=SearchPathQuery(provider="main"))


def user_plugins() -> None:
    """Lets ``./strategies`` extend kvw's.

    Raises:
        KvwError: the folder is a regular package, which would hide kvw's strategies.
    """
    here = Path.cwd()
    marker = here / "strategies" / "__init__.py"
    if marker.exists():
        raise KvwError(
            f"strategies: expected a folder without __init__.py; remove {marker}, which hides kvw's strategies"
        )
    if str(here) not in sys.path:
        sys.path.insert(0, str(here))

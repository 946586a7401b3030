"""Where kvw's own config and its demo recording are, and how a user's ``conf`` and ``strategies`` extend kvw's."""

from __future__ import annotations

import sys
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.plugins.search_path_plugin import SearchPathPlugin

from kvw.errors import KvwError

PACKAGE = Path(__file__).parents[1]

CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"
"""``kvw/conf`` in a wheel, the repository's ``conf`` in a checkout."""

DEMO = PACKAGE / "data" / "demo.flac"
"""The target where none is given; ``demo.txt`` has its words."""


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

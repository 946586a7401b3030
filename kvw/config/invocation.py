"""One invocation of kvw: the composed config, and what else Hydra knows of the command line.

Hydra keeps this in globals. Two places read them: :func:`kvw.cli.main.main` for a command line, :func:`compose` for a
program. Everything else is given an :class:`Invocation`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from omegaconf import DictConfig, OmegaConf, open_dict

from kvw.config.paths import CONF, UserConf, conf_folders, expand_home
from kvw.config.schema import Config


@dataclass(frozen=True)
class Invocation:
    """The composed config of one task, and how it was asked for.

    Attributes:
        cfg: the composed config.
        choices: the name that was chosen in each config group, by group; None for an optional group without a choice.
        overrides: of the command line, ``key=value`` in Hydra's grammar.
        outputs: the folder of all runs.
        folder: where this job puts its run: ``outputs``, or the job's own folder in a sweep.
        multirun: whether this is a job of a sweep.
        job: its number in the sweep, from 0 on.
    """

    cfg: DictConfig
    choices: Mapping[str, str | None] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    outputs: Path = Path("outputs")
    folder: Path = Path("outputs")
    multirun: bool = False
    job: int = 0

    @property
    def keys(self) -> list[str]:
        """The keys that the command line names, each once, in their order."""
        return list(dict.fromkeys(override.lstrip("+~").partition("=")[0] for override in self.overrides))

    def asked(self, group: str) -> bool:
        """Whether the command line itself chose ``group``."""
        return any(override.partition("=")[0] == group for override in self.overrides)

    @property
    def strategy(self) -> str:
        """The name that chose the strategy, or the experiment of several."""
        return self.choices.get("experiment") or str(self.choices.get("strategy"))


def register() -> None:
    """Makes the config's schema and a user's own ``./conf`` known to Hydra; doing it again changes nothing."""
    Plugins.instance().register(UserConf)
    ConfigStore.instance().store("kvw_schema", Config)


def compose(*overrides: str) -> Invocation:
    """Composes the config for a program, as a command line with these overrides would; no global state is changed.

    Args:
        overrides: ``key=value`` in Hydra's grammar.

    Raises:
        HydraException, OmegaConfBaseException: an override names no key or choice, or its value is of another type.
    """
    register()
    with _global_hydra(), hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = hydra.compose("kvw", overrides=list(overrides), return_hydra_config=True)
    choices = {str(group): name for group, name in cfg.hydra.runtime.choices.items()}
    outputs = Path(cfg.hydra.run.dir)
    with open_dict(cfg):
        del cfg["hydra"]
    expand_home(cfg)
    return Invocation(cfg, choices, overrides, outputs, outputs)


@contextmanager
def _global_hydra() -> Iterator[None]:
    """Clears Hydra's global state for the block, and restores it: the caller may be a Hydra application itself."""
    before = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = before


def options(group: str) -> list[str]:
    """The names that a config group offers, sorted: kvw's and the user's own."""
    return sorted({path.stem for folder in conf_folders() for path in folder.glob(f"{group}/*.yaml")})


def keys(*overrides: str) -> list[str]:
    """Every dotted key of the config that ``overrides`` choose, with the settings of its groups."""

    def below(node: object, prefix: str) -> list[str]:
        children = node.items() if isinstance(node, dict) else ()
        return [prefix, *(name for key, value in children for name in below(value, f"{prefix}.{key}".lstrip(".")))]

    found = below(OmegaConf.to_container(compose(*overrides).cfg, resolve=False), "")[1:]
    return [name for name in found if not name.endswith("_target_")]

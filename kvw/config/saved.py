"""The config of a saved run, which may come from a stranger: nothing in it is interpolated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kvw.config.nodes import DEEPEST, check_settings, key_below
from kvw.config.schema import Config
from kvw.errors import KvwError
from kvw.text import escape_interpolation, shown_value

MOST = 10_000
"""Values in a saved config, and ``${`` in its texts: OmegaConf takes a second for them. Kvw's own has some hundred."""

_MISSING = "???"  # OmegaConf's word for a value that is not there, which no escape turns into a text
_MARKS = "kvw.question_marks"


def restored_config(saved: Mapping[str, Any]) -> DictConfig:
    """The config of a saved run, which may come from a stranger: nothing in it is live.

    Every text arrives as it was typed, whatever ``${...}`` it holds: ``plain(restored_config(saved)) == saved``,
    but for keys that ``saved`` lacks and that have a default. No resolver reads the environment, a file or another key.
    What the nodes name is checked where they are used, by :func:`kvw.config.nodes.locate`.

    Args:
        saved: JSON values by the keys of :class:`kvw.config.schema.Config`.

    Returns:
        a config as Hydra composes it: typed, and closed against other keys.

    Raises:
        KvwError: a key is unknown or lacking, or its value is of another type; a value is none of JSON's; the config
            has more than :data:`kvw.config.nodes.DEEPEST` levels or :data:`MOST` values.
    """
    if not isinstance(saved, Mapping):
        raise KvwError(f"config: expected its keys and values; got {shown_value(saved)}")
    check_settings(saved, Config, "")
    for one in fields(Config):
        if one.name not in saved and one.default is MISSING and one.default_factory is MISSING:
            raise KvwError(f"{one.name}: expected a value; the saved config has none")
    left = [MOST]
    texts = {key: _verbatim(value, key, left) for key, value in saved.items()}
    OmegaConf.register_new_resolver(_MARKS, lambda: _MISSING, replace=True)
    try:
        cfg: DictConfig = OmegaConf.structured(Config(**texts))
    except (OmegaConfBaseException, ValueError, ArithmeticError) as error:
        raise KvwError(f"config: expected that of a run; {' '.join(str(error).split()):.200}") from error
    OmegaConf.set_struct(cfg, True)
    return cfg


def _verbatim(value: Any, where: str, left: list[int], depth: int = 1) -> Any:
    """``value`` with every text in it escaped from OmegaConf; ``left`` counts down the values that it may have."""
    left[0] -= 1 + (value.count("${") if isinstance(value, str) else 0)
    if left[0] < 0:
        raise KvwError(f"{where}: expected a config of at most {MOST:,} values; got more")
    if isinstance(value, str):
        return f"${{{_MARKS}:}}" if value == _MISSING else escape_interpolation(value)
    if isinstance(value, (dict, list)) and depth >= DEEPEST:
        raise KvwError(f"{where:.80}: expected a config of at most {DEEPEST} levels; got more")
    if isinstance(value, list):
        return [_verbatim(item, where, left, depth + 1) for item in value]
    if isinstance(value, dict) and all(type(key) is str for key in value):
        return {key: _verbatim(item, key_below(where, key), left, depth + 1) for key, item in value.items()}
    if value is None or type(value) in (bool, int, float):
        return value
    raise KvwError(f"{where}: expected texts, numbers, lists and dicts, as JSON has them; got {shown_value(value)}")

"""The stages of a search, each a strategy in a space: ``strategy`` and its ``then``, or those of an experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from kvw.config.invocation import Invocation, compose, options
from kvw.config.nodes import maker
from kvw.config.schema import plain
from kvw.errors import KvwError
from kvw.search.islands import Archipelago, Union
from kvw.search.stage import SearchStage
from kvw.text import nearest

STAGE = ("strategy", "space")
"""What a stage is made of."""

INTERPOLATION = "interpolation"
"""The strategy of ``interpolate_start``."""


def stage_nodes(invocation: Invocation) -> dict[str, Any]:
    """The config node of each stage of a search, by the stage's name, in their order: see :func:`make_stages`.

    Raises:
        KvwError: ``then`` names no strategy or leads in a circle; or the command line asks for another strategy or
            space than the experiment's.
    """
    cfg = invocation.cfg
    if cfg.stages:
        given = [group for group in ("strategy", "space") if invocation.asked(group) and not cfg.resume]
        if given or cfg.interpolate_start:
            raise KvwError(
                f"{given[0] if given else 'interpolate_start'}: experiment={invocation.strategy} chooses its own "
                "strategies and spaces; leave it out, or set stages.NAME.strategy and the like"
            )
        return {name: with_members(node, None) for name, node in plain(cfg.stages).items()}
    space = plain(cfg.space) if invocation.asked("space") else None
    first = {"strategy": plain(cfg.strategy), "space": plain(cfg.space)}
    found = {str(invocation.choices.get("strategy")): with_members(first, space)}
    if cfg.interpolate_start:
        if INTERPOLATION in found:
            raise KvwError("interpolate_start: strategy=interpolation is that start already; leave one of them out")
        found = {INTERPOLATION: compose_stage(INTERPOLATION, space), **found}
    while follower := list(found.values())[-1]["strategy"].get("then"):
        if follower in found:
            raise KvwError(f"strategy.then: {' -> '.join(found)} -> {follower} goes in a circle; end it with then=null")
        found[follower] = with_members(compose_stage(follower, space), space)
    return found


def make_stages(found: Mapping[str, Any], where: str, **runtime: Any) -> list[SearchStage]:
    """The stages of a search.

    Args:
        found: as from :func:`stage_nodes`.
        where: the key that they are below, for messages; empty where they are the config's own groups.
        runtime: what strategies are given beside space, seeds and rng, if they take it.

    Raises:
        KvwError: a node is wrong.
    """
    return [make_stage(name, node, f"{where}.{name}." if where else "", **runtime) for name, node in found.items()]


def compose_stage(
    name: str, space: dict[str, Any] | None, key: str = "strategy.then", settings: Sequence[str] = ()
) -> dict[str, Any]:
    """The nodes ``strategy`` and ``space`` of ``strategy=name``.

    Args:
        name: of the strategy.
        space: node of the space that the command line asks for; None is the strategy's own space.
        key: the config key that named the strategy, for messages.
        settings: of the strategy and the space, as on a command line.

    Raises:
        KvwError: there is no such strategy, or it has no such setting.
    """
    names = options("strategy")
    if name not in names:
        raise KvwError(f"{key}: there is no strategy {name!r}{nearest(name, names)}")
    strange = [setting for setting in settings if not setting.startswith(("strategy.", "space.", "space="))]
    if strange:
        raise KvwError(f"{key}: expected settings of {name}, as strategy.size=40 or space=pca; got {strange[0]!r}")
    try:
        other = compose(f"strategy={name}", *settings).cfg
    except (HydraException, OmegaConfBaseException) as error:
        why = " ".join(str(error).split())
        raise KvwError(f"{key}: {name} can't have {' '.join(settings)}: {why:.200}") from error
    own = any(setting.startswith("space") for setting in settings)
    return {"strategy": plain(other.strategy), "space": space if space and not own else plain(other.space)}


def with_members(node: Any, space: dict[str, Any] | None) -> Any:
    """The node of a stage with its members as nodes by name: ``genetic``, ``genetic-2`` for a second one, ...

    Args:
        node: of a stage, whose ``members`` may be a list of words.
        space: as for :func:`compose_stage`.

    Raises:
        KvwError: there is no such strategy, or it has no such setting.
    """
    strategy = node.get("strategy") if isinstance(node, dict) else None
    members = strategy.get("members") if isinstance(strategy, dict) else None
    if not isinstance(strategy, dict) or not isinstance(members, list):
        return node
    if len(members) < 2:
        raise KvwError(f"strategy.members: expected two strategies or more, such as [genetic,sep_cma]; got {members}")
    found: dict[str, Any] = {}
    for member in members:
        name, *settings = str(member).split() or [""]
        label, number = name, 1
        while label in found:
            number += 1
            label = f"{name}-{number}"
        found[label] = compose_stage(name, space, "strategy.members", settings)
        if "members" in found[label]["strategy"]:
            raise KvwError(f"strategy.members: expected strategies without members of their own; got {name}")
    return {**node, "strategy": {**strategy, "members": found}}


def make_stage(name: str, node: dict[str, Any], where: str, **runtime: Any) -> SearchStage:
    """Makes a stage from its config node.

    Raises:
        KvwError: a part of the node is missing or wrong.
    """
    parts = node if isinstance(node, dict) else {}
    if set(parts) - {"step_limit"} != set(STAGE) or not all(isinstance(parts[k], dict) for k in STAGE):
        raise KvwError(
            f"stages.{name}: expected the configs strategy and space, and step_limit; got {node!r:.80}; an experiment "
            f"takes them in with '/strategy@stages.{name}.strategy: cma' and the like: see docs/guides/presets.md"
        )
    strategy = {key: value for key, value in parts["strategy"].items() if key not in ("then", "step_limit", "members")}
    members = parts["strategy"].get("members", {})
    if not isinstance(members, dict):
        raise KvwError(
            f"{where or 'strategy.'}members: expected strategies, such as [genetic,sep_cma]; got {members!r:.80}"
        )
    limit = parts.get("step_limit", parts["strategy"].get("step_limit"))
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise KvwError(f"{where or 'strategy.'}step_limit: expected 1 or more, or null; got {limit!r}")
    make = maker(strategy, f"{where}strategy", **runtime)
    if members:
        own = [
            make_stage(label, member, f"{where}strategy.members.{label}.", **runtime)
            for label, member in members.items()
        ]
        return Archipelago(name, Union, make, limit, members=own)
    return SearchStage(name, maker(node["space"], f"{where}space"), make, limit)

"""From a config to objects: the schema, the checks of its nodes, and :func:`build`.

:func:`build` is the only place where a config's ``_target_`` becomes an object. Objects made at run time never pass
through Hydra's ``instantiate``: it would turn lists and dataclasses into its own containers.
"""

from __future__ import annotations

import difflib
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import UnionType
from typing import Any, Union

from omegaconf import ListConfig, OmegaConf

from kvw.types import KvwError

OURS = ("kvw.", "strategies.")
"""Modules that a config may name things of."""


@dataclass
class Config:
    """Types of the config's own keys; ``conf/kvw.yaml`` has their defaults and meanings.

    The groups are free here: the signature of what a node's ``_target_`` names is that node's schema.
    """

    task: Any
    space: Any
    synth: Any
    fitness: Any
    executor: Any
    transcriber: Any
    language: Any
    other_text: str
    voice_folder: str
    voices_folder: str
    output_name: str
    texts_folder: str
    device: str
    population_limit: int
    step_limit: int
    seed: int
    interpolate_start: bool
    transcribe_start: bool
    transcribe_many: bool
    export_bin: bool
    dry_run: bool
    debug: bool
    strategy: Any = field(default_factory=lambda: {"then": None, "step_limit": None})
    stages: Any = None
    experiment: Any = None
    target_audio: Any = None
    target_text: str | None = None
    test_voice: Any = None
    starting_voice: str | None = None
    heldout_audio: Any = None
    heldout_texts: str | None = None
    other_texts: str | None = None
    minutes: float | None = None
    stop_score: float | None = None
    patience: int | None = None


def pick_device(name: str) -> str:
    """The torch device to use: for ``auto`` CUDA, else Apple's MPS, else the CPU; else ``name`` itself.

    Raises:
        KvwError: this machine, or its build of torch, has no such device.
    """
    import torch

    has = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(kind for kind, there in has.items() if there)
    kind = torch.device(name).type
    if kind == "cuda" and has["cuda"]:
        has["cuda"] = (torch.device(name).index or 0) < torch.cuda.device_count()
    if not has.get(kind):
        there = ", ".join(kind for kind, yes in has.items() if yes)
        raise KvwError(f"device: torch {torch.__version__} finds no {name} here, only {there}; use device=auto")
    return name


def plain(node: Any) -> Any:
    """A config node as resolved dicts, lists and scalars."""
    return OmegaConf.to_container(node, resolve=True)


def several(value: Any) -> list[Any]:
    """The values of a key that takes one or a list of them."""
    return list(value) if isinstance(value, (list, ListConfig)) else [value]


def build(node: Mapping[str, Any], where: str, **runtime: Any) -> Any:
    """Makes what a config node names.

    Args:
        node: plain, with ``_target_`` and that one's own settings.
        where: the node's key, for messages.
        runtime: further arguments, handed over as they are; those that ``_target_`` does not take are left out.

    Raises:
        KvwError: the target is not allowed or can't be imported, or a setting is unknown, of the wrong type or out of
            its range.
    """
    return maker(node, where, **runtime)()


def locate(node: Any, where: str) -> Callable[..., Any]:
    """The function or class that a node's ``_target_`` names.

    Raises:
        KvwError: it can't be imported, or was not made in kvw or strategies: a config must not name just any function.
    """
    from hydra.utils import get_object

    if not isinstance(node, Mapping) or "_target_" not in node:
        raise KvwError(f"{where}: expected a config with a _target_; got {node!r}; see conf/{where}/")
    name = str(node["_target_"])
    refusal = f"{where}._target_: expected a name in {' or '.join(OURS)}; got {name}"
    if not name.startswith(OURS):  # before it is imported
        raise KvwError(refusal)
    try:
        target: Callable[..., Any] = get_object(name)
    except (ImportError, AttributeError, ValueError) as error:
        why = " ".join(str(error).split())
        raise KvwError(f"{where}._target_: {name} can't be imported: {why}") from error
    if not f"{getattr(target, '__module__', '')}.".startswith(OURS):  # kvw.tasks.torch.load is torch's
        raise KvwError(refusal)
    return target


def bound(node: Any, where: str) -> Callable[..., Any]:
    """The function that a node names, with the node's other keys as keyword arguments; what it raises is its own.

    Raises:
        KvwError: as :func:`locate` and :func:`check_settings`.
    """
    target = locate(node, where)
    settings = {key: value for key, value in node.items() if key != "_target_"}
    check_settings(settings, target, where)
    return partial(target, **settings)


def maker(node: Any, where: str, **runtime: Any) -> Callable[..., Any]:
    """As :func:`build`, but a function that makes it when it is called, with more runtime arguments."""
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    target = locate(node, where)
    settings = {key: value for key, value in node.items() if key != "_target_"}
    check_nested(settings, where)
    parameters = inspect.signature(target).parameters
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    if not takes_all:
        check_settings(settings, target, where)
    try:
        ready = instantiate(dict(node), _partial_=True, _convert_="all")
    except InstantiationException as error:
        cause = str(error.__cause__ or error).splitlines()[0]
        raise KvwError(f"{where}: {node['_target_']} can't be made: {cause}") from error

    def make(**more: Any) -> Any:
        known = {key: value for key, value in {**runtime, **more}.items() if takes_all or key in parameters}
        try:
            return ready(**known)
        except (TypeError, ValueError) as error:
            raise KvwError(f"{where}: {' '.join(str(error).split())}") from error

    make.__qualname__ = str(node["_target_"])  # which is named where it fails
    return make


def check_nested(node: Any, where: str) -> None:
    """Locates every ``_target_`` within a node, and checks its settings.

    Raises:
        KvwError: as :func:`locate`.
    """
    if isinstance(node, Mapping):
        if "_target_" in node:
            target = locate(node, where)
            settings = {key: value for key, value in node.items() if key != "_target_"}
            check_settings(settings, target, where)
        for key, value in node.items():
            check_nested(value, f"{where}.{key}")
    elif isinstance(node, list):
        for value in node:
            check_nested(value, where)


def check_settings(settings: Mapping[str, Any], target: Callable[..., Any], where: str) -> None:
    """Checks settings against the signature of what they are for.

    Raises:
        KvwError: a setting is unknown (the nearest known one is named) or of another type than its annotation.
    """
    parameters = inspect.signature(target).parameters
    try:
        types = typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except NameError:  # a plugin's annotations may name what it imports for type checkers alone
        types = {}
    for key, value in settings.items():
        if key not in parameters:
            raise KvwError(f"{where}.{key}: {where} has no such setting{nearest(key, parameters)}")
        kind = types.get(key)
        simple: set[Any] = set(typing.get_args(kind)) if typing.get_origin(kind) in (Union, UnionType) else {kind}
        if not simple <= {bool, int, float, str, type(None)}:
            continue  # the constructor knows better
        fits = type(value) in simple or (float in simple and type(value) is int)
        if not fits:
            wanted = " or ".join(sorted({bool: "true or false", type(None): "null"}.get(k, k.__name__) for k in simple))
            raise KvwError(f"{where}.{key}: expected {wanted}; got {value!r}")


def nearest(word: str, known: typing.Iterable[str]) -> str:
    """A hint that names the known word nearest to ``word``, or all of them."""
    words = sorted(known)
    close = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(words)}" if words else ""

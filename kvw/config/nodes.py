"""From a config node to the object that it names: checks, and :func:`build`.

:func:`locate` is the only place where a config's ``_target_`` becomes an object, and a config may come from a stranger:
a run that is resumed brings its own. So a node can only name classes of the modules that its place is for
(:data:`HOMES`, :data:`WITHIN`), and Hydra's ``instantiate`` has no part in it: that would read the environment where a
text holds ``${oc.env:HOME}``, and turn lists and dataclasses into its own containers.
"""

from __future__ import annotations

import importlib
import inspect
import re
import typing
from collections.abc import Callable, Mapping
from functools import partial
from types import UnionType
from typing import Any, Union

from kvw.errors import KvwError, error_line
from kvw.text import nearest, shown_value

PLUGINS = "strategies"
"""The folder whose classes every place may name, and whose functions ``task`` may: ours, and the user's own."""

HOMES = {
    "task": ("kvw",),
    "space": ("kvw.spaces",),
    "synth": ("kvw.speech.kokoro.synthesizer", "kvw.speech.embedded.synthesizer"),
    "fitness": ("kvw.fitness.hybrid",),
    "executor": ("kvw.executors.local", "kvw.executors.processes", "kvw.executors.ray_executor"),
    "transcriber": ("kvw.transcription.whisper",),
    "judges": ("kvw.reports.judges",),
    "tracking": ("kvw.observers.tensorboard",),
}
"""Modules of kvw that a node may name things of, by its place: the last word of its key."""

WITHIN = {
    "fitness": ("kvw.fitness.rules", "kvw.fitness.campplus"),
    "strategy": ("kvw.search.operators",),
    "judges": ("kvw.reports.judges", "kvw.reports.speaker", "kvw.reports.distillmos"),
}
"""The same for the nodes within that node."""

FUNCTION = {"synth": "kvw.speech.select.automatic", "executor": "kvw.executors.auto.automatic"}
"""The function that a place may name beside classes: it chooses among them."""

DEEPEST = 32
"""Levels of a config. Kvw's own has seven."""

_LONGEST = 200  # characters of a name
_NAME = re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)+", re.ASCII)


def build(node: Mapping[str, Any], where: str, **runtime: Any) -> Any:
    """Makes what a config node names.

    Args:
        node: plain, with ``_target_`` and that one's own settings.
        where: the node's key, for messages; its last word is the node's place.
        runtime: further arguments, handed over as they are; those that ``_target_`` does not take are left out.

    Raises:
        KvwError: the target is not allowed or can't be imported, or a setting is unknown, of the wrong type or out of
            its range.
    """
    return maker(node, where, **runtime)()


def locate(node: Any, where: str, within: str | None = None) -> Callable[..., Any]:
    """The class that a node's ``_target_`` names; for ``task`` the function, which takes an invocation.

    Args:
        node: plain.
        where: its key, for messages; its last word is the node's place.
        within: for a node within another one, that one's place.

    Raises:
        KvwError: the place may not name it, in which case nothing is imported; it can't be imported; or it is of
            another kind than the place is for.
    """
    place = within or where.rpartition(".")[2]
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise KvwError(f"{where}: expected a config with a _target_; got {shown_value(node)}; see conf/{place}/")
    name = node["_target_"]
    homes = (*(WITHIN if within else HOMES).get(place, ()), PLUGINS)
    kind = "function of the config" if place == "task" else "class"
    refusal = f"{where}._target_: expected a {kind} in {' or '.join(homes)}; got {shown_value(name)}"
    plainly = isinstance(name, str) and len(name) <= _LONGEST and _NAME.fullmatch(name)
    module, _, last = name.rpartition(".") if plainly else ("", "", "")
    named = not within and name == FUNCTION.get(place)
    if not named and not _at_home(module, homes):
        raise KvwError(refusal)
    try:
        found = vars(importlib.import_module(module))
    except Exception as error:  # a plugin may raise anything
        raise KvwError(f"{where}._target_: {name} can't be imported: {error_line(error)}") from error
    if last not in found:
        hint = nearest(last, [word for word, value in found.items() if inspect.isclass(value)])
        raise KvwError(f"{where}._target_: {name} can't be imported: there is no {last} in {module}{hint}")
    target: Callable[..., Any] = found[last]
    fits = _is_task(target) if place == "task" else inspect.isclass(target)
    if not named and not (fits and _at_home(target.__module__, homes)):  # a module has what it imports, too
        raise KvwError(refusal)
    return target


def bound(node: Any, where: str) -> Callable[..., Any]:
    """The function that a node names, with the node's other keys as keyword arguments.

    Raises:
        KvwError: as :func:`locate` and :func:`check_settings`.
    """
    target = locate(node, where)
    settings = {key: value for key, value in node.items() if key != "_target_"}
    check_settings(settings, target, where)
    return partial(target, **settings)


def maker(node: Any, where: str, **runtime: Any) -> Callable[..., Any]:
    """A function that makes what a node names, as :func:`build`, when it is called with further runtime arguments."""
    target = locate(node, where)
    settings = {key: value for key, value in node.items() if key != "_target_"}
    check_settings(settings, target, where)
    place = where.rpartition(".")[2]
    own = {key: _made(value, key_below(where, key), place) for key, value in settings.items()}
    parameters = inspect.signature(target).parameters
    takes_all = _takes_all(parameters)

    def make(**more: Any) -> Any:
        known = {key: value for key, value in {**runtime, **more}.items() if takes_all or key in parameters}
        try:
            return target(**{**own, **known})
        except (TypeError, ValueError) as error:
            raise KvwError(f"{where}: {' '.join(str(error).split())}") from error

    make.__qualname__ = str(node["_target_"])  # which is named where it fails
    return make


def _made(value: Any, where: str, place: str, depth: int = 1) -> Any:
    """A setting's value with every config node in it replaced by the object that the node names."""
    if isinstance(value, (Mapping, list)) and depth >= DEEPEST:
        raise KvwError(f"{where:.80}: expected a config of at most {DEEPEST} levels; got more")
    if isinstance(value, list):
        return [_made(item, where, place, depth + 1) for item in value]
    if not isinstance(value, Mapping):
        return value
    if "_target_" not in value:
        return {key: _made(item, key_below(where, key), place, depth + 1) for key, item in value.items()}
    target = locate(value, where, place)
    settings = {key: item for key, item in value.items() if key != "_target_"}
    check_settings(settings, target, where)
    own = {key: _made(item, key_below(where, key), place, depth + 1) for key, item in settings.items()}
    try:
        return target(**own)
    except Exception as error:  # a plugin may raise anything
        why = " ".join(str(error).split()) or type(error).__name__
        raise KvwError(f"{where}: {value['_target_']} can't be made: {why:.400}") from error


def check_settings(settings: Mapping[str, Any], target: Callable[..., Any], where: str) -> None:
    """Checks settings against the signature of the class or function that takes them.

    Args:
        settings: by name.
        target: a class, or a function, whose settings are its keyword-only arguments.
        where: the key that they are below; empty for the config's own.

    Raises:
        KvwError: a setting is unknown (the nearest known one is named) or of another type than its annotation.
    """
    try:
        parameters = inspect.signature(target).parameters
    except ValueError as error:
        raise KvwError(f"{where}: expected a class that says what settings it takes; {error}") from error
    try:
        types = typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except Exception:  # a plugin's annotations may name what it imports for type checkers alone
        types = {}
    known = {
        name
        for name, one in parameters.items()
        if one.kind is one.KEYWORD_ONLY or (one.kind is one.POSITIONAL_OR_KEYWORD and inspect.isclass(target))
    }
    for key, value in settings.items():
        name = key_below(where, key)
        if not isinstance(key, str) or key.startswith("_") or (key not in known and not _takes_all(parameters)):
            raise KvwError(f"{name}: there is no such setting{nearest(str(key), known)}")
        kind = types.get(key)
        simple: set[Any] = set(typing.get_args(kind)) if typing.get_origin(kind) in (Union, UnionType) else {kind}
        if not simple <= {bool, int, float, str, type(None)}:
            continue  # the constructor knows better
        fits = type(value) in simple or (float in simple and type(value) is int and value.bit_length() < 1024)
        if not fits:
            wanted = " or ".join(sorted({bool: "true or false", type(None): "null"}.get(k, k.__name__) for k in simple))
            raise KvwError(f"{name}: expected {wanted}; got {shown_value(value)}")


def key_below(where: str, key: Any) -> str:
    """The key of a value below another one, for messages."""
    plainly = isinstance(key, str) and re.fullmatch(r"[\w-]{1,80}", key)
    return f"{where}.{key if plainly else shown_value(key)}".lstrip(".")


def _at_home(module: str, homes: tuple[str, ...]) -> bool:
    return any(module == home or module.startswith(f"{home}.") for home in homes)


def _takes_all(parameters: Mapping[str, inspect.Parameter]) -> bool:
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())


def _is_task(target: Any) -> bool:
    """Whether ``target`` is a function ``(invocation, *, ...) -> float``; Hydra's wrapper of ``main`` is none."""
    if not inspect.isfunction(target):
        return False
    signature = inspect.signature(target, follow_wrapped=False)
    first, *others = signature.parameters.values() or (None,)
    alone = first is not None and first.name == "invocation" and all(one.kind is one.KEYWORD_ONLY for one in others)
    return alone and signature.return_annotation in ("float", float, inspect.Signature.empty)

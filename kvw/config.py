"""From a config to objects: the schema, the checks of its nodes, and :func:`build`.

:func:`locate` is the only place where a config's ``_target_`` becomes an object, and a config may come from a stranger:
a run that is taken up again brings its own. So a node names only what its place is for (:data:`HOMES`,
:data:`WITHIN`), and Hydra's ``instantiate`` has no part in it: that would read the environment where a text holds
``${oc.env:HOME}``, and turn lists and dataclasses into its own containers.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import partial
from types import UnionType
from typing import Any, Union

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kvw.types import KvwError

PLUGINS = "strategies"
"""The folder whose classes every place may name, and whose functions ``task`` may: ours, and the user's own."""

HOMES = {
    "task": ("kvw",),
    "space": ("kvw.space", "kvw.blend"),
    "synth": ("kvw.speech.kokoro", "kvw.speech.embedded"),
    "fitness": ("kvw.fitness",),
    "executor": ("kvw.executor", "kvw.cluster"),
    "transcriber": ("kvw.transcribe",),
    "judges": ("kvw.judges",),
    "tracking": ("kvw.tracking",),
}
"""Modules of kvw that a node may name things of, by its place: the last word of its key."""

WITHIN = {"fitness": ("kvw.gate",), "strategy": ("kvw.operators",), "judges": ("kvw.judges",)}
"""The same for the nodes within that node."""

FUNCTION = {"synth": "kvw.speech.choice.automatic"}
"""The function that a place may name beside classes; it gives another node."""

DEEPEST = 32
"""Levels of a config. Kvw's own has seven."""

MOST = 10_000
"""Values in a saved config, and ``${`` in its texts: OmegaConf takes a second for them. Kvw's own has some hundred."""

_LONGEST = 200  # characters of a name
_NAME = re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)+", re.ASCII)
_MISSING = "???"  # OmegaConf's word for a value that is not there, which no escape turns into a text
_MARKS = "kvw.question_marks"


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
    judges: Any = None
    tracking: Any = None
    report: bool = True
    target_audio: Any = None
    target_text: str | None = None
    test_voice: Any = None
    starting_voice: str | None = None
    resume: str | None = None
    run: Any = None
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
    if isinstance(value, ListConfig):
        return list(plain(value))
    return list(value) if isinstance(value, list) else [value]


def restored(saved: Mapping[str, Any]) -> DictConfig:
    """The config of a run, of what :func:`plain` made of it. It may come from a stranger, and nothing in it is live.

    Every text arrives as it was typed, whatever ``${...}`` it holds: ``plain(restored(saved)) == saved``, but for keys
    that ``saved`` lacks and that have a default. No resolver reads the environment, a file or another key. What
    the nodes name is not looked at: :func:`locate` does that, where they are used.

    Args:
        saved: JSON values by the keys of :class:`Config`.

    Returns:
        a config as Hydra composes it: typed, and closed against other keys.

    Raises:
        KvwError: a key is unknown or lacking, or its value is of another type; there is something that JSON has no
            word for; it has more than :data:`DEEPEST` levels or :data:`MOST` values.
    """
    if not isinstance(saved, Mapping):
        raise KvwError(f"config: expected its keys and values; got {shown(saved)}")
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
        escaped = re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + r"\${", value)
        return f"${{{_MARKS}:}}" if value == _MISSING else escaped
    if isinstance(value, (dict, list)) and depth >= DEEPEST:
        raise KvwError(f"{where:.80}: expected a config of at most {DEEPEST} levels; got more")
    if isinstance(value, list):
        return [_verbatim(item, where, left, depth + 1) for item in value]
    if isinstance(value, dict) and all(type(key) is str for key in value):
        return {key: _verbatim(item, _below(where, key), left, depth + 1) for key, item in value.items()}
    if value is None or type(value) in (bool, int, float):
        return value
    raise KvwError(f"{where}: expected texts, numbers, lists and dicts, as JSON has them; got {shown(value)}")


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
    """The class that a node's ``_target_`` names; for ``task`` the function, which takes the config alone.

    Args:
        node: plain.
        where: its key, for messages; its last word is the node's place.
        within: for a node within another one, that one's place.

    Raises:
        KvwError: the name is not one that the place may have: then nothing is imported. Or it can't be imported, or is
            not what the place is for.
    """
    place = within or where.rpartition(".")[2]
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise KvwError(f"{where}: expected a config with a _target_; got {shown(node)}; see conf/{place}/")
    name = node["_target_"]
    homes = (*(WITHIN if within else HOMES).get(place, ()), PLUGINS)
    kind = "function of the config" if place == "task" else "class"
    refusal = f"{where}._target_: expected a {kind} in {' or '.join(homes)}; got {shown(name)}"
    plainly = isinstance(name, str) and len(name) <= _LONGEST and _NAME.fullmatch(name)
    module, _, last = name.rpartition(".") if plainly else ("", "", "")
    named = not within and name == FUNCTION.get(place)
    if not named and not _at_home(module, homes):
        raise KvwError(refusal)
    try:
        found = vars(importlib.import_module(module))
    except Exception as error:  # a plugin may raise anything
        why = " ".join(str(error).split())
        raise KvwError(f"{where}._target_: {name} can't be imported: {type(error).__name__}: {why:.200}") from error
    if last not in found:
        hint = nearest(last, [word for word, value in found.items() if inspect.isclass(value)])
        raise KvwError(f"{where}._target_: {name} can't be imported: there is no {last} in {module}{hint}")
    target: Callable[..., Any] = found[last]
    fits = _is_task(target) if place == "task" else inspect.isclass(target)
    if not named and not (fits and _at_home(target.__module__, homes)):  # a module has what it imports, too
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
    target = locate(node, where)
    settings = {key: value for key, value in node.items() if key != "_target_"}
    check_settings(settings, target, where)
    place = where.rpartition(".")[2]
    own = {key: _made(value, _below(where, key), place) for key, value in settings.items()}
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
    """A setting's value, in which every node is made into what it names."""
    if isinstance(value, (Mapping, list)) and depth >= DEEPEST:
        raise KvwError(f"{where:.80}: expected a config of at most {DEEPEST} levels; got more")
    if isinstance(value, list):
        return [_made(item, where, place, depth + 1) for item in value]
    if not isinstance(value, Mapping):
        return value
    if "_target_" not in value:
        return {key: _made(item, _below(where, key), place, depth + 1) for key, item in value.items()}
    target = locate(value, where, place)
    settings = {key: item for key, item in value.items() if key != "_target_"}
    check_settings(settings, target, where)
    own = {key: _made(item, _below(where, key), place, depth + 1) for key, item in settings.items()}
    try:
        return target(**own)
    except Exception as error:  # a plugin may raise anything
        why = " ".join(str(error).split()) or type(error).__name__
        raise KvwError(f"{where}: {value['_target_']} can't be made: {why:.400}") from error


def check_settings(settings: Mapping[str, Any], target: Callable[..., Any], where: str) -> None:
    """Checks settings against the signature of what they are for.

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
        name = _below(where, key)
        if not isinstance(key, str) or key.startswith("_") or (key not in known and not _takes_all(parameters)):
            raise KvwError(f"{name}: there is no such setting{nearest(str(key), known)}")
        kind = types.get(key)
        simple: set[Any] = set(typing.get_args(kind)) if typing.get_origin(kind) in (Union, UnionType) else {kind}
        if not simple <= {bool, int, float, str, type(None)}:
            continue  # the constructor knows better
        fits = type(value) in simple or (float in simple and type(value) is int and value.bit_length() < 1024)
        if not fits:
            wanted = " or ".join(sorted({bool: "true or false", type(None): "null"}.get(k, k.__name__) for k in simple))
            raise KvwError(f"{name}: expected {wanted}; got {shown(value)}")


def shown(value: Any) -> str:
    """``value`` for a message: at most 80 characters, on one line."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer may be too long for Python, and a list too deep
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _below(where: str, key: Any) -> str:
    """The key of a value below another one, for messages."""
    plainly = isinstance(key, str) and re.fullmatch(r"[\w-]{1,80}", key)
    return f"{where}.{key if plainly else shown(key)}".lstrip(".")


def _at_home(module: str, homes: tuple[str, ...]) -> bool:
    return any(module == home or module.startswith(f"{home}.") for home in homes)


def _takes_all(parameters: Mapping[str, inspect.Parameter]) -> bool:
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())


def _is_task(target: Any) -> bool:
    """Whether it is a function ``(cfg, *, ...) -> float``: Hydra's own wrapper of ``kvw.cli.main`` is none."""
    if not inspect.isfunction(target):
        return False
    signature = inspect.signature(target, follow_wrapped=False)
    first, *others = signature.parameters.values() or (None,)
    alone = first is not None and first.name == "cfg" and all(one.kind is one.KEYWORD_ONLY for one in others)
    return alone and signature.return_annotation in ("float", float, inspect.Signature.empty)


def nearest(word: str, known: typing.Iterable[str]) -> str:
    """A hint that names the known word nearest to ``word``, or all of them."""
    words = sorted(known)
    close = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(words)}" if words else ""

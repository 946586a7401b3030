"""What a result depends on beside its config: versions, hardware and threads; and which device and CPUs to use.

Importing this module is cheap: the functions that need torch import it.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kvw import __version__
from kvw.errors import KvwError
from kvw.runtime.files import nearest_existing


def usable_cpus() -> int:
    """The number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def give_numba_a_cache() -> None:
    """Lets numba keep what it compiles in the folder for temporary files, where it could write nowhere else.

    It keeps it beside the modules, else below the home folder, and raises where both are read-only, as in a container.
    Called before numba is imported.
    """
    spec = importlib.util.find_spec("librosa")
    beside = Path(spec.origin).parent if spec and spec.origin else Path("/")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path(os.environ.get("HOME", "/"), ".cache"))
    if "NUMBA_CACHE_DIR" not in os.environ and not any(
        os.access(nearest_existing(place), os.W_OK | os.X_OK) for place in (beside, home)
    ):
        os.environ["NUMBA_CACHE_DIR"] = str(Path(tempfile.gettempdir()) / "kvw-numba")


def pick_device(name: str) -> str:
    """The torch device to use: for ``auto`` CUDA, else Apple's MPS, else the CPU; any other ``name`` as it is.

    Raises:
        KvwError: this machine, or its build of torch, lacks the device.
    """
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(kind for kind, present in available.items() if present)
    kind = torch.device(name).type
    if kind == "cuda" and available["cuda"]:
        available["cuda"] = (torch.device(name).index or 0) < torch.cuda.device_count()
    if not available.get(kind):
        kinds = ", ".join(kind for kind, present in available.items() if present)
        raise KvwError(f"device: torch {torch.__version__} finds no {name} here, only {kinds}; use device=auto")
    return name


def fingerprint(device: str, batch: int, nodes: Any) -> dict[str, str]:
    """Everything beside the config that the bits of a result depend on, by name: two equal ones compute equal bits.

    Args:
        device: the torch device.
        batch: voices that are evaluated at once; results on a CPU don't depend on it, so it is left out there.
        nodes: config nodes; the sources of the plugins that they name, at any depth, are part of the fingerprint.
            The sources of kvw itself are not: its version stands for them.
    """
    import torch
    from threadpoolctl import threadpool_info

    parts = {f"version of {name}": version for name, version in versions().items()}
    parts["machine"] = f"{platform.system()} {platform.machine()} {''.join(platform.libc_ver())}"
    parts["threads"] = str(torch.get_num_threads())
    parts["kernels of torch"] = torch.backends.cpu.get_cpu_capability()
    libraries = threadpool_info()
    blas = {
        f"{library['internal_api']} {library['version']} {library.get('architecture', '')}" for library in libraries
    }
    parts["kernels of the BLAS"] = ", ".join(sorted(blas))
    kind = torch.device(device)
    parts["device"] = torch.cuda.get_device_name(kind) if kind.type == "cuda" else kind.type
    if kind.type != "cpu":
        parts["batch"] = str(batch)
    for module in sorted(set(_target_modules(nodes))):
        spec = importlib.util.find_spec(module) if module.partition(".")[0] != "kvw" else None
        if spec and spec.origin:
            parts[f"source of {module}"] = hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()[:16]
    return parts


def _target_modules(node: Any) -> Iterator[str]:
    """The modules that ``_target_`` names in a config node, at any depth."""
    if isinstance(node, Mapping):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"].rpartition(".")[0]
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from _target_modules(item)


def differences(first: dict[str, str], second: dict[str, str], there: str = "then", here: str = "now") -> list[str]:
    """Where two fingerprints differ, a line each.

    Args:
        first: a fingerprint.
        second: the fingerprint to compare it with.
        there: a word for the place or time of ``first``.
        here: the same for ``second``.
    """
    return [
        f"{name}: {first.get(name, 'none')} {there}, {second.get(name, 'none')} {here}"
        for name in sorted(first.keys() | second.keys())
        if first.get(name) != second.get(name)
    ]


PACKAGES = ("torch", "kokoro", "resemblyzer", "librosa", "numpy", "scipy", "numba", "soxr", "deap", "ctranslate2")
"""The packages whose versions can change a score."""


def versions() -> dict[str, str]:
    """The versions of kvw, of Python and of :data:`PACKAGES`."""
    return {
        "kvw": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def version(package: str) -> str:
    """The version of an installed package; ``none`` if it isn't installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def comparable() -> dict[str, str]:
    """The versions that all machines of one search must share: torch without its build, Python without its patch."""
    shared = {name: version.partition("+")[0] for name, version in versions().items()}
    return {**shared, "python": shared["python"].rpartition(".")[0]}

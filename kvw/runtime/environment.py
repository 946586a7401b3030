"""The machine and the versions that a result depends on, the torch device, and the CPUs that this process may use.

Importing this module takes no time: torch is imported where it is asked.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kvw import __version__
from kvw.errors import KvwError


def usable_cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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


def fingerprint(device: str, batch: int, nodes: Any) -> dict[str, str]:
    """Everything that two machines, or two days, have to have in common to compute the same bits, by name.

    Args:
        device: the torch device.
        batch: voices that are evaluated at once; on a CPU nothing depends on it.
        nodes: of a config; the sources of what they name, at any depth, count.
    """
    import torch
    from threadpoolctl import threadpool_info

    found = {f"version of {name}": version for name, version in versions().items()}
    found["machine"] = f"{platform.system()} {platform.machine()} {''.join(platform.libc_ver())}"
    found["threads"] = str(torch.get_num_threads())
    found["kernels of torch"] = torch.backends.cpu.get_cpu_capability()
    blas = {f"{one['internal_api']} {one['version']} {one.get('architecture', '')}" for one in threadpool_info()}
    found["kernels of the BLAS"] = ", ".join(sorted(blas))
    kind = torch.device(device)
    found["device"] = torch.cuda.get_device_name(kind) if kind.type == "cuda" else kind.type
    if kind.type != "cpu":
        found["batch"] = str(batch)
    for module in sorted(set(_modules(nodes))):
        spec = importlib.util.find_spec(module)
        if spec and spec.origin:
            found[f"source of {module}"] = hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()[:16]
    return found


def _modules(node: Any) -> Iterator[str]:
    """The modules that ``_target_`` names, at any depth."""
    if isinstance(node, Mapping):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"].rpartition(".")[0]
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from _modules(one)


def differences(one: dict[str, str], other: dict[str, str], there: str = "then", here: str = "now") -> list[str]:
    """What differs, a few words each; ``there`` and ``here`` are words for where the two come from."""
    return [
        f"{name}: {one.get(name, 'none')} {there}, {other.get(name, 'none')} {here}"
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name)
    ]


PACKAGES = ("torch", "kokoro", "resemblyzer", "librosa", "numpy", "scipy", "numba", "soxr", "deap")


def versions() -> dict[str, str]:
    """Versions of kvw, Python and what the figures depend on."""
    return {
        "kvw": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def version(package: str) -> str:
    """Of an installed package, else ``none``."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def comparable() -> dict[str, str]:
    """Those that the machines of one search share: without builds of torch, and of Python without the last number."""
    found = {name: version.partition("+")[0] for name, version in versions().items()}
    return {**found, "python": found["python"].rpartition(".")[0]}

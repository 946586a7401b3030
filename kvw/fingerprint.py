"""What the last bit of a result depends on beside a run's config: a run that goes on elsewhere is told what differs."""

from __future__ import annotations

import hashlib
import importlib.util
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_info

from kvw.versions import versions


def fingerprint(device: str, batch: int, nodes: Any) -> dict[str, str]:
    """Everything that two machines, or two days, have to have in common to compute the same bits, by name.

    Args:
        device: the torch device.
        batch: voices that are evaluated at once; on a CPU nothing depends on it.
        nodes: of a config; the sources of what they name, at any depth, count.
    """
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

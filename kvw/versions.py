"""Versions of what the figures of a run depend on. Importing this module takes no time."""

from __future__ import annotations

import importlib.metadata
import platform

from kvw import __version__

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

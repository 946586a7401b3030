"""kvw evolves Kokoro-82M voices towards a target speaker. Its public names, each imported on first use.

The author of a strategy needs :class:`Candidate`, :class:`Finished` and the protocols :class:`Space` and
:class:`Strategy`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kvw.search.candidate import Candidate
    from kvw.search.strategy import Finished, Strategy
    from kvw.spaces.base import Space

__version__ = "0.1.0"
__all__ = ["Candidate", "Finished", "Space", "Strategy", "__version__"]

_HOMES = {
    "Candidate": "kvw.search.candidate",
    "Finished": "kvw.search.strategy",
    "Space": "kvw.spaces.base",
    "Strategy": "kvw.search.strategy",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'kvw' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""kvw evolves Kokoro-82M voices towards a target speaker. Its public names, each imported on first use.

- :func:`evolve` a voice, :func:`speak` with it, :class:`Result`, the :func:`demo` recording;
- :func:`load_voice`, :func:`save_voice`, and the runs of a folder as a database: :func:`open_runs`;
- for a strategy's author: :class:`Candidate`, :class:`Pullback`, :class:`Finished`, the protocols :class:`Space` and
  :class:`Strategy`;
- :class:`KvwError`, the error of all of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kvw.api import Result, demo, evolve, speak
    from kvw.errors import KvwError
    from kvw.evaluation import Pullback
    from kvw.runs.reader import open_runs
    from kvw.search.candidate import Candidate
    from kvw.search.strategy import Finished, Strategy
    from kvw.spaces.base import Space
    from kvw.voices.files import load_voice, save_voice

__version__ = "0.1.0"

_HOMES = {
    "Candidate": "kvw.search.candidate",
    "Finished": "kvw.search.strategy",
    "KvwError": "kvw.errors",
    "Pullback": "kvw.evaluation",
    "Result": "kvw.api",
    "Space": "kvw.spaces.base",
    "Strategy": "kvw.search.strategy",
    "demo": "kvw.api",
    "evolve": "kvw.api",
    "load_voice": "kvw.voices.files",
    "open_runs": "kvw.runs.reader",
    "save_voice": "kvw.voices.files",
    "speak": "kvw.api",
}
__all__ = [
    "Candidate",
    "Finished",
    "KvwError",
    "Pullback",
    "Result",
    "Space",
    "Strategy",
    "__version__",
    "demo",
    "evolve",
    "load_voice",
    "open_runs",
    "save_voice",
    "speak",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'kvw' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

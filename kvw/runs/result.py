"""The result of a run: ``result.json``, written and read; ``summary.txt``; and evaluations as text.

The layout of ``result.json`` is known here alone. Its ``voices`` have the entries of :func:`compared` by their labels:
the best stock voice first, the best candidate last.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from kvw.errors import EXIT_CORRUPT, KvwError, error_line
from kvw.evaluation import Evaluation
from kvw.search.archive import Entry
from kvw.search.loop import SearchResult
from kvw.text import aligned

Figures = TypeVar("Figures")

FIGURES = (
    "score",
    "target_similarity",
    "heldout",
    "stock_score",
    "stock_heldout",
    "evaluations",
    "synthesised_seconds",
    "seconds",
)
"""The keys of :func:`result_figures`: columns of ``sweep.csv``."""

START = "start"
"""The label of the first candidate, in a run that began with a starting voice."""

LABELS = {"target": "Target Sim", "self": "Self Sim", "feature": "Feature Sim"}
"""KVoiceWalk's names of the fitness stages."""


def compared(result: SearchResult) -> dict[str, Entry]:
    """The voices that a result compares, by label: the best stock voice, the start, the best candidate."""
    entries = {f"best stock voice, {result.baseline.name}": result.baseline}
    if result.start:
        entries[START] = result.start
    if result.archive.best:
        entries[f"result, step {result.archive.best.step}"] = result.archive.best
    return entries


def result_json(result: SearchResult, heldout: Mapping[str, Sequence[float]], facts: Mapping[str, Any]) -> str:
    """The content of ``result.json``.

    Args:
        result: of the search.
        heldout: similarities on the held-out texts, by the labels of :func:`compared`.
        facts: of the run, as in every voice's ``.json``.
    """
    voices = {
        label: {**scores_of(entry.evaluation), "status": entry.evaluation.status, "heldout": list(heldout[label])}
        for label, entry in compared(result).items()
    }
    archive = result.archive
    content = {
        **facts,
        "improved": result.improved,
        "stopped_because": result.reason,
        "seconds": result.seconds,
        "evaluations": archive.steps,
        "complete": archive.complete,
        "failures": archive.failures,
        "synthesised_seconds": archive.synthesised,
        "voices": voices,
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def result_figures(result: Mapping[str, Any]) -> dict[str, float]:
    """The figures that a sweep compares, by :data:`FIGURES`, from the content of a ``result.json``."""
    voices = list(result["voices"].values())
    stock, best = voices[0], voices[-1]
    return {
        "score": best["score"],
        "target_similarity": best["target_similarity"],
        "heldout": float(np.mean(best["heldout"])),
        "stock_score": stock["score"],
        "stock_heldout": float(np.mean(stock["heldout"])),
        "evaluations": result["evaluations"],
        "synthesised_seconds": result["synthesised_seconds"],
        "seconds": result["seconds"],
    }


def read_figures(path: Path) -> dict[str, float]:
    """The :func:`result_figures` of a ``result.json``; empty if there is no such file.

    Raises:
        KvwError: the file can't be read.
    """

    def figures(content: Any) -> dict[str, float]:
        return {name: float(value) for name, value in result_figures(content).items()}

    return _read(path, figures)


def read_heldout(path: Path) -> dict[str, list[float]]:
    """The similarities on the held-out texts in a ``result.json``, by :data:`kvw.runs.artifacts.ROLES`.

    A run that did not begin with a starting voice lacks ``start``; without the file all are lacking.

    Raises:
        KvwError: the file can't be read.
    """

    def figures(content: Any) -> dict[str, list[float]]:
        voices = list(content["voices"].items())
        roles = {label: "start" for label, _ in voices if label == START}
        roles |= {voices[0][0]: "stock", voices[-1][0]: "best"}
        return {
            roles[label]: [float(similarity) for similarity in voice["heldout"]]
            for label, voice in voices
            if label in roles
        }

    return _read(path, figures)


def _read(path: Path, figures: Callable[[Any], dict[str, Figures]]) -> dict[str, Figures]:
    try:
        return figures(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise KvwError(
            f"{path}: expected the figures of a run; got {error_line(error):.80}; move it away", EXIT_CORRUPT
        ) from None


def summary(result: SearchResult, heldout: Mapping[str, Sequence[float]], about: Mapping[str, str]) -> str:
    """The content of ``summary.txt``: the figures of the :func:`compared` voices, on the scored texts and held out.

    Args:
        result: of the search.
        heldout: similarities on the held-out texts, by the labels of :func:`compared`.
        about: further lines, name and text.
    """
    lines = []
    if not result.improved:
        lines.append(f"no improvement: no candidate scored above the best stock voice, {result.baseline.name}")
    head = ("", "Score", *LABELS.values(), "Held-out")
    rows = [head]
    for label, entry in compared(result).items():
        parts = [entry.evaluation.parts.get(name) for name in LABELS]
        cells = ["-" if part is None else f"{part:.3f}" for part in parts]
        rows.append((label, f"{entry.evaluation.score:.2f}", *cells, f"{np.mean(heldout[label]):.3f}"))
    lines += aligned(rows, 1)
    lines += [f"{name}: {text}" for name, text in about.items()]
    return "\n".join(lines)


def figures_line(evaluation: Evaluation, notes: Mapping[str, float] | None = None) -> str:
    """The figures of an evaluation, and a strategy's notes, on one line, by KVoiceWalk's names."""
    parts = [f"{LABELS.get(name, name)}: {value:.3f}" for name, value in evaluation.parts.items()]
    more = [f"{name}: {value:.2f}".removesuffix(".00") for name, value in (notes or {}).items()]
    outcome = f"Score: {evaluation.score:.2f}" if evaluation.complete else f"{evaluation.status} {evaluation.detail}"
    return ", ".join([*parts, outcome.strip(), *more])


def scores_of(evaluation: Evaluation) -> dict[str, float]:
    """The score and its parts as JSON values."""
    return {"score": evaluation.score, **{f"{name}_similarity": value for name, value in evaluation.parts.items()}}

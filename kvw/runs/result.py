"""The result of a run: its summary as text, and ``result.json``, written and read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kvw.evaluation import Evaluation
from kvw.search.archive import Entry
from kvw.search.loop import SearchResult
from kvw.text import aligned

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
"""What is read from a job's result: columns of ``sweep.csv``."""


def result_figures(result: Mapping[str, Any]) -> dict[str, float]:
    """What a sweep compares, from the content of a ``result.json`` (see :func:`kvw.runs.result.result_json`)."""
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


LABELS = {"target": "Target Sim", "self": "Self Sim", "feature": "Feature Sim"}
"""The documents' names of the fitness stages."""


def figures_line(evaluation: Evaluation, notes: Mapping[str, float] | None = None) -> str:
    """The documents' figures of an evaluation, on one line."""
    parts = [f"{LABELS.get(name, name)}: {value:.3f}" for name, value in evaluation.parts.items()]
    more = [f"{name}: {value:.2f}".removesuffix(".00") for name, value in (notes or {}).items()]
    outcome = f"Score: {evaluation.score:.2f}" if evaluation.complete else f"{evaluation.status} {evaluation.detail}"
    return ", ".join([*parts, outcome.strip(), *more])


def scores_of(evaluation: Evaluation) -> dict[str, float]:
    """The score and its parts as JSON values."""
    return {"score": evaluation.score, **{f"{name}_similarity": value for name, value in evaluation.parts.items()}}


def summary(result: SearchResult, heldout: Mapping[str, Sequence[float]], about: Mapping[str, str]) -> str:
    """The figures of a run as text: best stock voice, start and result, on the scored texts and held out.

    Args:
        result: of the search.
        heldout: similarities on the held-out texts, by the label of :func:`compared`.
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


def compared(result: SearchResult) -> dict[str, Entry]:
    """What a summary compares, by label."""
    rows = {f"best stock voice, {result.baseline.name}": result.baseline}
    if result.start:
        rows["start"] = result.start
    if result.archive.best:
        rows[f"result, step {result.archive.best.step}"] = result.archive.best
    return rows


def result_json(result: SearchResult, heldout: Mapping[str, Sequence[float]], facts: Mapping[str, Any]) -> str:
    """The same as JSON, with everything in it."""
    rows = {
        label: {**scores_of(entry.evaluation), "status": entry.evaluation.status, "heldout": list(heldout[label])}
        for label, entry in compared(result).items()
    }
    archive = result.archive
    record = {
        **facts,
        "improved": result.improved,
        "stopped_because": result.reason,
        "seconds": result.seconds,
        "evaluations": archive.steps,
        "complete": archive.complete,
        "failures": archive.failures,
        "synthesised_seconds": archive.synthesised,
        "voices": rows,
    }
    return json.dumps(record, indent=2, ensure_ascii=False) + "\n"

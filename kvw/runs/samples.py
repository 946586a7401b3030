"""Rows of a record as objects: candidates, stock voices, and training data for a predictor."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kvw.evaluation import Evaluation
from kvw.runs.schema import evaluation_of
from kvw.types import STYLE_WIDTH


@dataclass(frozen=True)
class Sample:
    """A recorded candidate.

    Attributes:
        step: the candidate's number, from 0, counted over the run.
        generation: the number of its generation, from 0.
        evaluation: what the fitness measured of the candidate.
        notes: the strategy's figures for the candidate, by name.
        rows: the style rows that the scored texts are heard through, float32 ``(texts, 256)``, read-only.
    """

    step: int
    generation: int
    evaluation: Evaluation
    notes: dict[str, float]
    rows: NDArray[np.float32]


@dataclass(frozen=True)
class Stock:
    """An evaluation of a stock voice before the search.

    Attributes:
        name: of the voice.
        evaluation: what the fitness measured of the voice.
        ranking: ``ranked``: by the first fitness stage alone, as every stock voice is; ``full``: by all stages, as the
            voices that seed the search are.
        rows: as in :class:`Sample`.
    """

    name: str
    evaluation: Evaluation
    ranking: str
    rows: NDArray[np.float32]


@dataclass(frozen=True)
class Training:
    """Training data for a predictor of similarity. Rows of two runs are comparable if their synthesiser is the same.

    Attributes:
        steps: of the candidates, int64 ``(n,)``.
        rows: the style rows that the segments of the scored texts are heard through, float32 ``(n, segments, 256)``.
        target_similarity: float64 ``(n,)``, in [0, 1], by which candidates were ordered: for a candidate that was
            stopped before the target text the probe's similarity, or 0; -1 for a failure.
        embeddings: of the speaker that was heard in each text, float32 ``(n, texts, 256)``; NaN for a text that was not
            heard, and of a run that an older kvw recorded.
        parts: similarity by stage, float64 ``(n, len(names))``, each in [0, 1]; NaN for stages not reached.
        names: of the stages, in their order.
    """

    steps: NDArray[np.int64]
    rows: NDArray[np.float32]
    target_similarity: NDArray[np.float64]
    embeddings: NDArray[np.float32]
    parts: NDArray[np.float64]
    names: tuple[str, ...]


def sample_of(row: Sequence[Any]) -> Sample:
    """The candidate in a row of the table ``candidates``."""
    step, generation, *evaluation, notes, rows = row
    figures = {str(name): float(value) for name, value in json.loads(notes).items()}
    return Sample(int(step), int(generation), evaluation_of(evaluation), figures, _style(rows))


def stock_of(row: Sequence[Any]) -> Stock:
    """The stock voice in a row of the table ``stock``."""
    name, ranking, *evaluation, rows = row
    return Stock(str(name), evaluation_of(evaluation), str(ranking), _style(rows))


def training_of(samples: Sequence[Sample], segments: int, embeddings: NDArray[np.float32]) -> Training:
    """The training data of candidates.

    Args:
        samples: the candidates.
        segments: of the scored texts: style rows of each candidate.
        embeddings: see :class:`Training`.

    Raises:
        ValueError: a candidate has rows of another shape.
    """
    evaluations = [sample.evaluation for sample in samples]
    names = list(dict.fromkeys(name for evaluation in evaluations for name in evaluation.parts))
    rows = np.empty((len(samples), segments, STYLE_WIDTH), dtype=np.float32)
    for row, sample in zip(rows, samples, strict=True):
        row[:] = sample.rows
    parts = [[evaluation.parts.get(name, np.nan) for name in names] for evaluation in evaluations]
    return Training(
        np.array([sample.step for sample in samples], dtype=np.int64),
        rows,
        np.array([evaluation.target_similarity for evaluation in evaluations], dtype=np.float64),
        embeddings,
        np.array(parts).reshape(len(samples), len(names)),
        tuple(names),
    )


def _style(rows: bytes) -> NDArray[np.float32]:
    return np.frombuffer(rows, "<f4").reshape(-1, STYLE_WIDTH)

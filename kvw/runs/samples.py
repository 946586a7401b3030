"""The rows of a run's record as programs read them: candidates, stock voices, and data for a predictor."""

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
    """A candidate as it was recorded.

    Attributes:
        step: its number, from 0, counted over the run.
        generation: its generation's, from 0.
        evaluation: what the fitness found out about it.
        notes: the strategy's figures for it.
        rows: the style rows that the scored texts are heard through, float32 ``(texts, 256)``, read-only.
    """

    step: int
    generation: int
    evaluation: Evaluation
    notes: dict[str, float]
    rows: NDArray[np.float32]


@dataclass(frozen=True)
class Stock:
    """A stock voice as it was evaluated before the search.

    Attributes:
        name: of the voice.
        evaluation: what the fitness found out about it.
        ranking: ``ranked``, every voice, of which the first stage alone was run; ``full``, those that seed the search.
        rows: as in :class:`Sample`.
    """

    name: str
    evaluation: Evaluation
    ranking: str
    rows: NDArray[np.float32]


@dataclass(frozen=True)
class Training:
    """What a predictor of similarity learns from. Rows of two runs mean the same where their synthesiser is the same.

    Attributes:
        steps: of the candidates, int64 ``(n,)``.
        rows: the style rows that the scored texts are heard through, float32 ``(n, texts, 256)``.
        target_similarity: float64 ``(n,)``, in [0, 1], by which candidates were ordered: of one that was stopped before
            the target text it is the probe's, or 0; -1 for a failure.
        parts: what the stages measured, float64 ``(n, len(names))``, each in [0, 1]; NaN for stages not reached.
        names: of the stages, in their order.
    """

    steps: NDArray[np.int64]
    rows: NDArray[np.float32]
    target_similarity: NDArray[np.float64]
    parts: NDArray[np.float64]
    names: tuple[str, ...]


def sample_of(row: Sequence[Any]) -> Sample:
    """The candidate in a row of the table ``candidates``."""
    step, generation, *seen, notes, rows = row
    figures = {str(name): float(value) for name, value in json.loads(notes).items()}
    return Sample(int(step), int(generation), evaluation_of(seen), figures, _style(rows))


def stock_of(row: Sequence[Any]) -> Stock:
    """The stock voice in a row of the table ``stock``."""
    name, ranking, *seen, rows = row
    return Stock(str(name), evaluation_of(seen), str(ranking), _style(rows))


def _style(rows: bytes) -> NDArray[np.float32]:
    return np.frombuffer(rows, "<f4").reshape(-1, STYLE_WIDTH)

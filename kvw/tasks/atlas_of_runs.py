"""What runs add to an atlas: the voices that they evaluated, and the speakers that were heard."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kvw.atlas.samples import OF_RUN, WIDTHS, Samples
from kvw.errors import KvwError
from kvw.runs.reader import Run
from kvw.types import Embedding, Voice

log = logging.getLogger(__name__)

MOST = 200
"""Candidates of a run, and a text, that an atlas takes in: its fit takes time by the cube of all samples."""


def with_runs(samples: Samples, runs: Sequence[Run], identity: str, mean: Voice) -> Samples:
    """Samples with those of runs, but for those that they have already; a run that can't be read is named.

    Args:
        samples: of an atlas.
        runs: to take candidates from.
        identity: of the synthesiser; runs of another one are left out.
        mean: of the stock voices.
    """
    texts = [*samples.origin.texts, *samples.texts_of_runs]
    own = samples.stock == OF_RUN
    known = set(zip((style.tobytes() for style in samples.styles[own]), samples.spoken[own].tolist(), strict=True))
    found: list[tuple[NDArray[np.float16], Embedding, int]] = []
    used = 0
    for run in runs:
        try:
            if run.about.get("synthesiser_identity") != identity:
                continue
            heard, used = list(heard_in(run, mean)), used + 1
        except KvwError as error:
            log.warning("%s", error)
            continue
        for text, style, embedding in heard:
            if text not in texts:
                texts.append(text)
            key = (style.tobytes(), texts.index(text))
            if key not in known:
                known.add(key)
                found.append((style, embedding, key[1]))
    log.info("%d samples of %d runs below the folder of runs, of %d", len(found), used, len(runs))
    if not found:
        return samples
    styles, embeddings, spoken = zip(*found, strict=True)
    unknown: dict[str, Any] = {
        name: np.zeros((len(found), *WIDTHS.get(name, ()))) for name in ("intonation", "timbre", "pace")
    }
    more = samples.extended(
        0, styles=styles, embeddings=embeddings, spoken=spoken, stock=np.full(len(found), OF_RUN), **unknown
    )
    return replace(more, texts_of_runs=tuple(texts[len(samples.origin.texts) :]))


def heard_in(run: Run, mean: Voice) -> Iterator[tuple[str, NDArray[np.float16], Embedding]]:
    """Texts, styles and speakers of a run's candidates.

    A style is that of the mean voice, moved so that it has the row through which the text was heard.

    Raises:
        KvwError: the run can't be read.
    """
    data = run.training()
    curve = mean[:, 0] - mean[:, 0].mean(axis=0)
    first = 0
    for number, script in enumerate(run.scripts):
        if len(script.segments) == 1:
            rows, embeddings = data.rows[:, first], data.embeddings[:, number]
            heard = np.flatnonzero(np.isfinite(embeddings[:, 0]))
            for at in heard[:: max(1, -(-len(heard) // MOST))]:
                style = rows[at] - curve[script.segments[0].row]
                yield script.text, style.astype(np.float16), embeddings[at]
        first += len(script.segments)

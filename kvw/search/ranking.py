"""The ranking of the stock voices, with which every search begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kvw.errors import EXIT_TOO_MANY_FAILURES, KvwError
from kvw.evaluation import OPEN, Gate
from kvw.search.archive import Entry
from kvw.search.observer import Observer
from kvw.types import Voice

if TYPE_CHECKING:
    from kvw.evaluation import Executor, UtteranceCache

RANKING_BATCH = 4
"""Stock voices evaluated per progress update, at least; more where the executor evaluates more at once."""


def rank(
    bank: Mapping[str, Voice],
    executor: Executor,
    limit: int,
    observers: Sequence[Observer] = (),
    cache: UtteranceCache | None = None,
) -> tuple[list[Entry], list[Entry]]:
    """Orders stock voices by target similarity and evaluates the first ``limit`` of them in full.

    Returns:
        Every voice, best target similarity first; and the first ``limit`` voices, best score first.

    Raises:
        KvwError: no stock voice could be scored.
    """
    total = len(bank) + min(limit, len(bank))

    def evaluate(voices: Mapping[str, Voice], gate: Gate, before: int) -> list[Entry]:
        names, entries = list(voices), list[Entry]()
        while len(entries) < len(names):
            size = max(RANKING_BATCH, executor.batch)  # may have grown meanwhile
            some = names[len(entries) : len(entries) + size]
            evaluations = executor([voices[name] for name in some], gate, cache)
            entries += [Entry(name, voices[name], found) for name, found in zip(some, evaluations, strict=True)]
            for observer in observers:
                observer.ranking(before + len(entries), total)
        return entries

    ranking = evaluate(bank, Gate(only="target"), 0)
    ranking.sort(key=lambda entry: -entry.evaluation.target_similarity)
    top = evaluate({entry.name: entry.voice for entry in ranking[:limit]}, OPEN, len(bank))
    top.sort(key=lambda entry: (-entry.evaluation.score, -entry.evaluation.target_similarity))
    if not top[0].evaluation.complete:
        why = top[0].evaluation
        raise KvwError(
            f"no stock voice could be scored: the nearest voice's audio is {why.status} ({why.detail}); "
            "check the weights, the voices and the texts",
            EXIT_TOO_MANY_FAILURES,
        )
    return ranking, top

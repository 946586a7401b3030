"""The ranking of the stock voices, with which every search begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kvw.errors import EXIT_TOO_MANY_FAILURES, KvwError
from kvw.evaluation import OPEN, Evaluation, Gate
from kvw.search.archive import Entry
from kvw.search.observer import Observer
from kvw.types import Voice

if TYPE_CHECKING:
    from kvw.evaluation import Executor, UtteranceCache

RANKING_BATCH = 4
"""Stock voices evaluated per progress update, at least; more where the executor evaluates more at once."""


def shortlisted(voices: int, limit: int, shortlist: int | None) -> int:
    """How many of ``voices`` stock voices speak the target text in :func:`rank`; without a shortlist all."""
    return voices if shortlist is None else min(max(shortlist, limit), voices)


def expected(bank: Mapping[str, Voice], likeness: Mapping[str, float]) -> list[Entry]:
    """Voices by the target similarity that an atlas expects of them, the highest first; nothing was spoken."""
    entries = [Entry(name, voice, Evaluation("stopped", 0.0, likeness[name])) for name, voice in bank.items()]
    return sorted(entries, key=lambda entry: -entry.evaluation.target_similarity)


def rank(
    bank: Mapping[str, Voice],
    executor: Executor,
    limit: int,
    observers: Sequence[Observer] = (),
    cache: UtteranceCache | None = None,
    shortlist: int | None = None,
    likeness: Mapping[str, float] | None = None,
) -> tuple[list[Entry], list[Entry]]:
    """Orders stock voices by target similarity and evaluates the first ``limit`` of them in full.

    Args:
        bank: stock voices by name.
        executor: evaluates voices.
        limit: how many voices are evaluated in full; all of a smaller bank.
        observers: told of the progress.
        cache: utterances, for the executor; or None.
        shortlist: how many voices speak the target text, the nearest by the short text of the stage ``probe``; at least
            ``limit`` do. None lets all of them speak it.
        likeness: the target similarity, in [0, 1], that an atlas expects of each voice, by name: with it nobody speaks
            the short text.

    Returns:
        Every voice, best target similarity first (those that spoke the short text alone come last); and the first
        ``limit`` voices, best score first.

    Raises:
        KvwError: no stock voice could be scored.
    """
    listed = shortlisted(len(bank), limit, shortlist)
    probed = listed < len(bank)
    spoken = probed and likeness is None
    total = spoken * len(bank) + listed + min(limit, len(bank))
    done = 0

    def evaluate(names: Sequence[str], gate: Gate) -> list[Entry]:
        nonlocal done
        entries: list[Entry] = []
        while len(entries) < len(names):
            size = max(RANKING_BATCH, executor.batch)  # may have grown meanwhile
            some = names[len(entries) : len(entries) + size]
            evaluations = executor([bank[name] for name in some], gate, cache)
            entries += [Entry(name, bank[name], found) for name, found in zip(some, evaluations, strict=True)]
            done += len(some)
            for observer in observers:
                observer.ranking(done, total)
        return entries

    def nearest(names: Sequence[str], stage: str) -> list[Entry]:
        return sorted(evaluate(names, Gate(only=stage)), key=lambda entry: -entry.evaluation.target_similarity)

    others: list[Entry] = []
    names = list(bank)
    if probed:
        heard = nearest(names, "probe") if likeness is None else expected(bank, likeness)
        names, others = [entry.name for entry in heard[:listed]], heard[listed:]
    ranking = nearest(names, "target") + others
    top = evaluate([entry.name for entry in ranking[:limit]], OPEN)
    top.sort(key=lambda entry: (-entry.evaluation.score, -entry.evaluation.target_similarity))
    if not top[0].evaluation.complete:
        why = top[0].evaluation
        raise KvwError(
            f"no stock voice could be scored: the nearest voice's audio is {why.status} ({why.detail}); "
            "check the weights, the voices and the texts",
            EXIT_TOO_MANY_FAILURES,
        )
    return ranking, top

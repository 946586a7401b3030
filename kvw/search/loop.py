"""The search: rank the stock voices, then let a chain of strategies run until a budget is spent.

Read :func:`search` from the top: it is the order of a search. The loop is DEAP's own ``eaGenerateUpdate``, with an
executor as its ``map``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

import numpy as np
from deap import algorithms, base

from kvw.errors import EXIT_CORRUPT, EXIT_TOO_MANY_FAILURES, KvwError
from kvw.evaluation import Evaluation, Executor, Gate, UtteranceCache
from kvw.search.archive import Archive, Entry, entry_of
from kvw.search.budget import Budget
from kvw.search.candidate import Candidate
from kvw.search.chain import Chain
from kvw.search.observer import Observer, Record
from kvw.search.ranking import rank
from kvw.search.stage import SearchStage
from kvw.search.state import random_state, set_random_state
from kvw.search.strategy import Finished
from kvw.types import Voice, mean_voice

MOST_FAILING = 100
"""Candidates in a row that may fail; more suggest a fault of the model or the machine."""


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        ranking: stock voices by target similarity, best first, without their other similarities.
        top: the first ``population_limit`` of them, evaluated in full, by score.
        start: the first candidate; None without a budget for one, or if the first strategy does not begin with an
            evaluation of the start (see ``total`` of :class:`kvw.search.strategy.Strategy`).
        archive: the search's; ``archive.best`` is the result, None if no candidate could be scored.
        reason: why the search stopped.
        seconds: the duration.
        ranked: seconds of it in which stock voices were ranked.
    """

    ranking: list[Entry]
    top: list[Entry]
    start: Entry | None
    archive: Archive
    reason: str
    seconds: float
    ranked: float

    @property
    def baseline(self) -> Entry:
        """The best stock voice."""
        return self.top[0]

    @property
    def improved(self) -> bool:
        """Whether a candidate beat the best stock voice."""
        best = self.archive.best
        return best is not None and best.evaluation.score > self.baseline.evaluation.score


def search(
    *,
    bank: Mapping[str, Voice],
    executor: Executor,
    stages: Sequence[SearchStage],
    rng: np.random.Generator,
    budget: Budget,
    population_limit: int = 10,
    shortlist: int | None = None,
    likeness: Callable[[Mapping[str, Voice]], Mapping[str, float] | None] | None = None,
    start_voices: int | None = None,
    starting_voice: Voice | None = None,
    observers: Sequence[Observer] = (),
    record: Record | None = None,
    cache: UtteranceCache | None = None,
) -> SearchResult:
    """Searches for the voice that the executor's fitness scores highest.

    Args:
        bank: stock voices by name, at least one.
        executor: evaluates voices.
        stages: strategies and their spaces, one after the other, at least one.
        rng: the strategies' random generator.
        budget: when to stop.
        population_limit: stock voices nearest to the target that are seeds; all of a smaller bank.
        shortlist: stock voices that speak the target text in the ranking; see :func:`kvw.search.ranking.rank`.
        likeness: gives the target similarity that an atlas expects of stock voices; for a ranking with a shortlist.
        start_voices: how many of the seeds, the best by score first, have the mean that the search starts from; None is
            all of them.
        starting_voice: where to start instead; or None.
        observers: called after the ranking and after each generation, in order.
        record: where the search is stored; it resumes from the latest state, with the other arguments unchanged.
        cache: utterances, for the executor; or None.

    Raises:
        KvwError: no stock voice could be scored, :data:`MOST_FAILING` candidates in a row failed, or a strategy breaks
            its contract.
    """
    state = record.latest() if record else None
    started = time.monotonic() - (state["seconds"] if state else 0.0)
    # a new ranking could differ, on a machine with more memory for example, and change the space
    known = record.known_ranking(bank) if record and state else None
    ranked = state.get("ranked", 0.0) if state else 0.0  # earlier versions did not store it
    if known is None:
        expected = likeness(bank) if likeness and shortlist else None
        known = rank(bank, executor, population_limit, observers, cache, shortlist, expected)
        ranked += time.monotonic() - started
    ranking, top = known
    for observer in observers:
        observer.ranked(ranking, top)

    def began(stage: SearchStage, total: int | None) -> None:
        for observer in observers:
            observer.began(stage, total)

    def ended(stage: SearchStage, reason: str, kept: Mapping[str, Sequence[Entry]]) -> None:
        for observer in observers:
            observer.ended(stage, reason, kept)

    origin = mean_voice([entry.voice for entry in top[:start_voices]]) if starting_voice is None else starting_voice
    archive, start, generation = Archive(bank.values()), None, 0
    with restoring() if state else nullcontext():
        if state:
            archive.load_state_dict(state["archive"])
            start, generation = state["start"] and entry_of(state["start"]), int(state["generation"])
            for observer in observers:
                observer.resumed(archive, state["chain"]["uncounted"])
        chain = Chain(
            stages,
            bank=list(bank.values()),
            top=top,
            base=origin,
            rng=rng,
            archive=archive,
            began=began,
            ended=ended,
            state=state and state["chain"],
        )
        if state:
            set_random_state(rng, state["random"])

    def evaluate_all(_: object, population: Sequence[Candidate]) -> list[tuple[float, ...]]:
        gates = [
            replace(gate_of(reference, top[0].evaluation), pullback=candidate.pullback)
            for reference, candidate in zip(chain.references(population), population, strict=True)
        ]
        alike = all(gate == gates[0] for gate in gates)
        voices = [chain.space.decode(candidate.genome) for candidate in population]
        evaluations = executor(voices, gates[0] if alike else gates, cache)
        for candidate, voice, evaluation in zip(population, voices, evaluations, strict=True):
            candidate.evaluate(evaluation)
            candidate.voice = voice
        return [candidate.fitness.values for candidate in population]

    toolbox = base.Toolbox()
    toolbox.register("map", evaluate_all)
    toolbox.register("evaluate", executor)  # DEAP passes it to map, which ignores it
    toolbox.register("generate", chain.generate)
    toolbox.register("update", chain.update)

    while not (reason := budget.spent(archive, chain, time.monotonic() - started)):
        try:
            population, _ = algorithms.eaGenerateUpdate(toolbox, ngen=1, halloffame=archive, verbose=False)
        except Finished as finished:
            reason = str(finished)
            break
        if generation == 0 and chain.total is None:
            first = population[0]
            assert first.evaluation is not None and first.voice is not None
            if not first.pullback and not np.array_equal(first.voice, top[0].voice):
                start = Entry("", first.voice, first.evaluation, 0, first.notes)
        if record:
            state = {
                "generation": generation + 1,
                "seconds": time.monotonic() - started,
                "ranked": ranked,
                "start": start and start.state_dict(),
                "archive": archive.state_dict(),
                "chain": chain.state_dict(),
                "random": random_state(rng),
            }
            record.commit(generation, population, archive, state)
        for observer in observers:
            observer(generation, population, archive)
        for candidate in population:
            candidate.voice = None
        generation += 1
        check_failing(archive, population)
    chain.end(reason)
    return SearchResult(ranking, top, start, archive, reason, time.monotonic() - started, ranked)


@contextmanager
def restoring() -> Iterator[None]:
    """Converts any error while restoring untrusted state into a KvwError.

    Raises:
        KvwError: the state is not that of this search.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RuntimeError) as error:
        raise KvwError(
            f"record: expected the state of this search; got another ({error!r:.200}); start a new run", EXIT_CORRUPT
        ) from error


def gate_of(reference: Candidate | None, stock: Evaluation) -> Gate:
    """The gate of a reference and the best stock voice; without a reference, or if it failed, of that voice alone."""
    evaluation = reference.evaluation if reference else None
    if evaluation is None or evaluation.failed:
        return Gate(stock=stock.parts)
    return Gate(evaluation.score, evaluation.parts, stock=stock.parts)


def check_failing(archive: Archive, population: Sequence[Candidate]) -> None:
    """Ends a search whose candidates all fail.

    Raises:
        KvwError: :data:`MOST_FAILING` candidates in a row have failed.
    """
    last = population[-1].evaluation
    if archive.failing >= MOST_FAILING and last:
        raise KvwError(
            f"the last {archive.failing} candidates could not be scored; candidate {archive.steps - 1} is "
            f"{last.status} ({last.detail}); check the weights, the device and the settings of the strategy",
            EXIT_TOO_MANY_FAILURES,
        )

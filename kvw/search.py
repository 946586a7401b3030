"""The search: rank the bank, build the space, let the strategy run until a budget is spent.

Read :func:`search` from the top: it is the order of a search. The turn of the loop is DEAP's own
``eaGenerateUpdate``; executors take the place of its ``map``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from deap import algorithms, base

from kvw.candidate import Candidate, Evaluation
from kvw.executor import Executor
from kvw.fitness import OPEN, Gate
from kvw.space import Space
from kvw.strategy import Finished, Strategy
from kvw.types import EXIT_TOO_MANY_FAILURES, Genome, KvwError, Voice

RANKING_BATCH = 4
"""Stock voices that are evaluated between two signs of life."""


@dataclass(frozen=True)
class Entry:
    """A voice that was evaluated, whatever space it came from.

    Attributes:
        name: of a stock voice; empty for a candidate.
        voice: the tensor.
        evaluation: of exactly this tensor.
        step: the candidate's number, from 0, counted over the search; -1 for a stock voice.
        notes: the strategy's figures for it.
    """

    name: str
    voice: Voice
    evaluation: Evaluation
    step: int = -1
    notes: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Budget:
    """When to stop; None is no limit.

    Attributes:
        step_limit: candidates to evaluate after the bank has been ranked.
        minutes: of the search, ranking included.
        stop_score: score that is good enough, in (0, 100].
        patience: candidates without a better score.
    """

    step_limit: int = 10_000
    minutes: float | None = None
    stop_score: float | None = None
    patience: int | None = None

    def spent(self, steps: int, seconds: float, archive: Archive) -> str:
        """The reason to stop now, empty to go on."""
        if steps >= self.step_limit:
            return f"step_limit {self.step_limit} reached"
        if self.minutes is not None and seconds >= 60 * self.minutes:
            return f"{self.minutes:g} minutes are over"
        if archive.best and self.stop_score is not None and archive.best.evaluation.score >= self.stop_score:
            return f"stop_score {self.stop_score:g} reached"
        if archive.best and self.patience is not None and steps - archive.best.step > self.patience:
            return f"no better voice in {self.patience} candidates"
        return ""


class Archive:
    """The candidates of a search that matter, as voices: in DEAP's words its hall of fame.

    It never holds a stock voice, and it holds voices rather than genomes, so that it outlives a space.

    Attributes:
        decode: the voice of a genome.
        best: the highest score of a complete candidate, the earliest on a tie.
        improvements: how often ``best`` changed.
        steps: candidates seen.
        complete: candidates that passed every gate.
        stopped: candidates that a gate stopped.
        synthesised: seconds of audio synthesised for all of them.
        failures: how many candidates failed, by status.
    """

    def __init__(self, decode: Callable[[Genome], Voice], bank: Iterable[Voice] = ()) -> None:
        self.decode = decode
        self._stock = {voice.tobytes() for voice in bank}
        self.best: Entry | None = None
        self.improvements = 0
        self.steps = 0
        self.complete = 0
        self.stopped = 0
        self.synthesised = 0.0
        self.failures: dict[str, int] = {}

    def update(self, population: Iterable[Candidate]) -> None:
        """Takes in an evaluated generation; DEAP calls it before the strategy learns."""
        for step, candidate in enumerate(population, start=self.steps):
            evaluation = candidate.evaluation
            assert evaluation is not None
            self.steps += 1
            self.complete += evaluation.complete
            self.stopped += evaluation.status == "stopped"
            self.synthesised += evaluation.synthesised
            if evaluation.failed:
                self.failures[evaluation.status] = self.failures.get(evaluation.status, 0) + 1
            if evaluation.complete and (not self.best or evaluation.score > self.best.evaluation.score):
                voice = self.decode(candidate.genome)
                if voice.tobytes() not in self._stock:
                    self.best = Entry("", voice, evaluation, step, dict(candidate.notes))
                    self.improvements += 1

    @property
    def failed(self) -> int:
        """Candidates that could not be scored."""
        return sum(self.failures.values())


class Observer(Protocol):
    """Watches a search: store, saved improvements, progress."""

    def ranking(self, done: int, total: int) -> None:
        """``done`` of ``total`` evaluations of the ranking are there."""

    def ranked(self, ranking: Sequence[Entry], top: Sequence[Entry]) -> None:
        """The bank has been ranked: every stock voice by target similarity, and the complete top ones by score."""

    def __call__(self, generation: int, population: Sequence[Candidate], archive: Archive) -> None:
        """A generation has been evaluated and learnt from."""


@dataclass(frozen=True)
class Result:
    """What a search found.

    Attributes:
        ranking: the bank by target similarity, best first; only the first stage was run.
        top: the best ``population_limit`` of it, complete, by score.
        start: the first candidate of the strategy; None if there was no budget for one.
        archive: of the candidates; ``archive.best`` is the result, None if no candidate could be scored.
        reason: why the search stopped.
        seconds: it took.
    """

    ranking: list[Entry]
    top: list[Entry]
    start: Entry | None
    archive: Archive
    reason: str
    seconds: float

    @property
    def baseline(self) -> Entry:
        """The best stock voice."""
        return self.top[0]

    @property
    def improved(self) -> bool:
        """Whether a candidate beat the best stock voice."""
        best = self.archive.best
        return best is not None and best.evaluation.score > self.baseline.evaluation.score


def rank(
    bank: Mapping[str, Voice], executor: Executor, limit: int, observers: Sequence[Observer] = ()
) -> tuple[list[Entry], list[Entry]]:
    """Orders stock voices by target similarity and evaluates the first ``limit`` of them in full.

    Returns:
        every voice, best target similarity first; and the complete ones, best score first.

    Raises:
        KvwError: no stock voice could be scored.
    """
    total = len(bank) + min(limit, len(bank))

    def evaluate(voices: Mapping[str, Voice], gate: Gate, before: int) -> list[Entry]:
        names, entries = list(voices), []
        for at in range(0, len(names), RANKING_BATCH):
            some = names[at : at + RANKING_BATCH]
            seen = executor([voices[name] for name in some], gate)
            entries += [Entry(name, voices[name], one) for name, one in zip(some, seen, strict=True)]
            for observer in observers:
                observer.ranking(before + len(entries), total)
        return entries

    ranking = evaluate(bank, Gate(stages=1), 0)
    ranking.sort(key=lambda entry: -entry.evaluation.target_similarity)
    top = evaluate({entry.name: entry.voice for entry in ranking[:limit]}, OPEN, len(bank))
    top.sort(key=lambda entry: (-entry.evaluation.score, -entry.evaluation.target_similarity))
    if not top[0].evaluation.complete:
        why = top[0].evaluation
        raise KvwError(
            f"no stock voice could be scored: the nearest one's audio is {why.status} ({why.detail}); "
            "check the weights, the voices and the texts",
            EXIT_TOO_MANY_FAILURES,
        )
    return ranking, top


def search(
    *,
    bank: Mapping[str, Voice],
    executor: Executor,
    space: Callable[..., Space],
    strategy: Callable[..., Strategy],
    rng: np.random.Generator,
    budget: Budget,
    population_limit: int = 10,
    starting_voice: Voice | None = None,
    observers: Sequence[Observer] = (),
) -> Result:
    """Searches for the voice that the executor's fitness scores highest.

    Args:
        bank: stock voices by name, at least one.
        executor: evaluates voices.
        space: makes the space, of ``bank``, ``top`` and ``base``.
        strategy: makes the strategy, of ``space``, ``seeds`` and ``rng``.
        rng: the randomness of the strategy.
        budget: when to stop.
        population_limit: how many of the bank, the nearest to the target, are seeds; all of a smaller bank.
        starting_voice: where to start; the mean of the seeds if None.
        observers: called after the ranking and after each generation, in order.
    """
    started = time.monotonic()
    ranking, top = rank(bank, executor, population_limit, observers)
    for observer in observers:
        observer.ranked(ranking, top)

    voices = [entry.voice for entry in top]
    origin = np.mean(voices, axis=0, dtype=np.float64).astype(np.float32) if starting_voice is None else starting_voice
    genes = space(bank=list(bank.values()), top=voices, base=origin)
    archive = Archive(genes.decode, bank.values())
    seeds, changed = encode(top, genes, executor, budget.step_limit)
    proposer = strategy(space=genes, seeds=seeds, rng=rng)
    start, generation = None, 0
    if changed:
        archive.update(changed)
        for observer in observers:
            observer(generation, changed, archive)
        generation += 1

    def reference() -> Candidate | Entry | None:
        own = getattr(proposer, "reference", None)
        return own() if own else archive.best

    def evaluate_all(_: object, population: Sequence[Candidate]) -> list[tuple[float, ...]]:
        compared = reference()
        seen = compared.evaluation if compared else None
        gate = Gate(seen.score, seen.target_similarity) if seen else OPEN
        evaluations = executor([genes.decode(candidate.genome) for candidate in population], gate)
        for candidate, evaluation in zip(population, evaluations, strict=True):
            candidate.evaluate(evaluation)
        return [candidate.fitness.values for candidate in population]

    toolbox = base.Toolbox()
    toolbox.register("map", evaluate_all)
    toolbox.register("evaluate", executor)  # DEAP hands it to map, which knows it already
    toolbox.register("generate", proposer.generate)
    toolbox.register("update", proposer.update)

    while not (reason := budget.spent(archive.steps, time.monotonic() - started, archive)):
        try:
            population, _ = algorithms.eaGenerateUpdate(toolbox, ngen=1, halloffame=archive, verbose=False)
        except Finished as finished:
            reason = str(finished)
            break
        if start is None:
            first = population[0]
            assert first.evaluation is not None
            start = Entry(
                "", genes.decode(first.genome), first.evaluation, archive.steps - len(population), first.notes
            )
        for observer in observers:
            observer(generation, population, archive)
        generation += 1
    return Result(ranking, top, start, archive, reason, time.monotonic() - started)


def encode(
    top: Sequence[Entry], space: Space, executor: Executor, limit: int
) -> tuple[list[Candidate], list[Candidate]]:
    """The seeds as candidates of ``space``.

    A seed never carries the score of a voice that it does not decode to: where the space can't hold a stock voice
    exactly, its nearest voice is evaluated, and counts against the budget: seeds beyond ``limit`` are left out.

    Returns:
        the seeds, best first; and those of them that had to be evaluated.
    """
    seeds, changed = [Candidate(space.encode(entry.voice)) for entry in top], []
    for seed, entry in zip(seeds, top, strict=True):
        if np.array_equal(space.decode(seed.genome), entry.voice):
            seed.evaluate(entry.evaluation)
        else:
            changed.append(seed)
    seeds = [seed for seed in seeds if seed not in changed[limit:]]
    changed = changed[:limit]
    if changed:
        for seed, evaluation in zip(changed, executor([space.decode(s.genome) for s in changed], OPEN), strict=True):
            seed.evaluate(evaluation)
    return sorted(seeds, key=lambda seed: seed.fitness, reverse=True), changed

"""A chain of stages: one strategy in one space after the other, as if they were a single strategy.

Most searches are a chain of one. Here is also where a strategy's side of the contract is checked, so that a plugin
which breaks it is named in one line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kvw.archive import Archive, Entry, entry_of
from kvw.candidate import Candidate
from kvw.space import Space
from kvw.strategy import Finished, Strategy, load_state_dict, pack, state_dict, unpack
from kvw.types import KvwError, Voice
from kvw.voices import safe_stem


@dataclass(frozen=True)
class SearchStage:
    """A part of a search.

    Attributes:
        name: for messages.
        space: makes the space, of ``bank``, ``top`` and ``base``.
        strategy: makes the strategy, of ``space``, ``seeds`` and ``rng``.
        step_limit: candidates of this stage; None is what is left of the search's.
    """

    name: str
    space: Callable[..., Space]
    strategy: Callable[..., Strategy]
    step_limit: int | None = None

    def make(
        self, bank: Sequence[Voice], top: Sequence[Entry], base: Voice, rng: np.random.Generator
    ) -> tuple[Space, list[Candidate], Strategy]:
        """The space, the seeds in it, and the strategy.

        A seed never carries the score of a voice that it does not decode to: where the space can't hold a voice
        exactly, its seed has no score.

        Args:
            bank: every stock voice.
            top: the best voices known, best first.
            base: the voice to start from.
            rng: the strategy's randomness.

        Raises:
            KvwError: a setting is out of its range, or a plugin raises.
        """
        space = self.attempt(self.space, bank=bank, top=[entry.voice for entry in top], base=base)
        seeds = [Candidate(space.encode(entry.voice)) for entry in top]
        for seed, entry in zip(seeds, top, strict=True):
            if np.array_equal(space.decode(seed.genome), entry.voice):
                seed.evaluate(entry.evaluation)
        return space, seeds, self.attempt(self.strategy, space=space, seeds=seeds, rng=rng)

    def generate(self, strategy: Strategy, dim: int) -> list[Candidate]:
        """What ``strategy`` proposes.

        Raises:
            Finished: nothing is left to propose.
            KvwError: it raised, or what it gave is not a list of candidates with ``dim`` finite genes each.
        """
        population = self.attempt(strategy.generate)
        if not isinstance(population, list) or not population:
            raise self._breach(f"expected a list of candidates from generate(), at least one; got {population!r:.80}")
        for candidate in population:
            if not isinstance(candidate, Candidate):
                raise self._breach(f"expected kvw.Candidate from generate(); got {type(candidate).__name__}")
            if candidate.genome.shape != (dim,):
                raise self._breach(f"expected genomes of {dim} genes in this space; got {candidate.genome.shape}")
            if not np.isfinite(candidate.genome).all():
                raise self._breach("expected genomes of finite numbers; got NaN or infinity")
        return population

    def keep(self, strategy: Strategy) -> dict[str, list[Candidate]]:
        """What ``strategy`` wants to be saved, by folder; nothing, if it does not say.

        Raises:
            KvwError: it raised, or what it gave is not that.
        """
        kept = self.attempt(getattr(strategy, "keep", dict))
        fits = isinstance(kept, dict) and all(isinstance(folder, str) for folder in kept)
        if not fits or not all(isinstance(one, Candidate) for candidates in kept.values() for one in candidates):
            raise self._breach(f"expected lists of candidates by folder from keep(); got {kept!r:.80}")
        for folder in kept:
            if safe_stem(folder) != folder:
                plain = safe_stem(folder)
                raise self._breach(f"expected a plain folder name from keep(), such as {plain}; got {folder!r:.80}")
        return dict(kept)

    def attempt(self, function: Callable[..., Any], *args: Any, **more: Any) -> Any:
        """What ``function`` of the space's or the strategy's returns.

        Raises:
            KvwError: it raised anything but that and :class:`Finished`.
        """
        try:
            return function(*args, **more)
        except (KvwError, Finished):
            raise
        except Exception as error:
            where = getattr(function, "__qualname__", "its constructor")
            raise self._breach(
                f"{where} raised {type(error).__name__}: {error}; debug=true shows the traceback"
            ) from error

    def _breach(self, what: str) -> KvwError:
        return KvwError(f"strategy {self.name}: {what}")


class Chain:
    """Several stages as one strategy.

    The next stage's space is built from the archive's best voice; its seeds are what the strategy before it kept, else
    the seeds of that one.

    Args:
        stages: at least one.
        bank: every stock voice.
        top: the best voices known, best first.
        base: the voice to start from.
        rng: the randomness of every strategy.
        archive: of the search.
        began: called with each stage as it begins or goes on, and the number of its candidates to come, None where that
            is not known.
        ended: called with each stage as it ends, the reason, and what its strategy kept.
        state: of another chain of the same stages, bank and top, to go on from; its rng and archive are not part of it.

    Attributes:
        space: that is searched at present.
        strategy: at work.
        uncounted: candidates so far that do not count against the search's ``step_limit``.
        entered: the step at which this stage began.
    """

    space: Space
    strategy: Strategy

    def __init__(
        self,
        stages: Sequence[SearchStage],
        *,
        bank: Sequence[Voice],
        top: Sequence[Entry],
        base: Voice,
        rng: np.random.Generator,
        archive: Archive,
        began: Callable[[SearchStage, int | None], None],
        ended: Callable[[SearchStage, str, Mapping[str, list[Entry]]], None],
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self._stages, self._bank, self._rng, self._archive = stages, bank, rng, archive
        self._began, self._ended, self._first = began, ended, top
        self.uncounted = 0
        if state:
            self._load(state)
        else:
            self._enter(0, top, base, archive.steps)

    def _enter(self, number: int, top: Sequence[Entry], base: Voice, entered: int) -> None:
        self._number, self._top, self._base, self.entered = number, top, base, entered
        self.space, _, self.strategy = self.stage.make(self._bank, top, base, self._rng)
        self._archive.decode = self.space.decode
        self._best: Candidate | None = None
        done = self._archive.steps - entered
        self._began(self.stage, None if self.total is None else self.total - done)

    @property
    def stage(self) -> SearchStage:
        """At present."""
        return self._stages[self._number]

    @property
    def total(self) -> int | None:
        """How many candidates the strategy at work will propose, where it says so: they are not counted."""
        return getattr(self.strategy, "total", None)

    def references(self, population: Sequence[Candidate]) -> list[Candidate | None]:
        """Whom the gate compares each with: the strategy's own choice, else this stage's best complete candidate."""
        if each := getattr(self.strategy, "references", None):
            found: list[Candidate | None] = self.stage.attempt(each, population)
            return found
        own = getattr(self.strategy, "reference", None)
        return [self.stage.attempt(own) if own else self._best] * len(population)

    def generate(self) -> list[Candidate]:
        """The next generation, of the next stage where one is over.

        Raises:
            Finished: the last stage is over.
            KvwError: a strategy breaks its contract.
        """
        while True:
            limit = self.stage.step_limit
            try:
                if limit is not None and self._archive.steps - self.entered >= limit:
                    raise Finished(f"step_limit {limit} of stage {self.stage.name} reached")
                return self.stage.generate(self.strategy, self.space.dim)
            except Finished as finished:
                if self._number + 1 == len(self._stages):
                    raise
                kept = self.end(str(finished))
                best = self._archive.best
                base = best.voice if best else self._base
                self._enter(self._number + 1, kept or self._top, base, self._archive.steps)

    def update(self, population: list[Candidate]) -> None:
        """Lets the strategy learn from an evaluated generation.

        Raises:
            KvwError: it raised.
        """
        if self.total is not None:
            self.uncounted += len(population)
        complete = [candidate for candidate in population if candidate.evaluation and candidate.evaluation.complete]
        for candidate in complete:
            if self._best is None or candidate.fitness > self._best.fitness:
                self._best = candidate
        self.stage.attempt(self.strategy.update, population)

    def end(self, reason: str) -> list[Entry]:
        """Reports what the strategy at work keeps, as it ends.

        Returns:
            the kept voices, best first.

        Raises:
            KvwError: it keeps what can't be kept.
        """
        kept = {
            folder: [
                Entry("", self.space.decode(one.genome), one.evaluation, notes=dict(one.notes))
                for one in candidates
                if one.evaluation
            ]
            for folder, candidates in self.stage.keep(self.strategy).items()
        }
        self._ended(self.stage, reason, kept)
        entries = [entry for folder in kept.values() for entry in folder]
        return sorted(entries, key=lambda entry: -entry.evaluation.score)

    def state_dict(self) -> dict[str, Any]:
        """Where the chain is: stage, counts, base voice, seeds if they are not those it began with, inner state."""
        return {
            "stage": self._number,
            "entered": self.entered,
            "uncounted": self.uncounted,
            "base": self._base.copy(),
            "top": None if self._top is self._first else [entry.state_dict() for entry in self._top],
            "best": pack(self._best),
            "strategy": state_dict(self.strategy),
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        top = self._first if state["top"] is None else [entry_of(one) for one in state["top"]]
        self._enter(state["stage"], top, state["base"], state["entered"])
        self.uncounted = state["uncounted"]
        self._best = unpack(state["best"])
        self.stage.attempt(load_state_dict, self.strategy, state["strategy"])

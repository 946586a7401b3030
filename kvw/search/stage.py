"""A stage of a search: it makes a space and a strategy, and checks that the strategy keeps its contract."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kvw.errors import KvwError
from kvw.runtime.filenames import safe_stem
from kvw.search.archive import Entry
from kvw.search.candidate import Candidate
from kvw.search.strategy import Finished, Strategy
from kvw.spaces.base import Space
from kvw.types import Voice


@dataclass(frozen=True)
class SearchStage:
    """A part of a search.

    Attributes:
        name: for messages.
        space: makes the space from ``bank``, ``top`` and ``base``.
        strategy: makes the strategy from ``space``, ``seeds`` and ``rng``.
        step_limit: most candidates of this stage; None for no limit but the search's.
        total: how many candidates its strategy has outside ``step_limit``; None where it does not say so, or has not
            been rehearsed.
        most: how many candidates its strategy has at most, which count; None likewise.
        pullbacks: how many of them ask for a gradient.
    """

    name: str
    space: Callable[..., Space]
    strategy: Callable[..., Strategy]
    step_limit: int | None = None
    total: int | None = None
    most: int | None = None
    pullbacks: int = 0

    @property
    def limit(self) -> int | None:
        """Most candidates of this stage that count; None where nothing but the search's limit ends it."""
        return min((limit for limit in (self.step_limit, self.most) if limit is not None), default=None)

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
            rng: the strategy's random generator.

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
        """The candidates that ``strategy`` proposes.

        Raises:
            Finished: nothing is left to propose.
            KvwError: the strategy raised, or did not return a list of candidates with ``dim`` finite genes each.
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
        """The candidates that ``strategy`` keeps, by folder; none if it has no ``keep``.

        Raises:
            KvwError: the strategy raised, or did not return lists of candidates by folder.
        """
        kept = self.attempt(getattr(strategy, "keep", dict))
        fits = isinstance(kept, dict) and all(isinstance(folder, str) for folder in kept)
        if not fits or not all(isinstance(each, Candidate) for candidates in kept.values() for each in candidates):
            raise self._breach(f"expected lists of candidates by folder from keep(); got {kept!r:.80}")
        for folder in kept:
            if safe_stem(folder) != folder:
                plain = safe_stem(folder)
                raise self._breach(f"expected a plain folder name from keep(), such as {plain}; got {folder!r:.80}")
        return dict(kept)

    def attempt(self, function: Callable[..., Any], *args: Any, **more: Any) -> Any:
        """Calls a function of the space or the strategy.

        Raises:
            KvwError: the function raised anything but :class:`Finished`.
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

"""Several stages side by side as if they were one, for :mod:`strategies.islands`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kvw.search.archive import Entry
from kvw.search.candidate import Candidate
from kvw.search.stage import SearchStage
from kvw.search.strategy import Strategy
from kvw.spaces.base import Space
from kvw.types import Genome, Voice


@dataclass(frozen=True)
class Island:
    """A strategy at work in a space.

    Attributes:
        stage: makes the strategy.
        space: searched by the strategy.
        strategy: has its own seeds.
        rng: the strategy's random generator.
    """

    stage: SearchStage
    space: Space
    strategy: Strategy
    rng: np.random.Generator


class Union:
    """A space of spaces: the first gene is a space's number, the next are a genome of that space, the rest is 0.

    Args:
        spaces: at least one.
    """

    def __init__(self, *, spaces: Sequence[Space]) -> None:
        self._spaces = spaces
        self.dim = 1 + max(space.dim for space in spaces)
        self.origin = self.join(0, spaces[0].origin)
        self.scale = np.ones(self.dim)
        self.scale[1 : 1 + spaces[0].dim] = spaces[0].scale

    def join(self, number: int, genome: Genome) -> Genome:
        """Converts a genome of space ``number`` to one of the union."""
        joined = np.zeros(self.dim)
        joined[0] = number
        joined[1 : 1 + len(genome)] = genome
        return joined

    def decode(self, genome: Genome) -> Voice:
        """Decodes in the space that the first gene names."""
        space = self._spaces[int(genome[0])]
        return space.decode(genome[1 : 1 + space.dim])

    def encode(self, voice: Voice) -> Genome:
        """Encodes in the first space."""
        return self.join(0, self._spaces[0].encode(voice))


@dataclass(frozen=True)
class Archipelago(SearchStage):
    """Several stages side by side as one; ``space`` makes a :class:`Union`, ``strategy`` takes ``islands``.

    Attributes:
        members: the stages, each in its own space; their ``step_limit`` does not count.
    """

    members: Sequence[SearchStage] = ()

    def make(
        self, bank: Sequence[Voice], top: Sequence[Entry], base: Voice, rng: np.random.Generator
    ) -> tuple[Space, list[Candidate], Strategy]:
        """As :class:`kvw.search.stage.SearchStage`, without seeds: every island has its own."""
        islands = []
        for member in self.members:
            own = np.random.default_rng(int(rng.integers(2**63)))  # not spawn(): no state has its counter
            space, _, strategy = member.make(bank, top, base, own)
            islands.append(Island(member, space, strategy, own))
        union = self.attempt(self.space, spaces=[island.space for island in islands])
        return union, [], self.attempt(self.strategy, space=union, islands=islands)

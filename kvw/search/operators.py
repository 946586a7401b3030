"""Variation and selection for evolutionary strategies, chosen by name, with their settings.

Selection is DEAP's, under :func:`kvw.search.strategy.deap_random`. Variation uses numpy arrays and the strategy's own
``rng``: DEAP's operators go gene by gene, and a genome can have 130,560 genes. Steps are in units of
``space.scale``, so that one setting serves every space.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from deap import tools

from kvw.search.candidate import Candidate
from kvw.search.strategy import Predictor, deap_random
from kvw.spaces.base import TIMBRE, Space
from kvw.types import Genome, mean_row


def one_of(what: str, name: str, names: Iterable[str]) -> None:
    """Checks that ``name`` is one of ``names``.

    Raises:
        ValueError: ``name`` is not valid.
    """
    if name not in set(names):
        raise ValueError(f"{what}: expected {', '.join(names)}; got {name!r}")


def within(what: str, value: float, low: float, high: float) -> None:
    """Checks that ``value`` is finite and ``low <= value <= high``.

    Raises:
        ValueError: ``value`` is out of range.
    """
    if not (low <= value <= high and value < np.inf):
        raise ValueError(f"{what}: expected a number from {low:g} to {high:g}; got {value}")


@dataclass(frozen=True)
class Selection:
    """Picks parents.

    Attributes:
        name: ``tournament``; ``best``, truncation; ``lexicase``, by one random objective after the other; ``random``.
        size: of a tournament, 1 or more.

    Raises:
        ValueError: an unknown name, or a size out of its range.
    """

    name: str = "tournament"
    size: int = 3

    def __post_init__(self) -> None:
        one_of("selection.name", self.name, ("tournament", "best", "lexicase", "random"))
        within("selection.size", self.size, 1, np.inf)

    def __call__(self, population: Sequence[Candidate], count: int, rng: np.random.Generator) -> list[Candidate]:
        """Picks ``count`` parents, some of them several times."""
        with deap_random(rng):
            if self.name == "tournament":
                chosen = tools.selTournament(population, count, tournsize=self.size)
            elif self.name == "best":
                best = tools.selBest(population, max(2, len(population) // 4))
                chosen = tools.selRandom(best, count)
            elif self.name == "lexicase":
                chosen = tools.selAutomaticEpsilonLexicase(population, count)
            else:
                chosen = tools.selRandom(population, count)
        return list(chosen)


@dataclass(frozen=True)
class Crossover:
    """Makes two children of two parents.

    Attributes:
        name: ``blend`` (BLX-alpha, Eshelman & Schaffer 1993); ``simulated_binary`` (SBX, Deb & Agrawal 1995);
            ``spherical``, on the arc between the parents around the space's origin; ``halves``, one parent's
            timbre with the other's prosody.
        probability: that a pair is crossed at all, [0, 1].
        alpha: of ``blend``: how far beyond the parents a gene may fall, in units of their distance, 0 or more.
        eta: of ``simulated_binary``: the higher, the more the children resemble their parents, above 0.

    Raises:
        ValueError: an unknown name, or a setting out of its range.
    """

    name: str = "blend"
    probability: float = 0.7
    alpha: float = 0.3
    eta: float = 10.0

    def __post_init__(self) -> None:
        one_of("crossover.name", self.name, ("blend", "simulated_binary", "spherical", "halves"))
        within("crossover.probability", self.probability, 0, 1)
        within("crossover.alpha", self.alpha, 0, np.inf)
        within("crossover.eta", self.eta, 1e-3, np.inf)

    def __call__(self, one: Candidate, two: Candidate, space: Space, rng: np.random.Generator) -> None:
        """Turns the two candidates, both copies of parents, into children, in place."""
        if rng.random() >= self.probability:
            return
        first, second = one.genome, two.genome
        if self.name == "blend":
            share = (1 + 2 * self.alpha) * rng.random(space.dim) - self.alpha
            one.genome, two.genome = mixed(first, second, share)
        elif self.name == "simulated_binary":
            draw = rng.random(space.dim)
            spread = np.where(draw < 0.5, 2 * draw, 0.5 / (1 - draw)) ** (1 / (self.eta + 1))
            one.genome, two.genome = mixed(first, second, (1 - spread) / 2)
        elif self.name == "spherical":
            one.genome, two.genome = spherical(first, second, space, rng.random())
        else:
            left, right = space.decode(first), space.decode(second)
            left[..., TIMBRE], right[..., TIMBRE] = right[..., TIMBRE].copy(), left[..., TIMBRE].copy()
            one.genome, two.genome = space.encode(left), space.encode(right)


def mixed(one: Genome, two: Genome, share: Genome) -> tuple[Genome, Genome]:
    """The points ``share`` of the way from ``one`` to ``two`` and from ``two`` to ``one``, gene by gene."""
    return (1 - share) * one + share * two, share * one + (1 - share) * two


def spherical(one: Genome, two: Genome, space: Space, at: float) -> tuple[Genome, Genome]:
    """The points ``at`` and ``1 - at`` of the way from ``one`` to ``two``, along the arc around the space's origin.

    In many dimensions the straight line between two voices passes nearer to the mean than any voice is.
    Source: Shoemake 1985, "Animating rotation with quaternion curves" (slerp).
    """
    first, second = (one - space.origin) / space.scale, (two - space.origin) / space.scale
    length = np.linalg.norm(first) * np.linalg.norm(second)
    angle = np.arccos(np.clip(first @ second / length, -1, 1)) if length > 0 else 0.0

    def point(share: float) -> Genome:
        if np.sin(angle) < 1e-6:
            between = (1 - share) * first + share * second
        else:
            between = (np.sin((1 - share) * angle) * first + np.sin(share * angle) * second) / np.sin(angle)
        return np.asarray(space.origin + between * space.scale)

    return point(at), point(1 - at)


@dataclass(frozen=True)
class Mutation:
    """Varies a child.

    Attributes:
        name: ``gaussian``; ``sparse``, fewer genes by more: ``share`` / 10 of them by ``sigma`` x sqrt(10);
            ``self_adaptive``, gaussian with a step of its own for each candidate, inherited and varied.
        sigma: standard deviation in units of ``space.scale``, above 0; the first one for ``self_adaptive``.
        share: of the genes that vary, (0, 1].

    Raises:
        ValueError: an unknown name, or a setting out of its range.
    """

    name: str = "gaussian"
    sigma: float = 0.15
    share: float = 0.3

    def __post_init__(self) -> None:
        one_of("mutation.name", self.name, ("gaussian", "sparse", "self_adaptive"))
        within("mutation.sigma", self.sigma, 1e-9, np.inf)
        within("mutation.share", self.share, 1e-9, 1)

    def __call__(self, candidate: Candidate, space: Space, rng: np.random.Generator) -> None:
        """Varies ``candidate`` in place; adds its step to its notes."""
        sigma, share = self.sigma, self.share
        if self.name == "sparse":
            sigma, share = sigma * np.sqrt(10), share / 10
        elif self.name == "self_adaptive":
            # Beyer & Schwefel 2002, "Evolution strategies": log-normal, with the learning rate 1 / sqrt(2 n)
            sigma = candidate.notes.get("Sigma", sigma) * np.exp(rng.standard_normal() / np.sqrt(2 * space.dim * share))
        genes = rng.random(space.dim) < share
        genes[rng.integers(space.dim)] = True
        candidate.genome += genes * rng.standard_normal(space.dim) * space.scale * sigma
        candidate.notes["Sigma"] = float(sigma)


def newcomers(space: Space, seeds: Sequence[Candidate], count: int, rng: np.random.Generator) -> list[Candidate]:
    """``count`` new candidates: blends of the seeds by random weights, each gene varied by a tenth of its scale."""
    genomes = np.array([seed.genome for seed in seeds])
    made = []
    for _ in range(count):
        weights = rng.dirichlet(np.full(len(genomes), 0.5))
        made.append(Candidate(weights @ genomes + 0.1 * rng.standard_normal(space.dim) * space.scale))
    return made


def founders(
    space: Space, voices: Sequence[Candidate], seeds: Sequence[Candidate], count: int, rng: np.random.Generator
) -> list[Candidate]:
    """The first ``count`` candidates of a population: the space's origin, copies of ``voices``, blends of ``seeds``."""
    first = [Candidate(space.origin), *(Candidate(voice.genome) for voice in voices)][:count]
    return first + newcomers(space, seeds, count - len(first), rng)


def offspring(
    parents: Sequence[Candidate], cross: Crossover, mutate: Mutation, space: Space, rng: np.random.Generator
) -> list[Candidate]:
    """A child of each of an even number of parents: copies, crossed in pairs, then mutated."""
    children = [Candidate(parent.genome, parent.notes) for parent in parents]
    for one, two in zip(children[::2], children[1::2], strict=True):
        cross(one, two, space, rng)
    for child in children:
        mutate(child, space, rng)
    return children


def replace_worst(population: list[Candidate], newcomer: Candidate) -> None:
    """Replaces the worst of a population by an evaluated newcomer that is better, and new to the population."""
    if any(np.array_equal(candidate.genome, newcomer.genome) for candidate in population):
        return
    worst = min(range(len(population)), key=lambda number: population[number].fitness)
    if newcomer.fitness > population[worst].fitness:
        population[worst] = newcomer


def likeliest(drawn: Sequence[Candidate], count: int, space: Space, predictor: Predictor) -> list[Candidate]:
    """Of candidates the ``count`` that an atlas expects to be most like the target, the likeliest first."""
    styles = np.array([mean_row(space.decode(one.genome)) for one in drawn])
    return [drawn[number] for number in np.argsort(-predictor.likeness(styles), kind="stable")[:count]]

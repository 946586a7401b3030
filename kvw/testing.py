"""The contract that every strategy keeps, built in or not, as a test: ``check_strategy("mine")``.

In your own tests::

    import pytest
    from kvw.testing import check_strategy, spaces

    @pytest.mark.parametrize("space", spaces())
    def test_mine(space):
        check_strategy("mine", space)

It needs no speech and no models: voices are scored by a landscape, some are stopped, some fail.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kvw.cli.errors import composed
from kvw.config.invocation import options
from kvw.config.paths import user_plugins
from kvw.config.schema import plain
from kvw.config.stages import make_stage, with_members
from kvw.evaluation import Evaluation
from kvw.search.archive import Entry
from kvw.search.candidate import Candidate
from kvw.search.stage import SearchStage
from kvw.search.state import freeze, load_state_dict, state_dict, thaw
from kvw.search.strategy import FIRST, NEITHER, SAME, SECOND, UNDO, Finished
from kvw.spaces.base import VOICE_STD
from kvw.types import EMBEDDING_WIDTH, STYLE_WIDTH, VOICE_SHAPE, Voice, mean_voice

GENERATIONS = 6
"""Of a rehearsal."""

FAILING = 2
"""The generation of which every candidate fails."""


def strategies() -> list[str]:
    """Every strategy that ``strategy=`` can name."""
    return options("strategy")


def spaces() -> list[str]:
    """Every space that ``space=`` can name."""
    return options("space")


def check_strategy(name: str, space: str | None = None) -> None:
    """Checks that a strategy keeps the contract of :class:`kvw.search.strategy.Strategy`.

    Args:
        name: as in ``strategy=name``.
        space: as in ``space=name``; None is the strategy's own.

    Raises:
        AssertionError: it breaks the contract; the message says where.
        KvwError: there is no such strategy or space; it refuses that space, or a generation is none.
    """
    user_plugins()
    cfg = composed(f"strategy={name}", *([f"space={space}"] if space else [])).cfg
    node = {"strategy": plain(cfg.strategy), "space": plain(cfg.space)}
    known = with_members(node, node["space"] if space else None)
    stage = make_stage(name, known, "", predictor=Oracle(), gradients=Oracle(), listener=answered)
    rehearse(name, stage, failing=FAILING, generations=GENERATIONS)
    rehearse(name, stage, failing=0, generations=2)


def rehearse(name: str, stage: SearchStage, failing: int, generations: int) -> None:
    """Runs a strategy, its twin, and one that is resumed at each generation, side by side.

    Args:
        name: of the strategy.
        stage: makes it.
        failing: the generation of which every candidate fails.
        generations: how many.

    Raises:
        AssertionError: see :func:`check_strategy`.
    """
    one, twin, resumed = Rehearsal(stage, failing), Rehearsal(stage, failing), None
    origin, scale = one.space.origin.copy(), one.space.scale.copy()
    for generation in range(generations):
        where = f"strategy {name}, generation {generation}"
        population = one.generate()
        random.seed(generation)  # a strategy must not depend on what else draws from the global generators
        np.random.seed(generation)  # noqa: NPY002
        wrong = (
            "the same seed gave other genomes: rng must be the only randomness (see kvw.search.strategy.deap_random)"
        )
        assert genomes(twin.generate()) == genomes(population), f"{where}: {wrong}"
        if resumed:
            wrong = "one that took up its state goes on differently: state_dict() lacks something that changes"
            assert genomes(resumed.generate()) == genomes(population), f"{where}: {wrong}"
        if not population:
            break
        seeds = genomes(one.seeds)
        given, before, evaluations = list(population), genomes(population), one.evaluate(population)
        stage.attempt(one.strategy.update, population)
        assert given == population, f"{where}: update() changed the list that it was given"
        assert before == genomes(population), f"{where}: update() changed the genomes that it was given"
        kept = [candidate.evaluation for candidate in population]
        assert kept == evaluations, f"{where}: update() changed the evaluations that it was given"
        assert seeds == genomes(one.seeds), f"{where}: the seeds were changed"
        same = np.array_equal(origin, one.space.origin) and np.array_equal(scale, one.space.scale)
        assert same, f"{where}: the space's origin or scale was changed"
        twin.learn()
        resumed = one.resumed()
    for candidates in stage.keep(one.strategy).values():
        assert all(candidate.evaluation for candidate in candidates), f"strategy {name}: keep() gave unevaluated ones"


class Oracle:
    """A :class:`kvw.search.strategy.Predictor` that draws, and a :class:`kvw.search.strategy.Gradients`."""

    here = True
    target = np.full(EMBEDDING_WIDTH, EMBEDDING_WIDTH**-0.5, np.float32)
    texts = 3

    def __call__(self, count: int) -> NDArray[np.float64]:
        """Mean rows in the place of an atlas's: ``(count, 256)``."""
        return np.random.default_rng(2).normal(0, VOICE_STD, (count, STYLE_WIDTH))

    def likeness(self, styles: NDArray[np.float64]) -> NDArray[np.float64]:
        """Similarities in the place of those that an atlas expects: ``(n,)``."""
        near: NDArray[np.float64] = 1 / (1 + np.square(styles / VOICE_STD).mean(axis=1))
        return near


def answered(number: int, first: Voice, second: Voice) -> str:
    """A :class:`kvw.search.strategy.Listener` who gives every answer in turn."""
    return (FIRST, SECOND, SAME, NEITHER, UNDO)[number % 5]


class Rehearsal:
    """A strategy at work on a landscape: target similarity falls with the distance of a voice's mean row to a goal."""

    def __init__(self, stage: SearchStage, failing: int) -> None:
        draw = np.random.default_rng(0)
        self.goal = draw.normal(0, VOICE_STD, VOICE_SHAPE[1:])
        rows = draw.normal(0, VOICE_STD, (6, *VOICE_SHAPE[1:]))
        curve = np.linspace(0, VOICE_STD, VOICE_SHAPE[0])[:, None, None]
        self.bank: list[Voice] = [(row + curve).astype(np.float32) for row in rows]
        self.stage, self.failing, self.generation = stage, failing, 0
        top = [Entry("", voice, self.hear(voice)) for voice in self.bank[:4]]
        self.rng = np.random.default_rng(1)
        base = mean_voice(self.bank[:4])
        self.space, self.seeds, self.strategy = stage.make(self.bank, top, base, self.rng)
        self.population: list[Candidate] = []

    def hear(self, voice: Voice) -> Evaluation:
        """A complete evaluation."""
        distance = float(np.sqrt(np.mean((voice.mean(axis=0, dtype=np.float64) - self.goal) ** 2))) / VOICE_STD
        parts = {"target": 1 / (1 + distance), "self": 1 / (1 + distance / 4), "feature": 0.5}
        return Evaluation("complete", 100 * parts["target"], parts["target"], parts, 10.0)

    def climb(self, voice: Voice) -> Evaluation:
        """A gradient: the way to the goal."""
        way = (self.goal - voice.mean(axis=0, dtype=np.float64)).ravel()
        similarity = self.hear(voice).target_similarity
        return Evaluation("gradient", 0.0, similarity, {"target": similarity}, 6.0, gradient=way.astype(np.float32))

    def generate(self) -> list[Candidate]:
        """The next generation; empty when the strategy is finished."""
        try:
            self.population = self.stage.generate(self.strategy, self.space.dim)
        except Finished:
            self.population = []
        return self.population

    def evaluate(self, population: Sequence[Candidate]) -> list[Evaluation]:
        """Evaluates: one generation fails whole; of each other one every fourth is stopped and every seventh fails."""
        evaluations = []
        for number, candidate in enumerate(population, start=1):
            voice = self.space.decode(candidate.genome)
            seen = self.climb(voice) if candidate.pullback else self.hear(voice)
            if number % 7 == 0 or self.generation == self.failing:
                seen = Evaluation("silent", stage="target", detail="as rehearsed")
            elif number % 4 == 0 and not candidate.pullback:
                seen = Evaluation("stopped", 0.0, seen.target_similarity, {"target": seen.target_similarity}, 5.0)
            candidate.evaluate(seen)
            evaluations.append(seen)
        self.generation += 1
        return evaluations

    def learn(self) -> None:
        """Evaluates the latest generation and lets the strategy learn."""
        self.evaluate(self.population)
        self.stage.attempt(self.strategy.update, self.population)

    def resumed(self) -> Rehearsal:
        """Another one, that goes on from this one's state."""
        other = Rehearsal(self.stage, self.failing)
        load_state_dict(other.strategy, plainly(state_dict(self.strategy)))
        other.rng.bit_generator.state = self.rng.bit_generator.state
        return other


def plainly(state: dict[str, Any]) -> dict[str, Any]:
    """A copy of a state, if it is made of numpy arrays and JSON values.

    Raises:
        AssertionError: it is not.
    """
    try:
        text, arrays = freeze(state)
    except TypeError as error:
        raise AssertionError(f"state_dict(): expected numpy arrays and JSON values; {error}") from None
    copy: dict[str, Any] = thaw(text, lambda name: arrays[name].array())
    return copy


def genomes(population: Sequence[Candidate]) -> list[bytes]:
    """Genomes to compare bit for bit."""
    return [candidate.genome.tobytes() for candidate in population]

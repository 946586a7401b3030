"""A search without speech: the better a voice is, the nearer its level is to a goal."""

from __future__ import annotations

import numpy as np

from kvw.evaluation import Evaluation, gates_for
from kvw.search.budget import Budget
from kvw.search.candidate import Candidate
from kvw.search.loop import search
from kvw.search.observer import Observer
from kvw.search.stage import SearchStage
from kvw.search.strategy import Finished
from kvw.spaces.elementwise import Elementwise
from kvw.types import VOICE_SHAPE
from strategies.random_walk import RandomWalk


def voice(level):
    return np.full(VOICE_SHAPE, level, dtype=np.float32)


BANK = {f"af_{name}": voice(level) for name, level in zip("abcdef", (0.5, -0.3, 0.9, 0.2, -0.8, 0.1), strict=True)}


class Landscape:
    """An executor: the nearer the voice's mean is to ``goal``, the better. Remembers what it was asked."""

    batch = 1

    def __init__(self, goal=1.0, fail=lambda number: False):
        self.goal, self.fail = goal, fail
        self.calls = []

    def __call__(self, voices, gate, cache=None):
        self.calls.append((len(voices), gate))
        return [self.evaluate(*one) for one in zip(voices, gates_for(gate, len(voices)), strict=True)]

    def evaluate(self, one, gate):
        if self.fail(sum(count for count, _ in self.calls)):
            return Evaluation("silent", detail="foretold")
        similarity = 1 / (1 + abs(float(one.mean(dtype=np.float64)) - self.goal))
        if gate.only or similarity < 0.98 * gate.parts.get("target", 0.0):
            return Evaluation("stopped", 0.0, similarity, {"target": similarity})
        return Evaluation("complete", 100 * similarity, similarity, {"target": similarity})

    def close(self):
        pass


class Watcher(Observer):
    def __init__(self):
        self.done, self.top, self.generations, self.stages = [], None, [], []

    def ranking(self, done, total):
        self.done.append((done, total))

    def ranked(self, ranking, top):
        self.order, self.top = [entry.name for entry in ranking], [entry.name for entry in top]

    def began(self, stage, total):
        self.stages.append((stage.name, total))

    def __call__(self, generation, population, archive):
        self.generations.append((generation, list(population), archive.steps))

    def ended(self, stage, reason, kept):
        self.stages.append((stage.name, reason, kept))


def go(executor=None, space=Elementwise, strategy=RandomWalk, budget=None, seed=0, stages=None, bank=BANK, **more):
    watcher = Watcher()
    result = search(
        bank=bank,
        executor=executor or Landscape(),
        stages=stages or [SearchStage("only", space, strategy)],
        rng=np.random.default_rng(seed),
        budget=budget or Budget(step_limit=30),
        observers=[watcher],
        population_limit=3,
        **more,
    )
    return result, watcher


class Once:
    """Proposes one candidate and is finished."""

    def __init__(self, *, space, seeds, rng):
        self.left = [Candidate(space.origin)]

    def generate(self):
        if not self.left:
            raise Finished("nothing is left")
        return self.left

    def update(self, population):
        self.left = []

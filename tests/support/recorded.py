"""Runs that are recorded in a second: searches on a landscape, without speech."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, contextmanager

import numpy as np

from kvw.evaluation import Evaluation, Utterance
from kvw.runs import folders
from kvw.runs.store import Store
from kvw.search.budget import Budget
from kvw.search.loop import search
from kvw.search.stage import SearchStage
from kvw.spaces.elementwise import Elementwise
from strategies.random_walk import RandomWalk
from tests.support.landscape import BANK, Landscape

AWKWARD = "a b %41 #1 ?x=y&mode=rw é \"q\" 's'"


ROWS = [4, 90]


STEPS = 40


TEXTS = ["The ships are at sea tonight.", "A cold wind came over the hill."]


class Scene(Landscape):
    """Three stages, failures with awkward words, and seconds of audio."""

    def evaluate(self, one, gate):
        seen = super().evaluate(one, gate)
        if seen.failed:
            return Evaluation("silent", 0.0, -1.0, {}, 0.25, "target", 'it said "nothing",\nand that twice; é')
        if gate.only or seen.target_similarity < gate.parts.get("target", 0.0):
            return Evaluation("stopped", 0.0, seen.target_similarity, seen.parts, 1 / 3, "target")
        parts = {**seen.parts, "self": 0.1 + seen.target_similarity / 3, "feature": 2 / 3}
        return Evaluation("complete", seen.score, seen.target_similarity, parts, 2 / 3)


def facts(seed=0, **config):
    about = {
        "synthesiser": "embedded",
        "synthesiser_identity": "embedded 1",
        "target": "demo",
        "target_sha256": "ab" * 32,
        "strategy": "random_walk",
        "seed": seed,
        "language": "a",
        "versions": {"kvw": "0.1.0", "torch": "2.13.0"},
    }
    return {
        "provenance": about,
        "config": {
            "seed": seed,
            "step_limit": STEPS,
            "strategy": {"_target_": "x.Walk", "diversity": [0.1, 0.2]},
            **config,
        },
        "inputs": {"target_text": TEXTS[0], "arrays": {"target": np.arange(50_000, dtype=np.float32)}},
        "texts": TEXTS,
        "rows": ROWS,
    }


def record(place, seed=0, steps=STEPS, fail=lambda number: number > 20 and number % 7 == 0, **config):
    """Searches with its record in ``place``; gives the open store and what was found."""
    place.mkdir(parents=True)
    store = Store.create(place / folders.RECORD, facts(seed, **config))
    store.heard_through(ROWS)
    store.put({f"{number:064x}": utterance(number) for number in range(300)})
    result = search(
        bank=BANK,
        executor=Scene(fail=fail),
        stages=[SearchStage("only", Elementwise, RandomWalk)],
        rng=np.random.default_rng(seed),
        budget=Budget(step_limit=steps),
        population_limit=3,
        observers=[store],
        record=store,
    )
    return store, result


def utterance(number):
    if number % 5 == 0:
        return Utterance(0.5, "silent", "the audio is silent")
    embedding = np.full(256, number, dtype=np.float32)
    return Utterance(
        number / 7, embedding=embedding, statistics=np.array([number / 3, 1.0]), transcript=f"{number} ships"
    )


def done(place, heldout=0.5):
    voices = {
        "best stock voice, af_c": {"score": 60.0, "target_similarity": 0.6, "heldout": [0.25, 0.25]},
        "result, step 3": {"score": 70.0, "target_similarity": 0.7, "heldout": [heldout, heldout]},
    }
    figures = {
        "verdict": "improved",
        "evaluations": STEPS,
        "synthesised_seconds": 9.5,
        "seconds": 3.25,
        "voices": voices,
    }
    (place / folders.RESULT).write_text(json.dumps(figures))


@contextmanager
def changed(place):
    """The record's database, to damage it."""
    with closing(sqlite3.connect(place / folders.RECORD)) as db:
        db.execute("PRAGMA journal_mode=DELETE")
        yield db
        db.commit()

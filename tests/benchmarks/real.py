"""Strategies on Kokoro's real weights: how near they get, how clear they stay, what they cost.

``python -m tests.benchmarks.real`` runs every contender on every target with every seed, and prints a line for each: on
the texts that the search heard, and on ten texts and a clip that no search ever heard. Runs are kept in
``outputs/real``; those that ended are not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from kvw.text import aligned
from tests.benchmarks.compare import TARGETS
from tests.conftest import ROOT, SHARED

CONTENDERS = {
    "random_walk": ["strategy=random_walk", "fitness.most_characters=40"],
    "instant": ["experiment=instant", "heldout_characters=null"],
    "quick": ["experiment=quick"],
    "thorough": ["experiment=thorough"],
    "sep_cma": [
        *("experiment=quick", "~stages.refine", "stages.predicted.strategy.count=4"),
        *("+strategy@stages.search.strategy=sep_cma", "+space@stages.search.space=pca_offset"),
        *("stages.search.strategy.sigma=0.3", "stages.search.strategy.screen=4"),
        *("fitness=clear", "fitness.weights.prior=0.3", "population_limit=5"),
    ],
}
"""Overrides by name. The walk has texts as long as those of ``quick``: KVoiceWalk's take three times as long."""

CHANGES = {
    "uphill from a stock voice": ("quick", ["~stages.predicted"]),
    "more steps": ("quick", ["stages.refine.strategy.steps=48", "stages.refine.strategy.rate=0.5"]),
    "half the rate": ("quick", ["stages.refine.strategy.rate=0.5"]),
    "prior scored": ("quick", ["fitness.weights.prior=0.3"]),
    "both halves": ("quick", ["stages.refine.space.freeze=null"]),
    "no prior uphill": ("quick", ["stages.refine.strategy.prior=0"]),
    "from a stock voice": ("sep_cma", ["~stages.predicted", "stages.search.strategy.sigma=0.6"]),
    "mean of ten": (
        "sep_cma",
        ["~stages.predicted", "stages.search.strategy.sigma=0.6", "start_voices=10", "population_limit=10"],
    ),
    "sigma 0.6": ("sep_cma", ["stages.search.strategy.sigma=0.6"]),
    "no screen": ("sep_cma", ["stages.search.strategy.screen=1"]),
    "no words": ("sep_cma", ["fitness.weights.words=0", "fitness.gates.words.tolerance=1"]),
    "far prior": ("sep_cma", ["fitness.weights.prior=0.05", "fitness.prior_limit=2"]),
    "60 characters": ("sep_cma", ["fitness.most_characters=60"]),
    "five texts": ("sep_cma", ["fitness.more_texts=3"]),
}
"""Changes to a contender, one at a time, by name: what its settings are chosen by."""

UNHEARD = (
    "Could you pass the salt?",
    "We walked along the river until the lights of the town were far behind us.",
    "Please leave the package with the neighbours on the second floor, and ring twice.",
    "My grandmother kept a jar of buttons, and each of them had a story.",
    "The committee will publish its findings in March, together with every objection that was raised.",
    "If the engine coughs, wait a moment, pull the lever gently, and try again before you call for help.",
    "Nothing moved in the orchard except a thin grey cat that followed the wall towards the gate.",
    "Thirty people had signed the petition by noon, although the rain had kept most of them at home.",
    "He measured the shelf twice, wrote the figures on his sleeve, and still bought a board that was too short.",
    "When the choir began, the whole hall grew quiet, and even the children at the back stopped whispering to listen.",
)
"""Texts that nobody searches on: 157 words."""


FREE: SimpleQueue[int] = SimpleQueue()
"""Cores on which no search runs."""


def command(contender: str, target: str, seed: int, evaluations: int, folder: Path) -> list[str]:
    """The command line of one search."""
    recording, *others = (SHARED / "targets" / name for name in TARGETS[target])
    return [
        *(sys.executable, "-m", "kvw", "report=false", f"hydra.run.dir={folder}", f"seed={seed}"),
        *(f"target_audio={recording}", *(f"heldout_audio={path}" for path in others)),
        *(f"heldout_texts={folder.parent / 'unheard.txt'}", f"step_limit={evaluations}", *overrides(contender)),
        *("executor=local", "executor.scorers=0"),  # as many searches at once as there are cores
    ]


def overrides(contender: str) -> list[str]:
    """The overrides of a contender, or of one with one of :data:`CHANGES`."""
    changed, changes = CHANGES.get(contender, (contender, []))
    return [*CONTENDERS[changed], *changes]


def result(contender: str, target: str, seed: int, evaluations: int, folder: Path) -> dict[str, Any] | None:
    """The content of a search's ``result.json``, which is searched for where it is not there yet; None if it fails."""
    own = folder / f"{contender.replace(' ', '_')}-{target}-{seed}-{evaluations}"
    found = list(own.glob("*/*/result.json"))
    if not found:
        own.mkdir(parents=True, exist_ok=True)
        line = command(contender, target, seed, evaluations, own)
        core = FREE.get()  # of its own: a result is judged on all cores that a process may use
        done = subprocess.run(["taskset", "--cpu-list", str(core), *line], cwd=ROOT, capture_output=True, text=True)
        FREE.put(core)
        found = list(own.glob("*/*/result.json"))
        outcome = "done" if found else f"failed: {done.stderr.strip().splitlines()[-1:]}"
        sys.stderr.write(f"{own.name}: {outcome}\n")
    content: dict[str, Any] | None = json.loads(found[0].read_text("utf-8")) if found else None
    return content


def cells(voice: dict[str, Any]) -> Iterator[str]:
    """The figures of a voice: scored similarity; held-out similarity, that by CAM++, words wrong in %, DNSMOS."""
    yield f"{voice['target_similarity']:.3f}"
    yield f"{np.mean(voice['heldout']):.3f}"
    for name, digits in (("same_speaker", 3), ("word_errors", 1), ("quality", 2)):
        yield "-" if voice.get(name) is None else f"{voice[name]:.{digits}f}"


def table(results: dict[tuple[str, str, int], dict[str, Any]]) -> str:
    """A line a search, below the best stock voice of its target."""
    head = ("target", "seed", "", "scored", "held-out", "CAM++", "words wrong, %", "DNSMOS", "minutes", "verdict")
    rows: list[Sequence[str]] = [head]
    for (contender, target, seed), found in sorted(results.items(), key=lambda item: (item[0][1], item[0][2])):
        (name, stock), *_, (_, best) = found["voices"].items()
        if not any(row[:2] == (target, str(seed)) for row in rows):
            rows.append((target, str(seed), name.rpartition(" ")[2], *cells(stock), "", ""))
        rows.append((target, str(seed), contender, *cells(best), f"{found['seconds'] / 60:.1f}", found["verdict"]))
    return "\n".join(aligned(rows, 3))


def main() -> None:
    """Runs what is missing, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = ", ".join([*CONTENDERS, *CHANGES])
    parser.add_argument("contenders", nargs="*", default=list(CONTENDERS), help=f"of {names}")
    parser.add_argument("--targets", nargs="+", default=list(TARGETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    given = parser.parse_args()
    folder = ROOT / "outputs" / "real"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "unheard.txt").write_text("\n".join(UNHEARD) + "\n", encoding="utf-8")
    todo = [
        (contender, target, seed) for seed, contender, target in product(given.seeds, given.contenders, given.targets)
    ]
    for core in sorted(os.sched_getaffinity(0))[: given.workers]:
        FREE.put(core)
    with ThreadPoolExecutor(given.workers) as pool:
        found = list(pool.map(lambda cell: result(*cell, given.evaluations, folder), todo))
    sys.stdout.write(table({cell: one for cell, one in zip(todo, found, strict=True) if one}) + "\n")


if __name__ == "__main__":
    main()

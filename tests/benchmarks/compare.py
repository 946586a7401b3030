"""Strategies on the same targets, seeds and number of evaluations: ``make compare``, ``make compare-all``.

Every result is scored again by the default fitness on KVoiceWalk's two texts, whatever its own search optimised, and
judged on texts and a clip that no search heard. Cells that are finished are kept: run it again to go on.
Above 300 lines, because grid, cells, tables and verdict are one experiment, read from top to bottom.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from kvw import __version__
from kvw.config.arguments import quoted
from kvw.config.fitness import FitnessSpec, prior_of, settled
from kvw.config.inputs import read_inputs
from kvw.config.invocation import compose
from kvw.config.schema import plain
from kvw.config.stages import make_stages, stage_nodes
from kvw.evaluation import OPEN, Evaluation
from kvw.executors.local import LocalExecutor
from kvw.fitness.heldout import HeldOut
from kvw.runtime.files import write_whole
from kvw.runtime.workers import limit_threads
from kvw.search.archive import Archive
from kvw.search.budget import Budget
from kvw.search.candidate import Candidate
from kvw.search.loop import search
from kvw.search.observer import Observer
from kvw.search.ranking import rank
from kvw.speech.embedded.stock_voices import stock_voices
from kvw.tasks.listen import AtKeyboard
from kvw.tasks.predict import Atlas, TargetGradients
from kvw.tasks.prepare import HELDOUT_SEED
from kvw.text import aligned, duration
from kvw.types import Voice
from tests.conftest import ROOT, SHARED

TARGETS = {
    "1688": ("1688-142285-0000.flac", "1688-142285-0001.flac"),
    "1998": ("1998-15444-0000.flac", "1998-15444-0005.flac"),
    "2609": ("2609-156975-0004.flac", "2609-156975-0007.flac"),
    "3331": ("3331-159605-0000.flac", "3331-159605-0008.flac"),
    "lighthouse": ("lighthouse.wav",),
}
"""Recordings to search on, each with one to judge by; the last one is split."""

WALK, PRESET, FLOOR = "random_walk", "quick", "random_search"
PROBE = "She carried nine yellow lemons home from the market."
GATE = "{_target_: kvw.fitness.rules.Margin, margin: 0.95}"
CONTENDERS = {
    WALK: ["strategy=random_walk"],
    PRESET: ["experiment=quick"],
    FLOOR: ["strategy=random_search"],
    "quick, short": ["experiment=quick", "fitness=short"],
    "quick, probed": [
        "experiment=quick",
        "fitness.weights.probe=0",
        f"fitness.probe_text={PROBE}",
        f"fitness.gates.probe={GATE}",
    ],
    "coherent walk": ["strategy=random_walk", "space=coherent"],
    "interpolation": ["strategy=interpolation", "strategy.step=0.3", "population_limit=6"],
    **{name: [f"strategy={name}"] for name in ("genetic", "cma", "sep_cma", "differential", "nsga2")},
}
JUDGED = 8
"""Improvements of a cell that are judged on held-out texts, for the curve."""


class Track(Observer):
    """Keeps the improvements among the first ``limit`` candidates, with the audio synthesised until then."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.points: list[tuple[int, float, Evaluation, Voice]] = []
        self.synthesised = 0.0
        self.stopped = 0

    def __call__(self, generation: int, population: Sequence[Candidate], archive: Archive) -> None:
        for step, candidate in enumerate(population, start=archive.steps - len(population)):
            seen = candidate.evaluation
            if step >= self.limit or seen is None:
                break
            self.synthesised += seen.synthesised
            self.stopped += seen.status == "stopped"
            if seen.score > (self.points[-1][2].score if self.points else 0) and candidate.voice is not None:
                self.points.append((step + 1, self.synthesised, seen, candidate.voice))


@dataclass(frozen=True)
class Cell:
    """One search: a contender on a target with a seed."""

    contender: str
    overrides: tuple[str, ...]
    recordings: tuple[str, ...]
    target: str
    seed: int
    evaluations: int

    def arguments(self) -> list[str]:
        """Its command line."""
        heldout = [f"heldout_audio={path}" for path in self.recordings[1:]]
        return [
            "synth=embedded",
            f"target_audio={self.recordings[0]}",
            *heldout,
            f"seed={self.seed}",
            f"step_limit={self.evaluations}",
            *self.overrides,
        ]


def composed(arguments: Sequence[str]) -> tuple[DictConfig, dict[str, Any]]:
    """The config of a command line, and the nodes of its stages."""
    invocation = compose(*quoted(list(arguments)))
    return invocation.cfg, stage_nodes(invocation)


def settings_of(cfg: DictConfig, bank: dict[str, Voice]) -> FitnessSpec:
    """The fitness of a config."""
    node = plain(settled(cfg.fitness, cfg.language.letter))
    prior = prior_of(list(bank.values()), node)
    return FitnessSpec(plain(cfg.synth), node, "cpu", cfg.language.letter, cfg.seed, read_inputs(cfg), prior)


def run(cell: Cell) -> dict[str, Any]:
    """Searches, scores every improvement again by the default fitness, and judges some of them."""
    limit_threads(1)
    started = time.monotonic()
    bank = stock_voices()
    usual_cfg, _ = composed(replace(cell, overrides=()).arguments())
    usual = settings_of(usual_cfg, bank)
    heldout = HeldOut(usual.listener(cell.seed + HELDOUT_SEED), usual.inputs.heldout_texts, usual.inputs.target.heldout)
    cfg, nodes = composed(cell.arguments())
    settings, track = settings_of(cfg, bank), Track(cell.evaluations)
    atlas = Atlas(cfg.atlas.file, settings.models, settings.inputs.target)
    result = search(
        bank=bank,
        executor=LocalExecutor(fitness=settings),
        stages=make_stages(nodes, "", predictor=atlas, gradients=TargetGradients(settings), listener=AtKeyboard()),
        rng=np.random.default_rng(cell.seed),
        budget=Budget(cell.evaluations),
        population_limit=cfg.population_limit,
        shortlist=cfg.shortlist,
        likeness=atlas.of_bank,
        start_voices=cfg.start_voices,
        observers=[track],
    )
    same = settings.fitness == usual.fitness
    if same:
        baseline = result.baseline
    else:
        score = LocalExecutor(fitness=usual)
        _, (baseline, *_) = rank(bank, score, usual_cfg.population_limit)
    chosen = set(np.linspace(0, len(track.points) - 1, JUDGED).round().astype(int).tolist())
    points = []
    for number, (evaluations, synthesised, seen, voice) in enumerate(track.points):
        point = {
            "evaluations": evaluations,
            "synthesised": synthesised,
            **figures(seen if same else score([voice], OPEN)[0]),
        }
        if number in chosen:
            point["heldout"] = float(np.mean(heldout(voice)))
        points.append(point)
    return {
        "contender": cell.contender,
        "target": cell.target,
        "seed": cell.seed,
        "baseline": {
            "name": baseline.name,
            "heldout": float(np.mean(heldout(baseline.voice))),
            **figures(baseline.evaluation),
        },
        "points": points,
        "evaluations": cell.evaluations,
        "synthesised": track.synthesised,
        "stopped": track.stopped / cell.evaluations,
        "seconds": time.monotonic() - started,
    }


def figures(seen: Evaluation) -> dict[str, float]:
    """Score and target similarity."""
    return {"score": seen.score, "target": seen.target_similarity}


def cells(names: Sequence[str], folder: Path, seeds: Sequence[int], evaluations: int) -> list[Cell]:
    """Every contender on every target with every seed; on the demo recording where the targets are absent."""
    if folder.is_dir():
        targets = {name: tuple(str(folder / file) for file in files) for name, files in TARGETS.items()}
    else:
        sys.stdout.write(f"{folder} is absent: the demo recording is the only target\n")
        targets = {"demo": (str(ROOT / "kvw" / "data" / "demo.flac"),)}
    return [
        Cell(name, tuple(CONTENDERS[name]), recordings, target, seed, evaluations)
        for seed in seeds
        for target, recordings in targets.items()
        for name in names
    ]


def path_of(cell: Cell, folder: Path) -> Path:
    """Where a finished cell is kept; another config is another file."""
    digest = digest_of(replace(cell, recordings=("",), target="", seed=0))
    return folder / f"{cell.contender}-{cell.target}-{cell.seed}-{cell.evaluations}-{digest}.json"


@cache  # composing a config takes a second, and the cells of a contender share one
def digest_of(cell: Cell) -> str:
    """Tells configs apart, whatever the recordings and the seed."""
    cfg, _ = composed(cell.arguments())
    of_a_cell = {"hydra", "target_audio", "heldout_audio", "seed"}
    told = {
        str(key): plain(value) if OmegaConf.is_config(value) else value
        for key, value in cfg.items()
        if key not in of_a_cell
    }
    return hashlib.sha256(json.dumps([__version__, told]).encode()).hexdigest()[:8]


def finish(todo: Sequence[Cell], folder: Path, workers: int) -> list[dict[str, Any]]:
    """The records of all cells but those that fail; what is not there yet is run, ``workers`` at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {cell: path_of(cell, folder) for cell in todo}
    missing = [cell for cell in todo if not paths[cell].exists()]
    started = time.monotonic()
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        jobs = {pool.submit(run, cell): cell for cell in missing}
        for done, job in enumerate(as_completed(jobs), start=1):
            cell = jobs[job]
            if error := job.exception():
                outcome = f"failed: {error}"
            else:
                write_whole(paths[cell], json.dumps(job.result()).encode())
                outcome = f"{job.result()['seconds']:.0f} s"
            left = (time.monotonic() - started) / done * (len(missing) - done)
            sys.stdout.write(
                f"{cell.contender}, {cell.target}, seed {cell.seed}: {outcome}; "
                f"{done} of {len(missing)}, {duration(left)} left\n"
            )
            sys.stdout.flush()
    return [json.loads(path.read_text()) for path in paths.values() if path.exists()]


def reached(record: dict[str, Any], score: float) -> dict[str, float] | None:
    """The first improvement of at least ``score``."""
    return next((point for point in record["points"] if point["score"] >= score), None)


def row(records: Sequence[dict[str, Any]], walks: dict[tuple[str, int], dict[str, Any]]) -> list[str]:
    """A contender's line of the table: medians over its cells, and the span from the lower to the upper quartile."""
    final = [record["points"][-1] for record in records]
    base = [record["baseline"] for record in records]
    gains = [one["heldout"] - other["heldout"] for one, other in zip(final, base, strict=True)]
    scored = [one["target"] - other["target"] for one, other in zip(final, base, strict=True)]
    excess = [one - other for one, other in zip(scored, gains, strict=True)]
    cost, steps = [], []
    for record in records:
        walk = walks.get((record["target"], record["seed"]))
        hit = walk and reached(record, walk["points"][-1]["score"])
        if walk:
            cost.append(hit["synthesised"] / walk["synthesised"] if hit else np.inf)
            steps.append(hit["evaluations"] if hit else np.inf)

    def middle(values: Sequence[float], digits: int, sign: str = "") -> str:
        if not values:
            return "-"
        median = np.median(values)
        return f"{median:{sign}.{digits}f}" if np.isfinite(median) else "never"

    low, high = np.quantile(gains, [0.25, 0.75])
    return [
        records[0]["contender"],
        middle([one["score"] for one in final], 1),
        middle(scored, 3, "+"),
        middle(gains, 3, "+"),
        f"{low:+.3f} {high:+.3f}",
        middle(excess, 3, "+"),
        middle(steps, 0),
        middle(cost, 2),
        middle([record["synthesised"] for record in records], 0),
        f"{np.median([record['stopped'] for record in records]):.0%}",
        middle([record["seconds"] for record in records], 0),
    ]


HEAD = (
    "",
    "score",
    "scored gain",
    "held-out gain",
    "quartiles",
    "excess",
    "evals to walk",
    "audio to walk",
    "audio s",
    "stopped",
    "s",
)


def table(records: Sequence[dict[str, Any]]) -> str:
    """Every contender's line, in the order of :data:`CONTENDERS`."""
    by_name = {name: [one for one in records if one["contender"] == name] for name in CONTENDERS}
    walks = {(one["target"], one["seed"]): one for one in by_name[WALK]}
    rows = [HEAD, *(row(some, walks) for some in by_name.values() if some)]
    return "\n".join(aligned(rows, 0))


def draw(records: Sequence[dict[str, Any]], path: Path) -> None:
    """Score and held-out gain over the best stock voice, against synthesised audio: medians and quartiles."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    axes = figure.subplots(1, 2)
    names = [name for name in CONTENDERS if any(one["contender"] == name for one in records)]
    grid = np.linspace(0, max(one["synthesised"] for one in records), 200)
    for name in names:
        some = [one for one in records if one["contender"] == name]
        for axis, key in zip(axes, ("score", "heldout"), strict=True):
            curves = []
            for one in some:
                points = [point for point in one["points"] if key in point]
                at = np.searchsorted([point["synthesised"] for point in points], grid, side="right") - 1
                values = np.array([point[key] - one["baseline"][key] for point in points])
                curves.append(np.where(at < 0, np.nan, values[np.maximum(at, 0)]))
                curves[-1][grid > one["synthesised"]] = np.nan
            shown = np.isfinite(curves).all(axis=0)
            low, middle, high = np.quantile(np.array(curves)[:, shown], [0.25, 0.5, 0.75], axis=0)
            (line,) = axis.plot(grid[shown], middle, label=name)
            axis.fill_between(grid[shown], low, high, alpha=0.15, color=line.get_color())
    for axis, title in zip(axes, ("score", "held-out similarity"), strict=True):
        axis.axhline(0, color="grey", linewidth=0.8)
        axis.set(xlabel="synthesised audio, s", title=f"{title}: gain over the best stock voice")
    axes[1].legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Runs what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(CONTENDERS)}; none is all of them")
    parser.add_argument("--targets", type=Path, default=SHARED / "targets")
    parser.add_argument("--out", type=Path, default=ROOT / "outputs" / "compare")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--evaluations", type=int, default=450)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in CONTENDERS]
    if unknown:
        parser.error(f"expected names of {', '.join(CONTENDERS)}; got {', '.join(unknown)}")
    todo = cells(given.names or list(CONTENDERS), given.targets, given.seeds, given.evaluations)
    records = finish(todo, given.out, given.workers)
    if not records:
        sys.exit("no search could be finished")
    searches = len({(one["target"], one["seed"]) for one in records})
    text = f"{searches} searches each, {given.evaluations} evaluations\n{table(records)}\n"
    write_whole(given.out / "table.txt", text.encode())
    draw(records, given.out / "curves.png")
    sys.stdout.write(f"{text}Curves: {given.out / 'curves.png'}\n")
    sys.exit(len(records) < len(todo))


if __name__ == "__main__":
    main()

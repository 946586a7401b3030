"""One search, from checked inputs to its summary. Importing this module imports torch and librosa: it takes seconds."""

from __future__ import annotations

import datetime
import logging
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from kvw import audio, composition, quality, results, store
from kvw import search as searching
from kvw import voices as voice_files
from kvw.archive import Entry
from kvw.candidate import Evaluation
from kvw.chain import SearchStage
from kvw.config import build, maker, pick_device, plain
from kvw.disk import write_whole
from kvw.executor import Executor
from kvw.gate import OPEN, Gate
from kvw.heldout import HeldOut
from kvw.inputs import Inputs, Problems
from kvw.progress import SCORED_SHARE, Progress, duration
from kvw.search import Budget, Result
from kvw.settings import FitnessSettings, prior_of
from kvw.speech import choice
from kvw.strategy import Finished
from kvw.types import EXIT_TOO_MANY_FAILURES, KvwError, Voice

log = logging.getLogger(__name__)

HELDOUT_SEED = 1_000_003
"""Added to the seed for held-out audio: its noise is not the noise that the search heard."""


def run(cfg: DictConfig, inputs: Inputs) -> float:
    """Evolves a voice.

    Returns:
        the best candidate's score, in [0, 100]; 0.0 for a dry run.

    Raises:
        KvwError: bad input, before anything is written; or no candidate could be scored.
    """
    problems = Problems()
    device = problems.attempt(pick_device, cfg.device)
    stages = problems.attempt(composition.stages, cfg)
    problems.attempt(maker, plain(cfg.fitness), "fitness")
    make_executor = problems.attempt(maker, plain(cfg.executor), "executor")
    problems.raise_any()

    reseed(cfg.seed)
    synth = plain(cfg.synth)
    if synth["_target_"] == choice.AUTOMATIC:
        synth = build(synth, "synth", voice_folder=Path(cfg.voices_folder))
    bank = stock_voices(cfg, synth, inputs)
    log.info("Target: %s", inputs.target.summary)
    for note in inputs.notes:
        log.warning("%s", note)
    totals = rehearse(stages, list(bank.values()), cfg.population_limit)
    check_limits(stages, totals, cfg.step_limit)
    log.info("Loading the models")
    prior = prior_of(bank.values(), plain(cfg.fitness))
    settings = FitnessSettings(synth, plain(cfg.fitness), device, cfg.language.letter, cfg.seed, inputs, prior)
    executor = make_executor(fitness=settings)
    try:
        _, encoder = settings.models()
        for doubt in quality.doubts(encoder, inputs.target.recordings):
            log.warning("%s", doubt)
        if cfg.dry_run:
            return plan(cfg, settings, bank, executor, sum(total or 0 for total in totals))
        heldout = HeldOut(settings.ear(cfg.seed + HELDOUT_SEED), inputs.heldout_texts, inputs.target.heldout)
        folder = run_folder(inputs, cfg.seed)
        log_file = logging.FileHandler(folder / "kvw.log", encoding="utf-8")
        logging.getLogger("kvw").addHandler(log_file)
        try:
            find = partial(searching.search, bank=bank, executor=executor, stages=stages)
            return search(cfg, settings, find, heldout, folder)
        finally:
            logging.getLogger("kvw").removeHandler(log_file)
            log_file.close()
    finally:
        executor.close()


def search(
    cfg: DictConfig, settings: FitnessSettings, find: Callable[..., Result], heldout: HeldOut, folder: Path
) -> float:
    """Searches by ``find``, with its records in ``folder``, and judges the result."""
    inputs, target = settings.inputs, settings.inputs.target
    write_whole(folder / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True).encode())
    for number, wave in enumerate(target.clips, start=1):
        audio.write(folder / (f"target_{number}.wav" if len(target.clips) > 1 else "target.wav"), wave)
    for number, wave in enumerate(target.heldout, start=1):
        audio.write(folder / f"heldout_{number}.wav", wave)
    synthesizer, _ = settings.models()
    log.info("Synthesiser %s on %s; run folder %s", synthesizer.name, settings.device, folder)
    facts = {
        "synthesiser": synthesizer.name,
        "synthesiser_identity": synthesizer.identity,
        "target": target.name,
        "target_sha256": results.digest(np.concatenate(target.clips)),
        "strategy": strategy_name(),
        "seed": cfg.seed,
        "language": cfg.language.letter,
        "base_voices": list(inputs.starting_bases),
        "synthetic": True,
        "versions": results.versions(),
    }
    ear, scripts = settings.ear(cfg.seed), settings.scripts()
    improvements = results.Improvements(
        folder,
        Path(cfg.output_name).stem,
        target.name,
        facts,
        lambda voice: ear.speak([voice], scripts[0])[0],
    )
    record = store.Store(folder / "run.db", facts, [segment.row for script in scripts for segment in script.segments])
    progress = Progress(cfg.step_limit)
    try:
        result = find(
            rng=np.random.default_rng(cfg.seed),
            budget=Budget(cfg.step_limit, cfg.minutes, cfg.stop_score, cfg.patience),
            population_limit=cfg.population_limit,
            starting_voice=inputs.starting_voice,
            observers=[record, improvements, progress],
        )
        progress.close()
        return conclude(result, heldout, improvements, inputs, folder)
    except KeyboardInterrupt:
        log.warning("Interrupted: what was found so far is in %s", folder)
        raise
    finally:
        progress.close()
        record.close()


def rehearse(stages: Sequence[SearchStage], bank: list[Voice], limit: int) -> list[int | None]:
    """Makes the spaces, the strategies and a first generation once, of unranked voices.

    What is wrong with a setting or a plugin shows before minutes of ranking, not after.

    Returns:
        the candidates of each stage, where its strategy says how many; see :class:`kvw.strategy.Strategy`.

    Raises:
        KvwError: a setting is out of its range, or a strategy breaks its contract.
    """
    known = Evaluation("complete", 50.0, 0.5, {"target": 0.5, "self": 0.5, "feature": 0.5})
    top = [Entry("", voice, known) for voice in bank[:limit]]
    totals = []
    for stage in stages:
        space, _, strategy = stage.make(bank, top, bank[0], np.random.default_rng(0))
        with suppress(Finished):
            stage.generate(strategy, space.dim)
        totals.append(getattr(strategy, "total", None))
    return totals


def check_limits(stages: Sequence[SearchStage], totals: Sequence[int | None], step_limit: int) -> None:
    """Checks that every stage gets its turn.

    Args:
        stages: of the search.
        totals: as from :func:`rehearse`.
        step_limit: of the search.

    Raises:
        KvwError: a stage has a follower, but neither a number of candidates nor a limit.
    """
    spent = 0
    for stage, total in zip(stages[:-1], totals, strict=False):
        if total is None and stage.step_limit is None:
            raise KvwError(
                f"{stage.name}: expected a step_limit, since another strategy follows and it never ends by itself; "
                f"give strategy.step_limit, or stages.{stage.name}.step_limit in an experiment"
            )
        spent += 0 if total is not None else stage.step_limit or 0
    if spent >= step_limit:
        log.warning("step_limit %d is spent before the last stage, %s, has its turn", step_limit, stages[-1].name)


def conclude(
    result: Result, heldout: HeldOut, improvements: results.Improvements, inputs: Inputs, folder: Path
) -> float:
    """Judges a search on what it never scored, and writes and logs its summary."""
    best = result.archive.best
    if not result.archive.steps:
        took = duration(result.seconds)
        raise KvwError(
            f"minutes: expected more than the ranking takes; it took {took}: nothing was searched; allow more"
        )
    if best is None and not result.archive.failures:
        raise KvwError("every candidate was a stock voice; allow more steps")
    if best is None:
        counts = ", ".join(f"{count} {status}" for status, count in result.archive.failures.items())
        raise KvwError(
            f"none of {result.archive.steps} candidates could be scored ({counts}); see {folder / 'run.db'}",
            EXIT_TOO_MANY_FAILURES,
        )
    log.info("Judging on held-out texts and audio")
    rows = results.compared(result)
    by_step: dict[int, list[float]] = {}
    for label, entry in rows.items():
        if entry.step not in by_step:  # the start may be the result
            by_step[entry.step] = heldout(entry.voice)
            log.info("  %s: %.3f", label, np.mean(by_step[entry.step]))
    judged = {label: by_step[entry.step] for label, entry in rows.items()}
    improvements.save(best, "best", heldout=float(np.mean(by_step[best.step])))
    lengths = [script.phonemes for script in heldout.scripts]
    archive = result.archive
    about = {
        "Target": inputs.target.summary,
        "Held-out": f"mean of {len(lengths)} texts of {min(lengths)} to {max(lengths)} phonemes, "
        f"against {inputs.target.heldout_note}",
        "Synthesiser": str(improvements.facts["synthesiser"]),
        "Search": f"{archive.steps} candidates in {duration(result.seconds)}, {archive.synthesised:.0f} s of audio, "
        f"{archive.stopped / archive.steps:.0%} stopped early, {archive.failed} failed; {result.reason}",
        "Result": f"{folder / 'best.pt'} and best.wav",
    }
    text = results.summary(result, judged, about)
    write_whole(folder / "summary.txt", f"{text}\n".encode())
    write_whole(folder / "result.json", results.report(result, judged, improvements.facts).encode())
    log.info("\n%s", text)
    return best.evaluation.score


def plan(
    cfg: DictConfig, settings: FitnessSettings, bank: dict[str, Voice], executor: Executor, uncounted: int
) -> float:
    """Logs what a search would do and what it would take, from two evaluations of the first stock voice.

    Args:
        cfg: of the run.
        settings: of the fitness.
        bank: stock voices.
        executor: evaluates them.
        uncounted: candidates that do not count against ``step_limit``.
    """
    voice = next(iter(bank.values()))
    seconds = []
    for gate in (OPEN, Gate(only="target"), OPEN):  # the first one warms caches up
        started = time.monotonic()
        executor([voice], gate)
        seconds.append(time.monotonic() - started)
    _, stopped, complete = seconds
    inputs = settings.inputs
    ranking = len(bank) * stopped + min(cfg.population_limit, len(bank)) * complete
    candidates = cfg.step_limit + uncounted
    steps = candidates * (stopped + SCORED_SHARE * (complete - stopped))
    synthesizer, _ = settings.models()
    log.info("Held-out: %s", inputs.target.heldout_note)
    log.info("Synthesiser: %s on %s", synthesizer.name, settings.device)
    log.info("Ranking: %d stock voices, about %s", len(bank), duration(ranking))
    log.info("Search: %s, up to %d candidates, about %s", strategy_name(), candidates, duration(steps))
    log.info("No search was run: dry_run=true")
    return 0.0


def stock_voices(cfg: DictConfig, synth: dict[str, Any], inputs: Inputs) -> dict[str, Voice]:
    """The bank that belongs to the synthesiser.

    ``voice_folder`` is Kokoro's unless it holds embedded voices; the embedded synthesiser has a bank of its own.

    Raises:
        KvwError: there are no voices, or they are another synthesiser's.
    """
    folder, embedded = Path(cfg.voices_folder), synth["_target_"] == choice.EMBEDDED
    wanted = voice_files.EMBEDDED if embedded else voice_files.KOKORO
    named = folder != Path("voices")
    present = voice_files.single_files(folder)
    if embedded and not (named or (present and voice_files.synthesizer_of(present[0]) == wanted)):
        from kvw.speech import embedded as own

        bank = own.stock_voices()
    else:
        loaded = voice_files.load_bank(folder)
        if loaded.synthesizer != wanted:
            raise KvwError(
                f"voice_folder: expected voices of the {wanted} synthesiser; {folder} holds {loaded.synthesizer}'s; "
                f"give synth={loaded.synthesizer}, or another voice_folder"
            )
        bank = loaded.voices
    if inputs.starting_voice is not None and inputs.starting_synthesizer != wanted:
        raise KvwError(
            f"starting_voice: expected a voice of the {wanted} synthesiser; {cfg.starting_voice} is "
            f"{inputs.starting_synthesizer}'s; give synth={inputs.starting_synthesizer}, or another voice"
        )
    if cfg.population_limit > len(bank):
        log.warning("population_limit is %d, the stock voices are %d: all are used", cfg.population_limit, len(bank))
    return bank


def run_folder(inputs: Inputs, seed: int) -> Path:
    """Makes the folder of this run: by date and time, or in its job's folder of a multirun."""
    hydra = HydraConfig.get()
    name = f"{inputs.target.name}-{strategy_name()}-{seed}"
    job = Path(hydra.runtime.output_dir)
    if hydra.mode == RunMode.MULTIRUN:
        return results.new_folder(job, name)
    now = datetime.datetime.now()
    return results.new_folder(job / now.strftime("%Y-%m-%d"), f"{now.strftime('%H-%M-%S')}-{name}")


def strategy_name() -> str:
    """The word that chose the strategy, or the experiment of several."""
    return composition.chosen("experiment") or str(composition.chosen("strategy"))


def reseed(seed: int) -> None:
    """Seeds the global generators, which libraries use: several jobs of a sweep share one process."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - deap.cma draws from it
    torch.manual_seed(seed)

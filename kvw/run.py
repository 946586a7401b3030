"""One search, from checked inputs to its summary. Importing this module imports torch and librosa: it takes seconds."""

from __future__ import annotations

import datetime
import logging
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from kvw import audio, composition, quality, results, store
from kvw import fingerprint as fingerprints
from kvw import folder as folders
from kvw import search as searching
from kvw import voices as voice_files
from kvw.archive import Entry
from kvw.candidate import Evaluation
from kvw.chain import SearchStage
from kvw.config import build, maker, pick_device, plain, restored
from kvw.disk import check_free, write_whole
from kvw.executor import Executor
from kvw.fingerprint import fingerprint
from kvw.gate import OPEN, Gate
from kvw.heldout import HeldOut
from kvw.inputs import Inputs, Problems, check_numbers, saved
from kvw.inputs import restored as inputs_of
from kvw.manual import shell
from kvw.progress import SCORED_SHARE, Progress, duration
from kvw.search import Budget, Result
from kvw.settings import FitnessSettings, prior_of
from kvw.speech import choice
from kvw.strategy import Finished
from kvw.types import EXIT_TOO_MANY_FAILURES, KvwError, Voice

log = logging.getLogger(__name__)

HELDOUT_SEED = 1_000_003
"""Added to the seed for held-out audio: its noise is not the noise that the search heard."""

MAY_CHANGE = ("step_limit", "minutes", "stop_score", "patience", "debug")
"""Keys that may differ where a run goes on, beside the executor's: none of them changes what is evaluated."""


@dataclass(frozen=True)
class Prepared:
    """A search whose settings have been checked and whose models are loaded.

    Attributes:
        cfg: its config, with the synthesiser and the stages that were chosen; ``stages`` of a search is never empty.
        stages: made of it.
        totals: candidates of each stage, where its strategy says how many.
        bank: stock voices.
        settings: of the fitness.
        executor: ready.
    """

    cfg: DictConfig
    stages: list[SearchStage]
    totals: list[int | None]
    bank: dict[str, Voice]
    settings: FitnessSettings
    executor: Executor

    @property
    def uncounted(self) -> int:
        """Candidates that count against no limit."""
        return sum(total or 0 for total in self.totals)

    def heldout(self) -> HeldOut:
        """The judge."""
        inputs = self.settings.inputs
        ear = self.settings.ear(self.cfg.seed + HELDOUT_SEED)
        return HeldOut(ear, inputs.heldout_texts, inputs.target.heldout)

    def fingerprint(self) -> dict[str, str]:
        """What the last bits of its results depend on."""
        makers = [maker for stage in self.stages for maker in (stage.space, stage.strategy)]
        return fingerprint(self.settings.device, self.executor.batch, makers)


@contextmanager
def prepared(cfg: DictConfig, inputs: Inputs) -> Iterator[Prepared]:
    """Checks the settings of a search, and loads its models.

    Raises:
        KvwError: bad input; nothing has been written.
    """
    problems = Problems()
    device = problems.attempt(pick_device, cfg.device)
    nodes = problems.attempt(composition.nodes, cfg)
    stages = problems.attempt(composition.stages, nodes or {}, "stages" if cfg.stages else "")
    problems.attempt(maker, plain(cfg.fitness), "fitness")
    make_executor = problems.attempt(maker, plain(cfg.executor), "executor")
    problems.raise_any()

    reseed(cfg.seed)
    synth = plain(cfg.synth)
    if synth["_target_"] == choice.AUTOMATIC:
        synth = build(synth, "synth", voice_folder=Path(cfg.voices_folder))
    bank = stock_voices(cfg, synth, inputs)
    totals = rehearse(stages, list(bank.values()), cfg.population_limit)
    check_limits(stages, totals, cfg.step_limit)
    log.info("Loading the models")
    prior = prior_of(bank.values(), plain(cfg.fitness))
    settings = FitnessSettings(synth, plain(cfg.fitness), device, cfg.language.letter, cfg.seed, inputs, prior)
    executor = make_executor(fitness=settings)
    chosen = restored({**plain(cfg), "synth": synth, "stages": nodes, "interpolate_start": False})
    try:
        yield Prepared(chosen, stages, totals, bank, settings, executor)
    finally:
        executor.close()


def run(cfg: DictConfig, inputs: Inputs) -> float:
    """Evolves a voice.

    Returns:
        the best candidate's score, in [0, 100]; 0.0 for a dry run.

    Raises:
        KvwError: bad input, before anything is written; or no candidate could be scored.
    """
    log.info("Target: %s", inputs.target.summary)
    for note in inputs.notes:
        log.warning("%s", note)
    with prepared(cfg, inputs) as ready:
        _, encoder = ready.settings.models()
        for doubt in quality.doubts(encoder, inputs.target.recordings):
            log.warning("%s", doubt)
        if cfg.dry_run:
            return plan(ready)
        heldout = ready.heldout()
        scripts = ready.settings.scripts()
        check_free(outputs(), storage_needed(cfg.step_limit + ready.uncounted, len(scripts)))
        folder = run_folder(inputs, cfg.seed)
        with folders.held(folder):
            return search(ready, heldout, folder, begin(ready, folder))


def resume(cfg: DictConfig) -> float:
    """Goes on with the run that ``cfg.resume`` names, with its own config and inputs, as if it had never stopped.

    Args:
        cfg: of which the budgets and the executor count, where the command line names them.

    Returns:
        as :func:`run`.

    Raises:
        KvwError: there is no such run, it is at work, it is damaged, or the command line asks for what can't change.
    """
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        raise KvwError("resume: expected one run; -m is for new ones; leave it out, and go on with one after the other")
    folder = folders.named(cfg.resume, outputs())
    with folders.held(folder):
        record = store.Store(folder / folders.RECORD)
        try:
            with prepared(changed(record, cfg), inputs_of(record.facts["inputs"])) as ready:
                check_same(record, ready)
                return search(ready, ready.heldout(), folder, record)
        except KeyError as error:
            raise store.DamagedError(record.path, f"it lacks {error}") from error
        finally:
            record.close()


def changed(record: store.Store, cfg: DictConfig) -> DictConfig:
    """The saved config of a run with what the command line changes.

    Raises:
        KvwError: that is something else than budgets and the executor.
    """
    begun, choices = restored(record.facts["config"]), record.facts["choices"]

    def differs(key: str) -> bool:
        if key in choices and choices[key] == composition.chosen(key):
            return False
        return bool(OmegaConf.select(cfg, key) != OmegaConf.select(begun, key))

    told = dict.fromkeys(override.lstrip("+~").partition("=")[0] for override in HydraConfig.get().overrides.task)
    free = (*MAY_CHANGE, "resume", "task")
    fixed = [key for key in told if key not in free and key.partition(".")[0] != "executor" and differs(key)]
    if fixed:
        raise KvwError(
            f"{', '.join(fixed)}: expected a run to go on as it began; {', '.join(MAY_CHANGE)} and the executor can "
            "change; leave it out, or start a new run"
        )
    for key in ("resume", *MAY_CHANGE):
        if key in told:
            begun[key] = cfg[key]
    if composition.asked("executor") and cfg.executor["_target_"] != begun.executor["_target_"]:
        begun.executor = cfg.executor
    for key in told:
        if key.startswith("executor."):
            OmegaConf.update(begun, key, OmegaConf.select(cfg, key))
    problems = Problems()
    check_numbers(begun, problems)
    problems.raise_any()
    return begun


def check_same(record: store.Store, ready: Prepared) -> None:
    """Checks that what a run takes from outside of its folder is as it was, and says whether its numbers can be.

    Raises:
        KvwError: the stock voices or the synthesiser differ.
    """
    then, now = record.facts["bank"], digests(ready.bank)
    differing = sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))
    if differing:
        raise KvwError(
            f"voice_folder: expected the {len(then)} stock voices that this run began with; "
            f"{', '.join(differing[:5])} {'differs' if len(differing) == 1 else 'differ'} in "
            f"{ready.cfg.voices_folder}; bring them back, or start a new run"
        )
    synthesizer, _ = ready.settings.models()
    identity = record.facts["facts"]["synthesiser_identity"]
    if synthesizer.identity != identity:
        raise KvwError(
            f"synth: expected the synthesiser that this run began with, {identity}; got {synthesizer.identity}; bring "
            "its weights and its version of kvw back, or start a new run with starting_voice="
            f"{record.path.parent / 'best.pt'}"
        )
    differences = fingerprints.differences(record.facts["fingerprint"], ready.fingerprint())
    if differences:
        log.warning("The numbers of this run may differ in their last bits from here on: %s", "; ".join(differences))


def begin(ready: Prepared, folder: Path) -> store.Store:
    """Writes down what a run is, its record last: a folder with a record is a run."""
    cfg, settings = ready.cfg, ready.settings
    target = settings.inputs.target
    write_whole(folder / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True).encode())
    for number, wave in enumerate(target.clips, start=1):
        audio.write(folder / (f"target_{number}.wav" if len(target.clips) > 1 else "target.wav"), wave)
    for number, wave in enumerate(target.heldout, start=1):
        audio.write(folder / f"heldout_{number}.wav", wave)
    synthesizer, _ = settings.models()
    facts = {
        "synthesiser": synthesizer.name,
        "synthesiser_identity": synthesizer.identity,
        "target": target.name,
        "target_sha256": results.digest(np.concatenate(target.clips)),
        "strategy": strategy_name(),
        "seed": cfg.seed,
        "language": cfg.language.letter,
        "base_voices": list(settings.inputs.starting_bases),
        "synthetic": True,
        "versions": results.versions(),
    }
    scripts = settings.scripts()
    record = {
        "facts": facts,
        "config": plain(cfg),
        "choices": {group: word for group, word in HydraConfig.get().runtime.choices.items() if "/" not in group},
        "inputs": saved(settings.inputs),
        "bank": digests(ready.bank),
        "fingerprint": ready.fingerprint(),
        "texts": [script.text for script in scripts],
        "rows": [segment.row for script in scripts for segment in script.segments],
    }
    return store.Store.create(folder / folders.RECORD, record)


def search(ready: Prepared, heldout: HeldOut, folder: Path, record: store.Store) -> float:
    """Searches, from where ``record`` ends, and judges the result."""
    log_file = logging.FileHandler(folder / "kvw.log", encoding="utf-8", errors="backslashreplace")
    logging.getLogger("kvw").addHandler(log_file)
    cfg, inputs = ready.cfg, ready.settings.inputs
    synthesizer, _ = ready.settings.models()
    log.info("Synthesiser %s on %s; run folder %s", synthesizer.name, ready.settings.device, folder)
    ear, script = ready.settings.ear(cfg.seed), ready.settings.scripts()[0]
    improvements = results.Improvements(
        folder,
        Path(cfg.output_name).stem,
        inputs.target.name,
        record.facts["facts"],
        lambda voice: ear.speak([voice], script)[0],
    )
    record.heard_through(record.facts["rows"])
    ready.executor.memory = record
    progress = Progress(cfg.step_limit)
    try:
        result = searching.search(
            bank=ready.bank,
            executor=ready.executor,
            stages=ready.stages,
            rng=np.random.default_rng(cfg.seed),
            budget=Budget(cfg.step_limit, cfg.minutes, cfg.stop_score, cfg.patience),
            population_limit=cfg.population_limit,
            starting_voice=inputs.starting_voice,
            observers=[record, improvements, progress],
            record=record,
        )
        progress.close()
        return conclude(result, heldout, improvements, inputs, folder)
    except (KeyboardInterrupt, KvwError) as error:
        progress.close()
        what = "Interrupted" if isinstance(error, KeyboardInterrupt) else "Stopped"
        log.warning("%s; what was found so far is in %s; go on with: %s", what, folder, resume_command(folder))
        raise
    finally:
        progress.close()
        record.close()
        logging.getLogger("kvw").removeHandler(log_file)
        log_file.close()


def resume_command(folder: Path) -> str:
    """What to type to go on with a run."""
    return f"python -m kvw resume={shell(str(folder))}"


def digests(bank: Mapping[str, Voice]) -> dict[str, str]:
    """sha256 of each stock voice, by name."""
    return {name: voice_files.digest(voice) for name, voice in bank.items()}


def storage_needed(candidates: int, texts: int) -> int:
    """Bytes that a run may write: its record, and voices and audio of its improvements, of which a run has hundreds."""
    return 50_000_000 + candidates * texts * 4_000 + min(candidates, 200) * 1_100_000


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


def plan(ready: Prepared) -> float:
    """Logs what a search would do and what it would take, from two evaluations of the first stock voice."""
    cfg, bank, settings = ready.cfg, ready.bank, ready.settings
    voice = next(iter(bank.values()))
    seconds = []
    for gate in (OPEN, Gate(only="target"), OPEN):  # the first one warms caches up
        started = time.monotonic()
        ready.executor([voice], gate)
        seconds.append(time.monotonic() - started)
    _, stopped, complete = seconds
    ranking = len(bank) * stopped + min(cfg.population_limit, len(bank)) * complete
    candidates = cfg.step_limit + ready.uncounted
    steps = candidates * (stopped + SCORED_SHARE * (complete - stopped))
    synthesizer, _ = settings.models()
    log.info("Held-out: %s", settings.inputs.target.heldout_note)
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


def outputs() -> Path:
    """Where runs are; in a multirun the job's own folder."""
    return Path(HydraConfig.get().runtime.output_dir)


def run_folder(inputs: Inputs, seed: int) -> Path:
    """Makes the folder of this run: by date and time, or in its job's folder of a multirun."""
    name = f"{inputs.target.name}-{strategy_name()}-{seed}"
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        return results.new_folder(outputs(), name)
    now = datetime.datetime.now()
    return results.new_folder(outputs() / now.strftime("%Y-%m-%d"), f"{now.strftime('%H-%M-%S')}-{name}")


def strategy_name() -> str:
    """The word that chose the strategy, or the experiment of several."""
    return composition.chosen("experiment") or str(composition.chosen("strategy"))


def reseed(seed: int) -> None:
    """Seeds the global generators, which libraries use: several jobs of a sweep share one process."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - deap.cma draws from it
    torch.manual_seed(seed)

"""``task=search``: evolves a voice, from the config to the summary of the run."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from kvw.audio.checks import speaker_doubts
from kvw.audio.recordings import wave_digest
from kvw.audio.write import write_audio
from kvw.config.inputs import Inputs, read_inputs, saved_inputs
from kvw.config.nodes import build
from kvw.config.schema import plain
from kvw.config.stages import chosen
from kvw.errors import EXIT_TOO_MANY_FAILURES, KvwError
from kvw.evaluation import OPEN, Gate
from kvw.fitness.heldout import HeldOut
from kvw.observers.progress import SCORED_SHARE, Progress
from kvw.runs import folders
from kvw.runs.artifacts import Improvements
from kvw.runs.store import Store
from kvw.runtime.environment import versions
from kvw.runtime.files import check_free, write_whole
from kvw.runtime.log_handlers import RunLog
from kvw.search import loop
from kvw.search.budget import Budget
from kvw.search.observer import Observer
from kvw.tasks.conclude import conclude, forgiven
from kvw.tasks.prepare import Prepared, prepared
from kvw.tasks.report import report_of_run
from kvw.tasks.transcribe import transcribe
from kvw.text import duration, shell
from kvw.types import Voice
from kvw.voices.files import voice_digest

log = logging.getLogger(__name__)


def search(cfg: DictConfig) -> float:
    """Evolves a voice: see :func:`kvw.tasks.search.new_run`; or goes on with it: :func:`kvw.tasks.resume.resume`."""
    if cfg.resume:
        from kvw.tasks.resume import resume

        return resume(cfg)
    inputs = read_inputs(cfg)  # before torch is imported: most mistakes are found within a second
    if cfg.transcribe_start:
        transcribe(cfg, inputs.target)
        inputs = read_inputs(cfg, inputs.target)
    return new_run(cfg, inputs)


log = logging.getLogger(__name__)


def new_run(cfg: DictConfig, inputs: Inputs) -> float:
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
        for doubt in speaker_doubts(encoder, inputs.target.recordings):
            log.warning("%s", doubt)
        if cfg.dry_run:
            return plan(ready)
        heldout = ready.heldout()
        check_free(outputs(), storage_needed(cfg.step_limit + ready.uncounted, len(ready.scripts)))
        folder = run_folder(inputs, cfg.seed)
        with folders.held(folder), closing(begin(ready, folder)) as record:
            return run_search(ready, heldout, folder, record)


def begin(ready: Prepared, folder: Path) -> Store:
    """Writes down what a run is, its record last: a folder with a record is a run."""
    cfg, settings = ready.cfg, ready.settings
    target = settings.inputs.target
    write_whole(folder / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True).encode())
    for number, wave in enumerate(target.clips, start=1):
        write_audio(folder / (f"target_{number}.wav" if len(target.clips) > 1 else "target.wav"), wave)
    for number, wave in enumerate(target.heldout, start=1):
        write_audio(folder / f"heldout_{number}.wav", wave)
    synthesizer, _ = settings.models()
    facts = {
        "synthesiser": synthesizer.name,
        "synthesiser_identity": synthesizer.identity,
        "target": target.name,
        "target_sha256": wave_digest(np.concatenate(target.clips)),
        "strategy": strategy_name(),
        "seed": cfg.seed,
        "language": cfg.language.letter,
        "base_voices": list(settings.inputs.starting_bases),
        "synthetic": True,
        "versions": versions(),
    }
    record = {
        "facts": facts,
        "config": plain(cfg),
        "choices": {group: word for group, word in HydraConfig.get().runtime.choices.items() if "/" not in group},
        "inputs": saved_inputs(settings.inputs),
        "bank": digests(ready.bank),
        "fingerprint": ready.fingerprint(),
        "texts": [script.text for script in ready.scripts],
        "rows": ready.rows,
    }
    return Store.create(folder / folders.RECORD, record)


def run_search(ready: Prepared, heldout: HeldOut, folder: Path, record: Store) -> float:
    """Searches, from where ``record`` ends, and judges the result."""
    cfg, inputs = ready.cfg, ready.settings.inputs
    synthesizer, _ = ready.settings.models()
    ear, script = ready.settings.ear(cfg.seed), ready.scripts[0]
    improvements = Improvements(
        folder,
        Path(cfg.output_name).stem,
        inputs.target.name,
        record.facts["facts"],
        lambda voice: ear.speak([voice], script)[0],
    )
    observers: list[Observer] = [record, improvements]
    tracking = None
    if cfg.tracking:
        stem = Path(cfg.output_name).stem
        tracking = build(plain(cfg.tracking), "tracking", folder=folder, config=plain(cfg), stem=stem)
        observers.append(tracking)
    record.heard_through(ready.rows)
    progress, log_file = Progress(cfg.step_limit), RunLog(folder / "kvw.log")
    logging.getLogger("kvw").addHandler(log_file)
    try:
        log.info("Synthesiser %s on %s; run folder %s", synthesizer.name, ready.settings.device, folder)
        for name in (
            folders.RESULT,
            folders.SUMMARY,
            folders.REPORT,
        ):  # of a run that was done and goes on, which they do not know
            (folder / name).unlink(missing_ok=True)
        result = loop.search(
            bank=ready.bank,
            executor=ready.executor,
            stages=ready.stages,
            rng=np.random.default_rng(cfg.seed),
            budget=Budget(cfg.step_limit, cfg.minutes, cfg.stop_score, cfg.patience),
            population_limit=cfg.population_limit,
            starting_voice=inputs.starting_voice,
            observers=[*observers, progress],
            record=record,
            cache=record,
        )
        progress.close()
        score = conclude(result, heldout, improvements, inputs, folder)
        if cfg.report:
            with forgiven("no report; task=report makes one"):
                log.info("Report: %s", report_of_run(folder, cfg.judges and plain(cfg.judges)))
        return score
    except (KeyboardInterrupt, KvwError) as error:
        progress.close()
        if isinstance(error, KvwError) and error.code == EXIT_TOO_MANY_FAILURES:
            record.forget_failures()
        what = "Interrupted" if isinstance(error, KeyboardInterrupt) else "Stopped"
        log.warning("%s; what was found so far is in %s; go on with: %s", what, folder, resume_command(folder))
        raise
    finally:
        progress.close()
        if tracking:
            with forgiven("tracking"):
                tracking.close()
        logging.getLogger("kvw").removeHandler(log_file)
        log_file.close()


def resume_command(folder: Path) -> str:
    """What to type to go on with a run."""
    return f"python -m kvw resume={shell(str(folder))}"


def digests(bank: Mapping[str, Voice]) -> dict[str, str]:
    """sha256 of each stock voice, by name."""
    return {name: voice_digest(voice) for name, voice in bank.items()}


def storage_needed(candidates: int, texts: int) -> int:
    """Bytes that a run may write: its record, and voices and audio of its improvements, of which a run has hundreds."""
    return 50_000_000 + candidates * texts * 4_000 + min(candidates, 200) * 1_100_000


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


def outputs() -> Path:
    """Where runs are; in a multirun the job's own folder."""
    return Path(HydraConfig.get().runtime.output_dir)


def run_folder(inputs: Inputs, seed: int) -> Path:
    """Makes the folder of this run: by date and time, or in its job's folder of a multirun."""
    name = f"{inputs.target.name}-{strategy_name()}-{seed}"
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        return folders.new_folder(outputs(), name)
    now = datetime.datetime.now()
    return folders.new_folder(outputs() / now.strftime("%Y-%m-%d"), f"{now.strftime('%H-%M-%S')}-{name}")


def strategy_name() -> str:
    """The word that chose the strategy, or the experiment of several."""
    return chosen("experiment") or str(chosen("strategy"))

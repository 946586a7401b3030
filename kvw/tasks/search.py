"""``task=search``: evolves a voice, from the config to the summary of the run."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

from omegaconf import OmegaConf

from kvw.audio.write import write_audio
from kvw.config.inputs import Inputs, read_inputs, saved_inputs
from kvw.config.invocation import Invocation
from kvw.config.nodes import build
from kvw.config.schema import plain
from kvw.errors import EXIT_TOO_MANY_FAILURES, KvwError
from kvw.evaluation import OPEN, Gate, Pullback
from kvw.observers.progress import SCORED_SHARE, Progress
from kvw.runs import folders
from kvw.runs.artifacts import Improvements
from kvw.runs.store import Store
from kvw.runtime.files import check_free, write_whole
from kvw.runtime.log_handlers import RunLog
from kvw.search.observer import Observer
from kvw.search.ranking import shortlisted
from kvw.tasks.conclude import Outcome, conclude, forgiven, judge
from kvw.tasks.examine import Examiner
from kvw.tasks.predict import TargetGradients
from kvw.tasks.prepare import Prepared, new_search
from kvw.tasks.report import report_of_run
from kvw.tasks.transcribe import transcribe
from kvw.text import duration, shell
from kvw.types import Voice, Wave
from kvw.voices.files import voice_digest

log = logging.getLogger(__name__)


def search(invocation: Invocation) -> float:
    """Evolves a voice in a new run (:func:`new_run`), or resumes a run (:func:`kvw.tasks.resume.resume`).

    Returns:
        the best candidate's score, in [0, 100]; 0.0 for a dry run.
    """
    cfg = invocation.cfg
    if cfg.resume:
        from kvw.tasks.resume import resume

        return resume(invocation).best.evaluation.score
    inputs = read_inputs(cfg)  # before torch is imported: most mistakes are found within a second
    if cfg.transcribe_start:
        transcribe(invocation, inputs.target)
        inputs = read_inputs(cfg, inputs.target)
    outcome = new_run(invocation, inputs)
    return outcome.best.evaluation.score if outcome else 0.0


def new_run(invocation: Invocation, inputs: Inputs) -> Outcome | None:
    """Evolves a voice in a folder of its own.

    Returns:
        the outcome; None for a dry run.

    Raises:
        KvwError: bad input, before anything is written; or no candidate could be scored.
    """
    cfg = invocation.cfg
    with new_search(invocation, inputs) as ready:
        if cfg.dry_run:
            plan(ready)
            return None
        examiner = ready.examiner()
        check_free(invocation.folder, storage_needed(ready.limit + ready.uncounted, len(ready.scripts)))
        folder = run_folder(invocation, inputs.target.name)
        with folders.held(folder), closing(begin(ready, folder)) as record:
            return run_search(ready, examiner, folder, record)


def begin(ready: Prepared, folder: Path) -> Store:
    """Writes config, recordings and record of a new run; the record last, since a folder with a record is a run."""
    cfg, settings = ready.cfg, ready.settings
    target = settings.inputs.target
    write_whole(folder / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True).encode())
    for number, wave in enumerate(target.clips, start=1):
        write_audio(folder / (f"target_{number}.wav" if len(target.clips) > 1 else "target.wav"), wave)
    for number, wave in enumerate(target.heldout, start=1):
        write_audio(folder / f"heldout_{number}.wav", wave)
    record = {
        "provenance": ready.provenance(),
        "config": plain(cfg),
        "choices": {group: name for group, name in ready.invocation.choices.items() if "/" not in group},
        "inputs": saved_inputs(settings.inputs),
        "bank": digests(ready.bank),
        "fingerprint": ready.fingerprint(),
        "texts": [script.text for script in ready.scripts],
        "segments": [[[part.text, part.phonemes] for part in script.segments] for script in ready.scripts],
        "identity_on_device": settings.listener(cfg.seed).identity_on_device,
        "rows": ready.rows,
    }
    return Store.create(folder / folders.RECORD, record)


def run_search(ready: Prepared, examiner: Examiner, folder: Path, record: Store) -> Outcome:
    """Searches in a run's folder, from where ``record`` ends, and judges the result.

    Raises:
        KvwError: the search can't go on; what was found is in the folder, and the log says how to resume.
    """
    cfg, inputs = ready.cfg, ready.settings.inputs
    synthesizer, _ = ready.settings.models()
    listener, script = ready.settings.listener(cfg.seed), ready.scripts[0]

    def speak(voice: Voice) -> Wave:
        return listener.speak([voice], script)[0]

    improvements = Improvements(
        folder,
        Path(cfg.output_name).stem,
        inputs.target.name,
        record.facts["provenance"],
        speak,
        cfg.keep == "all",
    )
    ready.listener.begin(folder, speak)
    observers: list[Observer] = [record, improvements]
    tracking = None
    if cfg.tracking:
        stem = Path(cfg.output_name).stem
        tracking = build(plain(cfg.tracking), "tracking", folder=folder, config=plain(cfg), stem=stem)
        observers.append(tracking)
    record.heard_through(ready.rows)
    progress, log_file = Progress(ready.limit), RunLog(folder / "kvw.log")
    logging.getLogger("kvw").addHandler(log_file)
    try:
        log.info("Synthesiser %s on %s; run folder %s", synthesizer.name, ready.settings.device, folder)
        for name in (folders.RESULT, folders.SUMMARY, folders.REPORT):  # of a finished run that is resumed
            (folder / name).unlink(missing_ok=True)
        result = ready.search([*observers, progress], record, cache=record)
        progress.close()
        outcome = judge(result, examiner, improvements.facts, folder)
        conclude(outcome, examiner, improvements, inputs)
        if cfg.report:
            with forgiven("no report; task=report makes one"):
                log.info("Report: %s", report_of_run(folder, cfg.judges and plain(cfg.judges)))
        return outcome
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
    """The command that resumes a run."""
    return f"python -m kvw resume={shell(str(folder))}"


def digests(bank: Mapping[str, Voice]) -> dict[str, str]:
    """sha256 of each stock voice, by name."""
    return {name: voice_digest(voice) for name, voice in bank.items()}


def storage_needed(candidates: int, texts: int) -> int:
    """Bytes that a run may write: its record, and voices and audio of its improvements (hundreds at most)."""
    return 50_000_000 + candidates * texts * 4_000 + min(candidates, 200) * 1_100_000


def plan(ready: Prepared) -> None:
    """Logs the plan of a search and the time it would take, estimated from evaluations of some stock voices at once."""
    cfg, bank, settings = ready.cfg, ready.bank, ready.settings
    listed = shortlisted(len(bank), cfg.population_limit, cfg.shortlist)
    probed = 0 if ready.atlas.here or listed == len(bank) else len(bank)
    pullbacks = sum(stage.pullbacks for stage in ready.stages)
    gates = {"probe": Gate(only="probe")} if probed else {}
    gates |= {"target": Gate(only="target"), "complete": OPEN}
    if pullbacks:
        gates["gradient"] = replace(OPEN, pullback=Pullback(0, 0, tuple(TargetGradients(settings).target.tolist())))
    voices = list(islice(cycle(bank.values()), ready.executor.batch))
    ready.executor(voices, OPEN)  # warms caches up
    seconds = {}
    for name, gate in gates.items():
        started = time.monotonic()
        ready.executor(voices, gate)
        seconds[name] = (time.monotonic() - started) / len(voices)
    rest = max(0.0, seconds["complete"] - seconds["target"])
    ranking = probed * seconds.get("probe", 0.0) + listed * seconds["target"]
    ranking += min(cfg.population_limit, len(bank)) * rest
    candidates = ready.limit + ready.uncounted
    pullbacks = min(pullbacks, candidates)
    steps = (candidates - pullbacks) * (seconds["target"] + SCORED_SHARE * rest)
    steps += pullbacks * seconds.get("gradient", 0.0)
    synthesizer, _ = settings.models()
    log.info("Held-out: %s", settings.inputs.target.heldout_note)
    log.info("Synthesiser: %s on %s", synthesizer.name, settings.device)
    log.info("Ranking: %d stock voices, about %s", len(bank), duration(ranking))
    log.info("Search: %s, up to %d candidates, about %s", ready.invocation.strategy, candidates, duration(steps))
    log.info("No search was run: dry_run=true")


def run_folder(invocation: Invocation, target: str) -> Path:
    """Makes the folder of a new run: named by date and time, or in a sweep below the job's own folder."""
    name = f"{target}-{invocation.strategy}-{invocation.cfg.seed}"
    if invocation.multirun:
        return folders.new_folder(invocation.folder, name)
    now = datetime.datetime.now()
    return folders.new_folder(invocation.folder / now.strftime("%Y-%m-%d"), f"{now.strftime('%H-%M-%S')}-{name}")

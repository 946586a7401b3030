"""One search, from checked inputs to its summary. Importing this module imports torch and librosa: it takes seconds."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from kvw import audio, composition, quality, report, results, said, store
from kvw import folder as folders
from kvw import search as searching
from kvw import voices as voice_files
from kvw.archive import Entry
from kvw.config import build, plain
from kvw.disk import check_free, write_whole
from kvw.gate import OPEN, Gate
from kvw.heldout import HeldOut
from kvw.inputs import Inputs, saved
from kvw.log import RunLog
from kvw.manual import shell
from kvw.prepare import Prepared, prepared
from kvw.progress import SCORED_SHARE, Progress, duration
from kvw.search import Budget, Observer, Result
from kvw.types import EXIT_TOO_MANY_FAILURES, KvwError, Voice, Wave
from kvw.versions import versions

log = logging.getLogger(__name__)


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
        check_free(outputs(), storage_needed(cfg.step_limit + ready.uncounted, len(ready.scripts)))
        folder = run_folder(inputs, cfg.seed)
        with folders.held(folder), closing(begin(ready, folder)) as record:
            return search(ready, heldout, folder, record)


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
        "versions": versions(),
    }
    record = {
        "facts": facts,
        "config": plain(cfg),
        "choices": {group: word for group, word in HydraConfig.get().runtime.choices.items() if "/" not in group},
        "inputs": saved(settings.inputs),
        "bank": digests(ready.bank),
        "fingerprint": ready.fingerprint(),
        "texts": [script.text for script in ready.scripts],
        "rows": ready.rows,
    }
    return store.Store.create(folder / folders.RECORD, record)


def search(ready: Prepared, heldout: HeldOut, folder: Path, record: store.Store) -> float:
    """Searches, from where ``record`` ends, and judges the result."""
    cfg, inputs = ready.cfg, ready.settings.inputs
    synthesizer, _ = ready.settings.models()
    ear, script = ready.settings.ear(cfg.seed), ready.scripts[0]
    improvements = results.Improvements(
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
    ready.executor.memory = record
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
        result = searching.search(
            bank=ready.bank,
            executor=ready.executor,
            stages=ready.stages,
            rng=np.random.default_rng(cfg.seed),
            budget=Budget(cfg.step_limit, cfg.minutes, cfg.stop_score, cfg.patience),
            population_limit=cfg.population_limit,
            starting_voice=inputs.starting_voice,
            observers=[*observers, progress],
            record=record,
        )
        progress.close()
        score = conclude(result, heldout, improvements, inputs, folder)
        if cfg.report:
            with forgiven("no report; task=report makes one"):
                log.info("Report: %s", report.of_run(folder, cfg.judges and plain(cfg.judges)))
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
    return {name: voice_files.digest(voice) for name, voice in bank.items()}


def storage_needed(candidates: int, texts: int) -> int:
    """Bytes that a run may write: its record, and voices and audio of its improvements, of which a run has hundreds."""
    return 50_000_000 + candidates * texts * 4_000 + min(candidates, 200) * 1_100_000


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
    waves: dict[int, list[Wave | None]] = {}
    for label, entry in rows.items():
        if entry.step not in by_step:  # the start may be the result
            heard = heldout.hear(entry.voice)
            by_step[entry.step] = [similarity for similarity, _ in heard]
            waves[entry.step] = [wave for _, wave in heard]
            log.info("  %s: %.3f", label, np.mean(by_step[entry.step]))
    judged = {label: by_step[entry.step] for label, entry in rows.items()}
    improvements.save(best, "best", heldout=float(np.mean(by_step[best.step])))
    entries = {"stock": result.baseline, "start": result.start, "best": best}
    with forgiven("what the voices say is not kept for a report"):
        spoken = {role: entry for role, entry in entries.items() if entry}
        first = {role: speech(entry, improvements) for role, entry in spoken.items() if role != "best"}  # best.wav
        said.keep(folder, {role: [first.get(role), *waves[entry.step]] for role, entry in spoken.items()})
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
    write_whole(folder / folders.SUMMARY, f"{text}\n".encode())
    write_whole(folder / folders.RESULT, results.report(result, judged, improvements.facts).encode())
    log.info("\n%s", text)
    return best.evaluation.score


def speech(entry: Entry, improvements: results.Improvements) -> Wave | None:
    """The voice speaking the target text; None of a candidate that could not be scored."""
    return None if entry.evaluation.failed else improvements.speak(entry.voice)


@contextmanager
def forgiven(what: str) -> Iterator[None]:
    """Says in one line what goes wrong within: a finished run is not lost over what can be made later."""
    try:
        yield
    except Exception as error:  # a full disk, a plugin, a figure
        log.warning("%s: %s", what, " ".join(f"{type(error).__name__}: {error}".split())[:300])


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
        return results.new_folder(outputs(), name)
    now = datetime.datetime.now()
    return results.new_folder(outputs() / now.strftime("%Y-%m-%d"), f"{now.strftime('%H-%M-%S')}-{name}")


def strategy_name() -> str:
    """The word that chose the strategy, or the experiment of several."""
    return composition.chosen("experiment") or str(composition.chosen("strategy"))

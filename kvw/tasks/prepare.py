"""Before a search: checks the settings, rehearses the strategies, loads the stock voices and the models."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig

from kvw.audio.checks import speaker_doubts
from kvw.audio.target import wave_digest
from kvw.config.fitness import FitnessSpec, model_digest, prior_of, settled
from kvw.config.inputs import Inputs
from kvw.config.invocation import Invocation
from kvw.config.nodes import build, maker
from kvw.config.problems import Problems
from kvw.config.saved import restored_config
from kvw.config.schema import plain
from kvw.config.stages import make_stages, stage_nodes
from kvw.errors import KvwError
from kvw.evaluation import Evaluation, Executor, UtteranceCache
from kvw.fitness.heldout import HeldOut
from kvw.fitness.utterances import DictCache
from kvw.runtime.environment import fingerprint, pick_device, versions
from kvw.runtime.workers import limit_threads
from kvw.search import loop
from kvw.search.archive import Entry
from kvw.search.budget import Budget
from kvw.search.loop import SearchResult
from kvw.search.observer import Observer, Record
from kvw.search.stage import SearchStage
from kvw.search.state import freeze, state_dict
from kvw.search.strategy import Finished
from kvw.speech import select
from kvw.speech.kokoro.sources import PACKAGES
from kvw.speech.synthesizer import Script
from kvw.tasks.bank import has_own_bank, load_bank_for
from kvw.tasks.examine import Examiner
from kvw.tasks.listen import AtKeyboard
from kvw.tasks.predict import Atlas, TargetGradients
from kvw.tasks.report import jury_of
from kvw.types import Voice

log = logging.getLogger(__name__)

HELDOUT_SEED = 1_000_003
"""Added to the seed for held-out audio: its noise is not the noise that the search heard."""


@dataclass(frozen=True)
class Prepared:
    """A search whose settings have been checked and whose models are loaded.

    Attributes:
        invocation: of the search; its config has the synthesiser and the stages that were chosen, and ``stages`` is
            never empty.
        stages: made of that config, and rehearsed.
        bank: the stock voices by name.
        settings: everything that the fitness is made of.
        executor: with its models loaded.
        atlas: predicts voices for the target.
        listener: who is asked by strategies that ask.
    """

    invocation: Invocation
    stages: list[SearchStage]
    bank: dict[str, Voice]
    settings: FitnessSpec
    executor: Executor
    atlas: Atlas
    listener: AtKeyboard

    @property
    def cfg(self) -> DictConfig:
        """The config."""
        return self.invocation.cfg

    @cached_property
    def scripts(self) -> tuple[Script, ...]:
        """The texts that voices are scored on, first the target text."""
        return self.settings.scripts()

    @property
    def rows(self) -> list[int]:
        """The rows of a voice, in [0, 509], that the scored texts are heard through."""
        return [segment.row for script in self.scripts for segment in script.segments]

    @property
    def uncounted(self) -> int:
        """How many candidates of the search count against no limit."""
        return sum(stage.total or 0 for stage in self.stages)

    @property
    def limit(self) -> int:
        """Most candidates that count: fewer than ``step_limit`` where every strategy ends by itself before that."""
        limits = [stage.limit for stage in self.stages if stage.total is None]
        own = sum(limit for limit in limits if limit is not None)
        return int(self.cfg.step_limit) if None in limits else min(self.cfg.step_limit, own)

    def examiner(self) -> Examiner:
        """Measures voices on held-out texts and audio.

        Raises:
            KvwError: a held-out text can't be pronounced, or no speech is heard in the held-out audio.
        """
        inputs, jury = self.settings.inputs, jury_of(self.cfg.judges and plain(self.cfg.judges))
        listener = self.settings.listener(self.cfg.seed + HELDOUT_SEED)
        heldout = HeldOut(listener, inputs.heldout_texts, inputs.target.heldout, inputs.target.judged)
        return Examiner(heldout, inputs.heldout_texts, jury, self.settings.language, self.settings.encoders)

    def search(
        self, observers: Sequence[Observer] = (), record: Record | None = None, cache: UtteranceCache | None = None
    ) -> SearchResult:
        """Searches: see :func:`kvw.search.loop.search`.

        Raises:
            KvwError: no stock voice could be scored, too many candidates failed, or a strategy breaks its contract.
        """
        cfg = self.cfg
        return loop.search(
            bank=self.bank,
            executor=self.executor,
            stages=self.stages,
            rng=np.random.default_rng(cfg.seed),
            budget=Budget(cfg.step_limit, cfg.minutes, cfg.stop_score, cfg.patience),
            population_limit=cfg.population_limit,
            shortlist=cfg.shortlist,
            likeness=self.atlas.of_bank,
            start_voices=cfg.start_voices,
            starting_voice=self.settings.inputs.starting_voice,
            observers=observers,
            record=record,
            cache=DictCache() if cache is None else cache,
        )

    def provenance(self) -> dict[str, Any]:
        """Where a voice of this search comes from, as JSON values: synthesiser, target, strategy, seed, ..."""
        inputs, cfg = self.settings.inputs, self.cfg
        synthesizer, _ = self.settings.models()
        return {
            "synthesiser": synthesizer.name,
            "synthesiser_identity": synthesizer.identity,
            "encoders": self.settings.encoders,
            "target": inputs.target.name,
            "target_sha256": wave_digest(np.concatenate(inputs.target.clips)),
            "strategy": self.invocation.strategy,
            "seed": cfg.seed,
            "language": cfg.language.letter,
            "base_voices": list(inputs.starting_bases),
            "synthetic": True,
            "versions": versions(),
        }

    def fingerprint(self) -> dict[str, str]:
        """The versions, kernels and settings that the last bits of the results depend on, by name."""
        nodes = [plain(self.cfg[key]) for key in ("stages", "fitness", "synth")]
        own = fingerprint(self.settings.device, self.executor.batch, nodes)
        if digest := model_digest(self.settings.fitness, self.settings.language):
            own["model of fitness.weights.words"] = digest
        if self.atlas.here:
            own["atlas"] = self.atlas.digest
        return own | getattr(self.executor, "fingerprint", {})  # of those that evaluate, where that is elsewhere


@contextmanager
def prepared(invocation: Invocation, inputs: Inputs) -> Iterator[Prepared]:
    """Checks the settings of a search, and loads its models.

    Raises:
        KvwError: bad input; nothing has been written.
    """
    cfg = invocation.cfg
    problems = Problems()
    device = problems.attempt(pick_device, cfg.device)
    nodes = problems.attempt(stage_nodes, invocation)
    where = "stages" if cfg.stages else ""
    problems.attempt(make_stages, nodes or {}, where)
    problems.attempt(maker, plain(cfg.fitness), "fitness")
    for key in ("judges", "tracking"):
        if cfg[key]:
            problems.attempt(maker, plain(cfg[key]), key)
    make_executor = problems.attempt(maker, plain(cfg.executor), "executor")
    # of the executor, here already: the target, whose last bits depend on it too, is embedded before that is made
    problems.attempt(limit_threads, plain(cfg.executor).get("threads", 1))
    lacks = cfg.shortlist is not None and not plain(cfg.fitness).get("probe_text")
    problems.expect(not lacks, "shortlist: expected null, as fitness.probe_text gives no short text; give both")
    problems.raise_any()

    reseed(cfg.seed)
    synth = synth_node(cfg)
    bank = load_bank_for(cfg, synth, inputs)
    prior = prior_of(bank.values(), plain(cfg.fitness))
    settings = FitnessSpec(synth, plain(cfg.fitness), device, cfg.language.letter, cfg.seed, inputs, prior)
    atlas = Atlas(cfg.atlas.file, settings.models, inputs.target)
    listener = AtKeyboard()
    stages = make_stages(nodes, where, predictor=atlas, gradients=TargetGradients(settings), listener=listener)
    stages = rehearse(stages, list(bank.values()), cfg.population_limit)
    check_limits(stages, cfg.step_limit)
    log.info("Loading the models")
    files = {key: absolute(synth[key]) for key in ("model", "config") if synth.get(key) not in (None, "", PACKAGES)}
    chosen = {**plain(cfg), "synth": {**synth, **files}, "stages": nodes, "interpolate_start": False}
    if not has_own_bank(cfg, synth):
        chosen["voice_folder"] = chosen["voices_folder"] = absolute(cfg.voices_folder)
    if cfg.atlas.file:
        chosen["atlas"] = {**chosen["atlas"], "file": absolute(cfg.atlas.file)}
    executor = make_executor(fitness=settings)
    try:
        made = replace(invocation, cfg=restored_config(chosen))
        yield Prepared(made, stages, bank, settings, executor, atlas, listener)
    finally:
        executor.close()


def synth_node(cfg: DictConfig) -> dict[str, Any]:
    """The config node of the synthesiser that ``synth`` chooses, which it says where that is automatic."""
    node: dict[str, Any] = plain(cfg.synth)
    if node["_target_"] == select.AUTOMATIC:
        node = build(node, "synth", voice_folder=Path(cfg.voices_folder))
    return node


@contextmanager
def new_search(invocation: Invocation, inputs: Inputs) -> Iterator[Prepared]:
    """As :func:`prepared`, for a search that begins: the fitness leaves out what it lacks a model for.

    It also logs what the user should know of the target.

    Raises:
        KvwError: as :func:`prepared`.
    """
    cfg = invocation.cfg.copy()
    cfg.fitness = settled(cfg.fitness, cfg.language.letter)
    invocation = replace(invocation, cfg=cfg)
    log.info("Target: %s", inputs.target.summary)
    for note in inputs.notes:
        log.warning("%s", note)
    with prepared(invocation, inputs) as ready:
        _, encoder = ready.settings.models()
        for doubt in speaker_doubts(encoder, inputs.target.recordings):
            log.warning("%s", doubt)
        yield ready


def absolute(path: str) -> str:
    """An absolute path: a run may be resumed from another working directory."""
    return str(Path(path).absolute())


def rehearse(stages: Sequence[SearchStage], bank: list[Voice], limit: int) -> list[SearchStage]:
    """Makes each stage's space, strategy and first generation once, with unranked voices.

    A wrong setting or plugin shows before the ranking, which takes minutes, not after it.

    Returns:
        the stages, with what their strategies say of how many candidates they have.

    Raises:
        KvwError: a setting is out of its range, or a strategy breaks its contract.
    """
    known = Evaluation("complete", 50.0, 0.5, {"target": 0.5, "self": 0.5, "feature": 0.5})
    top = [Entry("", voice, known) for voice in bank[:limit]]
    rehearsed = []
    for stage in stages:
        space, _, strategy = stage.make(bank, top, bank[0], np.random.default_rng(0))
        with suppress(Finished):
            stage.generate(strategy, space.dim)
        stage.attempt(freeze, stage.attempt(state_dict, strategy))
        said = {name: getattr(strategy, name) for name in ("total", "most", "pullbacks") if hasattr(strategy, name)}
        rehearsed.append(replace(stage, **said))
    return rehearsed


def check_limits(stages: Sequence[SearchStage], step_limit: int) -> None:
    """Checks that every stage of a search comes to an end.

    Args:
        stages: of the search, rehearsed.
        step_limit: of the search.

    Raises:
        KvwError: a stage has a follower, but neither a number of candidates nor a limit.
    """
    spent = 0
    for stage in stages[:-1]:
        if stage.total is None and stage.limit is None:
            raise KvwError(
                f"{stage.name}: expected a step_limit, since another strategy follows and it never ends by itself; "
                f"give strategy.step_limit, or stages.{stage.name}.step_limit in an experiment"
            )
        spent += 0 if stage.total is not None else stage.limit or 0
    if spent >= step_limit:
        log.warning("step_limit %d is spent before the last stage, %s, has its turn", step_limit, stages[-1].name)


def reseed(seed: int) -> None:
    """Seeds the global random generators, which libraries use; several jobs of a sweep share one process."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - deap.cma draws from it
    torch.manual_seed(seed)

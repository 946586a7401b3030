"""Resumes a run from its folder alone."""

from __future__ import annotations

import logging
from contextlib import ExitStack, closing
from dataclasses import replace

from omegaconf import DictConfig, OmegaConf

from kvw.config.inputs import check_numbers, restored_inputs
from kvw.config.invocation import Invocation
from kvw.config.problems import Problems
from kvw.config.saved import restored_config
from kvw.errors import KvwError
from kvw.runs import folders
from kvw.runs.schema import guard_types
from kvw.runs.store import Store
from kvw.runtime.environment import differences
from kvw.tasks.conclude import Outcome
from kvw.tasks.prepare import Prepared, prepared
from kvw.tasks.search import digests, run_search

log = logging.getLogger(__name__)

MAY_CHANGE = ("step_limit", "minutes", "stop_score", "patience", "keep", "report", "debug")
"""Keys that may differ where a run goes on, beside those of :data:`GROUPS`: none changes what is evaluated."""

GROUPS = ("executor", "judges", "tracking")
"""Groups that may differ, with their settings."""

PLACES = ("voice_folder", "voices_folder", "synth.model", "synth.config")
"""Keys that may differ too, since what is there is checked: files lie elsewhere on another machine."""


def resume(invocation: Invocation) -> Outcome:
    """Resumes the run that the key ``resume`` names, with its own config and inputs, as if it had never stopped.

    Args:
        invocation: of whose config the budgets and :data:`GROUPS` count, where the command line names them.

    Raises:
        KvwError: there is no such run, another process works on it, its record is damaged, or the command line changes
            a key that can't change.
    """
    if invocation.multirun:
        raise KvwError("resume: expected one run; -m is for new ones; leave it out, and go on with one after the other")
    folder = folders.named(invocation.cfg.resume, invocation.outputs)
    with folders.held(folder), closing(Store(folder / folders.RECORD)) as record, ExitStack() as stack:
        with guard_types(record.path, "what the run is"):
            begun, inputs = changed(record, invocation), restored_inputs(record.facts["inputs"])
            ready = stack.enter_context(prepared(replace(invocation, cfg=begun), inputs))
            check_same(record, ready)
            examiner = ready.examiner()
        return run_search(ready, examiner, folder, record)


def changed(record: Store, invocation: Invocation) -> DictConfig:
    """The saved config of a run with the keys that the command line changes.

    Raises:
        KvwError: the command line changes a key that can't change.
    """
    cfg = invocation.cfg
    begun, choices = restored_config(record.facts["config"]), record.facts["choices"]

    def differs(key: str) -> bool:
        if key in choices and choices[key] == invocation.choices.get(key):
            return False
        return bool(OmegaConf.select(cfg, key) != OmegaConf.select(begun, key))

    told = invocation.keys
    free = (*MAY_CHANGE, *PLACES, "resume", "task")
    fixed = [key for key in told if key not in free and key.partition(".")[0] not in GROUPS and differs(key)]
    if fixed:
        raise KvwError(
            f"{', '.join(fixed)}: expected a run to go on as it began; {', '.join((*MAY_CHANGE, *GROUPS))}, and where "
            "voices and weights lie, can change; leave it out, or start a new run"
        )
    for key in ("resume", *MAY_CHANGE, *PLACES):
        if key in told:
            OmegaConf.update(begun, key, OmegaConf.select(cfg, key))
    if "voice_folder" in told:
        begun.voices_folder = cfg.voices_folder
    for group in GROUPS:
        if invocation.asked(group) and invocation.choices.get(group) != choices.get(group):
            begun[group] = cfg[group]
    for key in told:
        if "." in key and key.partition(".")[0] in GROUPS:
            OmegaConf.update(begun, key, OmegaConf.select(cfg, key))
    problems = Problems()
    check_numbers(begun, problems)
    problems.raise_any()
    return begun


def check_same(record: Store, ready: Prepared) -> None:
    """Checks that stock voices and synthesiser are those that the run began with; logs what else differs.

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
    provenance = record.facts["provenance"]
    if not all(isinstance(name, str) for name in provenance["base_voices"]):
        raise TypeError("base_voices are not names")
    identity = provenance["synthesiser_identity"]
    if synthesizer.identity != identity:
        raise KvwError(
            f"synth: expected the synthesiser that this run began with, {identity}; got {synthesizer.identity}; bring "
            "its weights and its version of kvw back, or start a new run with starting_voice="
            f"{record.path.parent / 'best.pt'}"
        )
    others = differences(record.facts["fingerprint"], ready.fingerprint())
    if others:
        log.warning("The numbers of this run may differ in their last bits from here on: %s", "; ".join(others))

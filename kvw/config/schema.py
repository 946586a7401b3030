"""The types of the config's own keys, and config nodes as plain Python values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import ListConfig, OmegaConf


@dataclass
class Config:
    """Types of the config's own keys; ``conf/kvw.yaml`` has their defaults and meanings.

    The groups are free here: the signature of what a node's ``_target_`` names is that node's schema.
    """

    task: Any
    space: Any
    synth: Any
    fitness: Any
    executor: Any
    transcriber: Any
    language: Any
    other_text: str
    voice_folder: str
    voices_folder: str
    output_name: str
    texts_folder: str
    device: str
    population_limit: int
    step_limit: int
    seed: int
    interpolate_start: bool
    transcribe_start: bool
    transcribe_many: bool
    export_bin: bool
    dry_run: bool
    debug: bool
    strategy: Any = field(default_factory=lambda: {"then": None, "step_limit": None})
    stages: Any = None
    experiment: Any = None
    judges: Any = None
    atlas: Any = field(default_factory=lambda: {"file": None, "samples": 2000, "runs": False})
    tracking: Any = None
    keep: str = "all"
    report: bool = True
    target_audio: Any = None
    target_text: str | None = None
    test_voice: Any = None
    starting_voice: str | None = None
    resume: str | None = None
    run: Any = None
    heldout_audio: Any = None
    heldout_texts: str | None = None
    heldout_characters: int | None = None
    other_texts: str | None = None
    minutes: float | None = None
    stop_score: float | None = None
    patience: int | None = None
    shortlist: int | None = None
    start_voices: int | None = None


def plain(node: Any) -> Any:
    """A config node as resolved dicts, lists and scalars."""
    return OmegaConf.to_container(node, resolve=True)


def several(value: Any) -> list[Any]:
    """The values of a key that takes one or a list of them."""
    if isinstance(value, ListConfig):
        return list(plain(value))
    return list(value) if isinstance(value, list) else [value]

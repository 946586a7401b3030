"""The stock voices that belong to the synthesiser of a search."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from kvw.config.inputs import Inputs
from kvw.errors import KvwError
from kvw.speech import select
from kvw.speech.kokoro import sources
from kvw.types import EMBEDDED, KOKORO, Voice
from kvw.voices.files import load_bank, single_files, synthesizer_of
from kvw.voices.stock import stock_voices

log = logging.getLogger(__name__)


def load_bank_for(cfg: DictConfig, synth: dict[str, Any], inputs: Inputs) -> dict[str, Voice]:
    """The stock voices of :func:`load_bank_of`, for a search.

    Raises:
        KvwError: as there; or the starting voice is another synthesiser's.
    """
    bank, wanted = load_bank_of(cfg, synth), owner(synth)
    if inputs.starting_voice is not None and inputs.starting_synthesizer != wanted:
        raise KvwError(
            f"starting_voice: expected a voice of the {wanted} synthesiser; {cfg.starting_voice} is "
            f"{inputs.starting_synthesizer}'s; give synth={inputs.starting_synthesizer}, or another voice"
        )
    if cfg.population_limit > len(bank):
        log.warning("population_limit is %d, the stock voices are %d: all are used", cfg.population_limit, len(bank))
    return bank


def load_bank_of(cfg: DictConfig, synth: dict[str, Any]) -> dict[str, Voice]:
    """The stock voices that belong to the synthesiser.

    ``voice_folder`` is Kokoro's unless it holds embedded voices. Where the default folder holds none, kvw's own bank of
    the synthesiser serves: that of Kokoro v1.0 is compressed.

    Raises:
        KvwError: there are no voices, or they are another synthesiser's or another model's.
    """
    folder, wanted = Path(cfg.voices_folder), owner(synth)
    if has_own_bank(cfg, synth) and wanted == EMBEDDED:
        bank = select.embedded_voices()
    elif has_own_bank(cfg, synth):
        files = sources.find(synth.get("model"), synth.get("config"))
        if files and sources.is_chinese(sources.read_config(files.config)):
            raise KvwError(
                "voice_folder: expected the stock voices of Kokoro v1.1-zh, since the weights are; got none, and kvw "
                "carries those of v1.0 alone; give voice_folder=FOLDER"
            )
        log.info("The stock voices are kvw's own compressed copies; python -m kvw task=voices fetches the originals")
        bank = stock_voices()
    else:
        loaded = load_bank(folder)
        if loaded.synthesizer != wanted:
            raise KvwError(
                f"voice_folder: expected voices of the {wanted} synthesiser; {folder} holds {loaded.synthesizer}'s; "
                f"give synth={loaded.synthesizer}, or another voice_folder"
            )
        bank = loaded.voices
    return bank


def owner(synth: Mapping[str, Any]) -> str:
    """Name of the synthesiser that a config node stands for: ``kokoro`` or ``embedded``."""
    return EMBEDDED if synth["_target_"] == select.EMBEDDED else KOKORO


def has_own_bank(cfg: DictConfig, synth: Mapping[str, Any]) -> bool:
    """Whether the stock voices are those that kvw carries for the synthesiser, in no folder."""
    folder = Path(cfg.voices_folder)
    if folder != Path("voices") or folder.is_file():
        return False
    present = single_files(folder)
    return not present or (owner(synth) == EMBEDDED and synthesizer_of(present[0]) != EMBEDDED)

"""What ``task=`` can name. A task wires parts together and calls one function; it takes the config, returns a float."""

from __future__ import annotations

import logging
from pathlib import Path

from omegaconf import DictConfig

from kvw import hub
from kvw.inputs import read_inputs
from kvw.types import EXIT_ITEMS_FAILED, KvwError

log = logging.getLogger(__name__)


def voices(cfg: DictConfig) -> float:
    """Fetches Kokoro's stock voices into ``voice_folder``.

    Returns:
        how many are there.

    Raises:
        KvwError: the hub can't be reached, or some voices failed.
    """
    folder = Path(cfg.voices_folder)
    present, failed = hub.fetch_voices(folder)
    if failed:
        raise KvwError(
            f"{len(failed)} of {present + len(failed)} voices failed: {', '.join(failed)}; run it again to go on",
            EXIT_ITEMS_FAILED,
        )
    log.info("%d stock voices are in %s", present, folder)
    return float(present)


def search(cfg: DictConfig) -> float:
    """Evolves a voice: see :func:`kvw.run.run`."""
    inputs = read_inputs(cfg)  # before torch is imported: most mistakes are found within a second
    from kvw.run import run

    return run(cfg, inputs)

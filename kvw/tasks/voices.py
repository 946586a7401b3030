"""``task=voices``: downloads Kokoro's stock voices."""

from __future__ import annotations

import logging
from pathlib import Path

from kvw.config.invocation import Invocation
from kvw.errors import some_failed
from kvw.voices.download import fetch_voices

log = logging.getLogger(__name__)


def voices(invocation: Invocation) -> float:
    """Fetches Kokoro's stock voices into ``voice_folder``.

    Returns:
        how many are there.

    Raises:
        KvwError: the hub can't be reached, or some voices failed.
    """
    folder = Path(invocation.cfg.voices_folder)
    present, failed = fetch_voices(folder)
    if failed:
        raise some_failed(failed, present + len(failed), "voices", "; run it again to go on")
    log.info("%d stock voices are in %s", present, folder)
    return float(present)

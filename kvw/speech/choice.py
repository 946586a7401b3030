"""``synth=auto``: Kokoro where its weights and voices are at hand or can be had, else the embedded synthesiser."""

from __future__ import annotations

import logging
from pathlib import Path

from kvw import hub

log = logging.getLogger(__name__)

KOKORO = "kvw.speech.kokoro.KokoroSynthesizer"
EMBEDDED = "kvw.speech.embedded.EmbeddedSynthesizer"


def automatic(*, voice_folder: Path, model: str | None = None, config: str | None = None) -> dict[str, object]:
    """The config node of the synthesiser to use; what is missing, and how to get it, is logged.

    Args:
        voice_folder: where Kokoro's stock voices are, or belong.
        model: path of Kokoro's weights; null looks in the hub's cache.
        config: path of their configuration; null looks in the hub's cache.

    Raises:
        KvwError: the hub answers, but what is missing can't be fetched from it.
    """
    missing = []
    if not (model or hub.find(hub.MODEL)) or not (config or hub.find(hub.CONFIG)):
        missing.append("Kokoro's weights")
    if not any(voice_folder.glob("*.pt")):
        missing.append(f"its stock voices in {voice_folder}")
    kokoro: dict[str, object] = {"_target_": KOKORO, "model": model, "config": config}
    if not missing:
        return kokoro
    if hub.reachable():
        log.info("Fetching %s from the hub, once (about 350 MB)", " and ".join(missing))
        if len(missing) > 1 or "weights" not in missing[0]:
            hub.fetch_voices(voice_folder)
        return kokoro
    log.warning(
        "Using the embedded synthesiser, because %s %s missing and %s can't be reached. Its voices are not Kokoro's: "
        "nothing made now loads in Kokoro. With a network, python -m kvw fetches Kokoro by itself; without one, give "
        "synth=kokoro synth.model=PATH synth.config=PATH voice_folder=FOLDER (see README, Offline)",
        " and ".join(missing),
        "is" if len(missing) == 1 else "are",
        hub.REPO,
    )
    return {"_target_": EMBEDDED}

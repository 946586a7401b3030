"""``synth=auto``: Kokoro where its weights and voices are at hand or can be had, else the embedded synthesiser."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from kvw.errors import KvwError
from kvw.runtime import hub
from kvw.types import Voice
from kvw.voices.download import fetch_voices
from kvw.voices.files import single_files

log = logging.getLogger(__name__)

AUTOMATIC = "kvw.speech.select.automatic"
KOKORO = "kvw.speech.kokoro.synthesizer.KokoroSynthesizer"
EMBEDDED = "kvw.speech.embedded.synthesizer.EmbeddedSynthesizer"


def automatic(*, voice_folder: Path, model: str | None = None, config: str | None = None) -> dict[str, object]:
    """The config node of the synthesiser to use; what is missing, and how to get it, is logged.

    Args:
        voice_folder: where Kokoro's stock voices are, or belong.
        model: path of Kokoro's weights; null looks in the hub's cache, then on the hub.
        config: path of their configuration; null as for ``model``.
    """
    missing = [name for name, path in ((hub.MODEL, model), (hub.CONFIG, config)) if not (path or hub.find(name))]
    without_voices = not (voice_folder.is_file() or single_files(voice_folder))
    wanted = [*missing, f"the stock voices in {voice_folder}"] if without_voices else missing
    why = f"{hub.REPO} can't be reached"
    if wanted and hub.reachable():
        why = f"{hub.REPO} doesn't have them"
        log.info("Fetching %s from %s, once (350 MB in all)", ", ".join(wanted), hub.REPO)
        try:
            for name in missing:
                hub.fetch(name)
            if not without_voices or fetch_voices(voice_folder)[0]:
                wanted = []
        except KvwError as error:
            why = str(error)
    if not wanted:
        return {"_target_": KOKORO, "model": model, "config": config}
    log.warning(
        "Using the embedded synthesiser: Kokoro lacks %s, and %s. The embedded voices are not Kokoro's, and mean "
        "nothing to it. With a network, python -m kvw fetches Kokoro by itself; without one, give synth=kokoro "
        "synth.model=PATH synth.config=PATH voice_folder=FOLDER",
        ", ".join(wanted),
        why,
    )
    return {"_target_": EMBEDDED}


def embedded_voices() -> dict[str, Voice]:
    """The embedded synthesiser's stock voices by name; importing what makes them, torch, waits until they are asked."""
    from kvw.speech.embedded.stock_voices import stock_voices

    return stock_voices()


def of_owner(node: dict[str, Any], owner: str) -> dict[str, Any]:
    """The config node of the synthesiser that speaks ``owner``'s voices; ``synth=auto`` leaves it to the voice.

    Args:
        node: of the config.
        owner: ``kokoro`` or ``embedded``.

    Raises:
        KvwError: the config chooses another one.
    """
    target = {"kokoro": KOKORO, "embedded": EMBEDDED}.get(owner)
    if node["_target_"] == AUTOMATIC and target:
        files = {key: node.get(key) for key in ("model", "config")}
        return {"_target_": target, **(files if target == KOKORO else {})}
    if node["_target_"] != target:
        raise KvwError(f"synth: expected {owner}, the voice's own; got another; leave synth out, or give synth={owner}")
    return node

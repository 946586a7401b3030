"""``synth=auto``: Kokoro if its weights and voices are here or can be fetched, else the embedded synthesiser."""

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
    """The config node of the synthesiser to use; logs which of Kokoro's files are missing, and how to get them.

    Args:
        voice_folder: the folder or file of Kokoro's stock voices; they are fetched into it.
        model: path of Kokoro's weights; null looks in the hub's cache, then on the hub.
        config: path of the weights' configuration; null as for ``model``.
    """
    missing = [name for name, path in ((hub.MODEL, model), (hub.CONFIG, config)) if not (path or hub.find(name))]
    without_voices = not (voice_folder.is_file() or single_files(voice_folder))
    lacking = [*missing, f"the stock voices in {voice_folder}"] if without_voices else missing
    reason = f"{hub.REPO} can't be reached"
    if lacking and hub.reachable():
        reason = f"{hub.REPO} doesn't have them"
        log.info("Fetching %s from %s, once (350 MB in all)", ", ".join(lacking), hub.REPO)
        try:
            for name in missing:
                hub.fetch(name)
            if not without_voices or fetch_voices(voice_folder)[0]:
                lacking = []
        except KvwError as error:
            reason = str(error)
    if not lacking:
        return {"_target_": KOKORO, "model": model, "config": config}
    log.warning(
        "Using the embedded synthesiser: Kokoro lacks %s, and %s. The embedded voices are not Kokoro's, and mean "
        "nothing to it. With a network, python -m kvw fetches Kokoro by itself; without a network, give synth=kokoro "
        "synth.model=PATH synth.config=PATH voice_folder=FOLDER",
        ", ".join(lacking),
        reason,
    )
    return {"_target_": EMBEDDED}


def embedded_voices() -> dict[str, Voice]:
    """The embedded synthesiser's stock voices by name; torch is imported only when this is called."""
    from kvw.speech.embedded.stock_voices import stock_voices

    return stock_voices()


def of_owner(node: dict[str, Any], owner: str) -> dict[str, Any]:
    """The config node of the synthesiser that speaks ``owner``'s voices; ``synth=auto`` leaves the choice to the voice.

    Args:
        node: the config's node of a synthesiser.
        owner: ``kokoro`` or ``embedded``.

    Raises:
        KvwError: the config chooses another synthesiser.
    """
    target = {"kokoro": KOKORO, "embedded": EMBEDDED}.get(owner)
    if node["_target_"] == AUTOMATIC and target:
        files = {key: node.get(key) for key in ("model", "config")}
        return {"_target_": target, **(files if target == KOKORO else {})}
    if node["_target_"] != target:
        raise KvwError(
            f"synth: expected {owner}, the voice's own; got another synthesiser; leave synth out, or give synth={owner}"
        )
    return node

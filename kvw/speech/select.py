"""``synth=auto``: Kokoro if its weights are here or can be fetched, else the embedded synthesiser."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from kvw.errors import KvwError
from kvw.runtime import hub
from kvw.speech.kokoro import sources
from kvw.types import Voice
from kvw.voices.download import fetch_voices
from kvw.voices.files import single_files

log = logging.getLogger(__name__)

AUTOMATIC = "kvw.speech.select.automatic"
KOKORO = "kvw.speech.kokoro.synthesizer.KokoroSynthesizer"
EMBEDDED = "kvw.speech.embedded.synthesizer.EmbeddedSynthesizer"


def automatic(
    *, voice_folder: Path, model: str | None = None, config: str | None = None, g2p: str | None = None
) -> dict[str, object]:
    """The config node of the synthesiser to use; logs in a line which it is, and what a better one would be.

    Kokoro's weights are those that are given, else the hub's, else those of the packages ``kvw[weights]``; where there
    are none of these, the embedded synthesiser speaks. Stock voices that are missing are fetched where the hub answers.

    Args:
        voice_folder: the folder or file of Kokoro's stock voices.
        model: path of Kokoro's weights; ``packages`` is those of the packages.
        config: path of the weights' configuration.
        g2p: espeak's code of the language that the weights were trained on, where Kokoro has no letter for it.

    Raises:
        KvwError: weights are given, and their configuration is nowhere.
    """
    found = None
    try:
        found = sources.find(model, config)
    except KvwError as error:  # the hub answers, and does not deliver
        log.warning("%s", error)
        found = sources.find(sources.PACKAGES, config)
    if found is None and model:
        raise KvwError(sources.nowhere(model))
    if found is None:
        log.warning(
            "Using the embedded synthesiser, whose voices are not Kokoro's, and mean nothing to it: %s",
            sources.nowhere(model),
        )
        return {"_target_": EMBEDDED}
    if len(found.weights) > 1:
        model = sources.PACKAGES
        log.info(
            "Kokoro speaks with the int8 export of its weights, from kvw[weights]; the official ones are exact, "
            "and are fetched where %s answers",
            hub.REPO,
        )
    else:
        log.info("Kokoro speaks with the weights %s", found.weights[0])
    if not (voice_folder.is_file() or single_files(voice_folder)) and hub.reachable():
        log.info("Fetching the stock voices from %s, once (30 MB)", hub.REPO)
        try:
            fetch_voices(voice_folder)
        except KvwError as error:
            log.warning("%s", error)
    if model not in (None, sources.PACKAGES):
        config = str(found.config)  # a run that goes on keeps it, whatever the hub's cache has by then
    return {"_target_": KOKORO, "model": model, "config": config, "g2p": g2p}


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
        files = {key: node.get(key) for key in ("model", "config", "g2p")}
        return {"_target_": target, **(files if target == KOKORO else {})}
    if node["_target_"] != target:
        raise KvwError(
            f"synth: expected {owner}, the voice's own; got another synthesiser; leave synth out, or give synth={owner}"
        )
    return node

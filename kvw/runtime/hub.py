"""Kokoro's repository on the Hugging Face Hub, ``hexgrad/Kokoro-82M``: its model, configuration and stock voices.

Read :mod:`kvw.voices.files` first. Files land in the hub's own cache (``HF_HOME``), shared with Kokoro. Nothing here
waits for a network that isn't there: :func:`reachable` asks once per process, within seconds.
"""

from __future__ import annotations

import http.client
import logging
import threading
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path

from huggingface_hub import constants

from kvw.errors import KvwError, error_line

REPO = "hexgrad/Kokoro-82M"
MODEL = "kokoro-v1_0.pth"
CONFIG = "config.json"
log = logging.getLogger(__name__)


@cache
def reachable(timeout: float = 3.0) -> bool:
    """Say whether the hub (``HF_ENDPOINT``, through the environment's proxies) answers; asked once per process.

    Args:
        timeout: seconds to wait, name resolution included.

    Returns:
        True for any HTTP answer; False at once with ``HF_HUB_OFFLINE``.
    """
    return answers(timeout)


def find(filename: str) -> Path | None:
    """Find a file of the hub in the local cache, e.g. ``"voices/af_heart.pt"``; never uses the network."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(REPO, filename)
    return Path(found) if isinstance(found, str) else None  # not a str: absent, or known not to be on the hub


def fetch(filename: str) -> Path:
    """Return a file of the hub: from the local cache, else downloaded to it, resuming what an earlier call began.

    Raises:
        KvwError: it isn't cached, and the hub can't be reached or the download fails.
    """
    found = find(filename)
    if found is not None:
        return found
    if not reachable():
        raise KvwError(f"expected {filename} of {REPO}, but {silence()}; {by_hand(filename)}")
    return download(filename)


def silence() -> str:
    """Say why the hub isn't :func:`reachable`."""
    offline = "HF_HUB_OFFLINE forbids asking the hub"
    return offline if constants.HF_HUB_OFFLINE else f"{constants.ENDPOINT} doesn't answer"


def answers(timeout: float) -> bool:
    """Say whether the hub answers now, within ``timeout`` seconds, name resolution included."""
    if constants.HF_HUB_OFFLINE:
        return False
    answers = threading.Event()

    def ask() -> None:
        try:
            request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
            with urllib.request.build_opener().open(request, timeout=timeout):  # with today's proxies
                answers.set()
        except urllib.error.HTTPError:
            answers.set()
        except (OSError, ValueError, http.client.HTTPException) as error:
            log.debug("%s: %s", constants.ENDPOINT, error)

    # A thread, and one that doesn't hold up the exit: name resolution has no timeout.
    thread = threading.Thread(target=ask, name="kvw-hub", daemon=True)
    thread.start()
    thread.join(timeout)
    return answers.is_set()


def download(filename: str, force: bool = False) -> Path:
    """Download a file of the hub into its cache.

    Args:
        filename: in the repository.
        force: whether a file that is cached is downloaded again.

    Raises:
        KvwError: the download fails.
    """
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(REPO, filename, force_download=force))
    except Exception as error:  # requests, httpx or OSError, by the version of huggingface_hub
        advice = f"run it again, or {by_hand(filename)}"
        raise KvwError(f"expected {filename} of {REPO}, got {error_line(error)}; {advice}") from None


def by_hand(filename: str) -> str:
    """How a person gets a file of the hub, for messages."""
    source = f"{constants.ENDPOINT}/{REPO}/resolve/main/{filename}"
    if filename.startswith("voices/"):
        return f"by hand: put {source} into the voices folder"
    return f"by hand: download {MODEL} and {CONFIG} ({source}), then give synth.model=PATH synth.config=PATH"

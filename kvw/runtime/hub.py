"""Kokoro's repository on the Hugging Face Hub, ``hexgrad/Kokoro-82M``: its model, configuration and stock voices.

Files land in the hub's own cache (``HF_HOME``), which Kokoro shares. Nothing here waits long for a missing network:
:func:`reachable` asks the hub once per process and gives up within seconds.
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
    """Whether the hub (``HF_ENDPOINT``, through the environment's proxies) answers: :func:`answers`, once per process.

    Args:
        timeout: seconds to wait, name resolution included.
    """
    return answers(timeout)


def find(filename: str) -> Path | None:
    """A file of the hub in the local cache, e.g. ``"voices/af_heart.pt"``, or None; never uses the network."""
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(REPO, filename)
    return Path(path) if isinstance(path, str) else None  # not a str: not cached, or known to be missing on the hub


def fetch(filename: str) -> Path:
    """A file of the hub: from the local cache, else downloaded into it, resuming an earlier call's download.

    Raises:
        KvwError: the file isn't cached, and the hub can't be reached or the download fails.
    """
    cached = find(filename)
    if cached is not None:
        return cached
    if not reachable():
        raise KvwError(f"expected {filename} of {REPO}, but {silence()}; {by_hand(filename)}")
    return download(filename)


def silence() -> str:
    """Why the hub isn't :func:`reachable`, for messages."""
    offline = "HF_HUB_OFFLINE forbids asking the hub"
    return offline if constants.HF_HUB_OFFLINE else f"{constants.ENDPOINT} doesn't answer"


def answers(timeout: float) -> bool:
    """Whether the hub answers now, within ``timeout`` seconds, name resolution included.

    Returns:
        True for any HTTP answer; False at once with ``HF_HUB_OFFLINE``.
    """
    if constants.HF_HUB_OFFLINE:
        return False
    answered = threading.Event()

    def ask() -> None:
        try:
            request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
            with urllib.request.build_opener().open(request, timeout=timeout):  # a new opener reads the proxies anew
                answered.set()
        except urllib.error.HTTPError:
            answered.set()
        except (OSError, ValueError, http.client.HTTPException) as error:
            log.debug("%s: %s", constants.ENDPOINT, error)

    # Name resolution has no timeout, so a thread does it, and a daemon: it must not delay the exit.
    thread = threading.Thread(target=ask, name="kvw-hub", daemon=True)
    thread.start()
    thread.join(timeout)
    return answered.is_set()


def download(filename: str, force: bool = False) -> Path:
    """Download a file of the hub into its cache.

    Args:
        filename: the path in the repository.
        force: whether a cached file is downloaded again.

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
    """How a user gets a file of the hub without kvw, for messages."""
    source = f"{constants.ENDPOINT}/{REPO}/resolve/main/{filename}"
    if filename.startswith("voices/"):
        return f"by hand: put {source} into the voices folder"
    return f"by hand: download {MODEL} and {CONFIG} ({source}), then give synth.model=PATH synth.config=PATH"

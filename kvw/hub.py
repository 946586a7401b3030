"""Kokoro's repository on the Hugging Face Hub, ``hexgrad/Kokoro-82M``: its model, configuration and stock voices.

Read :mod:`kvw.voices` first. Files land in the hub's own cache (``HF_HOME``), shared with Kokoro. Nothing here waits
for a network that isn't there: :func:`reachable` asks once per process, within seconds.
"""

from __future__ import annotations

import http.client
import logging
import threading
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path, PurePosixPath

from huggingface_hub import constants

from kvw import voices
from kvw.disk import write_whole
from kvw.types import KvwError

REPO = "hexgrad/Kokoro-82M"
MODEL = "kokoro-v1_0.pth"
CONFIG = "config.json"

_log = logging.getLogger(__name__)


@cache
def reachable(timeout: float = 3.0) -> bool:
    """Say whether the hub (``HF_ENDPOINT``, through the environment's proxies) answers; asked once per process.

    Args:
        timeout: seconds to wait, name resolution included.

    Returns:
        True for any HTTP answer; False at once with ``HF_HUB_OFFLINE``.
    """
    return _answers(timeout)


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
        raise KvwError(f"expected {filename} of {REPO}, but {silence()}; {_by_hand(filename)}")
    return _download(filename)


def fetch_voices(folder: Path) -> tuple[int, list[str]]:
    """Bring Kokoro's stock voices (54) into ``folder``; those already there that load are kept, so a rerun goes on.

    Each voice passes :func:`kvw.voices.load` before it takes its place, and why one failed is logged.

    Returns:
        The number of stock voices now in the folder, and the sorted names of those that failed.

    Raises:
        KvwError: the hub can't be reached, its listing names no voices, or the folder can't be made.
    """
    names = _stock()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KvwError(f"{folder}: expected a folder for the voices, got {error}; choose another folder") from None
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
    from tqdm.auto import tqdm

    failed: list[str] = []
    quiet = are_progress_bars_disabled()
    disable_progress_bars()  # one bar for the voices, not one for each
    try:
        for done, name in enumerate(tqdm(names, desc="voices", unit="voice")):
            try:
                _place(name, folder)
            except (KvwError, OSError) as error:
                _log.warning("%s: %s", name, error)
                failed.append(name)
                if not _answers(3.0):  # each of the others would wait for its own timeout
                    _log.warning("%s; run this again to go on", silence())
                    failed.extend(later for later in names[done + 1 :] if not _loads(folder / f"{later}.pt"))
                    break
    finally:
        if not quiet:
            enable_progress_bars()
    return len(names) - len(failed), failed


def line_of(error: Exception) -> str:
    """What a library raised, on one line of some 200 characters."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def silence() -> str:
    """Say why the hub isn't :func:`reachable`."""
    offline = "HF_HUB_OFFLINE forbids asking the hub"
    return offline if constants.HF_HUB_OFFLINE else f"{constants.ENDPOINT} doesn't answer"


def _answers(timeout: float) -> bool:
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
            _log.debug("%s: %s", constants.ENDPOINT, error)

    # A thread, and one that doesn't hold up the exit: name resolution has no timeout.
    thread = threading.Thread(target=ask, name="kvw-hub", daemon=True)
    thread.start()
    thread.join(timeout)
    return answers.is_set()


def _stock() -> list[str]:
    """List the names of the stock voices, sorted."""
    where = "voices/NAME.pt"
    if not reachable():
        raise KvwError(f"expected the voices of {REPO}, but {silence()}; {_by_hand(where)}")
    from huggingface_hub import list_repo_files

    try:
        files = [PurePosixPath(file) for file in list_repo_files(REPO)]
    except Exception as error:  # requests, httpx or OSError, by the version of huggingface_hub
        raise KvwError(f"expected the list of files of {REPO}, got {line_of(error)}; {_by_hand(where)}") from None
    names = [file.stem for file in files if file.parent == PurePosixPath("voices") and file.suffix == ".pt"]
    names = sorted(name for name in names if name == voices.safe_stem(name))  # a listing never names a path of ours
    if not names:
        raise KvwError(f"expected {where} in {REPO}, got none; check HF_ENDPOINT ({constants.ENDPOINT})")
    return names


def _place(name: str, folder: Path) -> None:
    """Put one stock voice into the folder, whole and checked, unless it is there."""
    target = folder / f"{name}.pt"
    if _loads(target):
        return
    filename = f"voices/{name}.pt"
    source = fetch(filename)
    if not _loads(source):  # a damaged cache must not fail for ever
        source = _download(filename, force=True)
    voices.load(source)
    write_whole(target, source.read_bytes())


def _loads(path: Path) -> bool:
    try:
        voices.load(path)
    except KvwError:
        return False
    return True


def _download(filename: str, force: bool = False) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(REPO, filename, force_download=force))
    except Exception as error:  # requests, httpx or OSError, by the version of huggingface_hub
        advice = f"run it again, or {_by_hand(filename)}"
        raise KvwError(f"expected {filename} of {REPO}, got {line_of(error)}; {advice}") from None


def _by_hand(filename: str) -> str:
    source = f"{constants.ENDPOINT}/{REPO}/resolve/main/{filename}"
    if filename.startswith("voices/"):
        return f"by hand: put {source} into the voices folder"
    return f"by hand: download {MODEL} and {CONFIG} ({source}), then give synth.model=PATH synth.config=PATH"

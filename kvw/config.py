"""From a config to objects: the schema, the checks that come before any model is loaded, and :func:`build`.

:func:`build` is the only place where a config's ``_target_`` becomes an object. Objects made at run time never pass
through Hydra's ``instantiate``: it would turn lists and dataclasses into its own containers.
"""

from __future__ import annotations

import difflib
import inspect
import math
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from types import UnionType
from typing import Any, Union

from omegaconf import DictConfig, ListConfig, OmegaConf

from kvw.types import EXIT_BAD_INPUT, SAMPLE_RATE, KvwError, Voice, Wave

if typing.TYPE_CHECKING:
    from kvw.fitness import Ear, HybridFitness
    from kvw.speaker import SpeakerEncoder
    from kvw.speech import Synthesizer

LANGUAGES = "abefhijpz"
"""Kokoro's language letters."""

DATA = Path(str(resources.files("kvw"))) / "data"


@dataclass
class Config:
    """Types of the config's own keys; ``conf/kvw.yaml`` has their defaults and meanings.

    The groups are free here: the signature of what a node's ``_target_`` names is that node's schema.
    """

    task: Any
    strategy: Any
    space: Any
    synth: Any
    fitness: Any
    executor: Any
    other_text: str
    voice_folder: str
    voices_folder: str
    output_name: str
    language: str
    device: str
    population_limit: int
    step_limit: int
    seed: int
    dry_run: bool
    debug: bool
    target_audio: str | None = None
    target_text: str | None = None
    starting_voice: str | None = None
    heldout_audio: Any = None
    heldout_texts: str | None = None
    minutes: float | None = None
    stop_score: float | None = None
    patience: int | None = None


@dataclass(frozen=True)
class Inputs:
    """What a search was given, read and checked.

    Attributes:
        target: the recording, or the part of it that is searched on.
        target_name: safe stem of the recording's name, for files.
        target_text: the text that is compared with it.
        other_text: the text that self similarity compares with.
        heldout: recordings to judge by; the target itself where there is nothing else.
        heldout_note: how they were come by, for the summary.
        heldout_texts: texts to judge by.
        starting_voice: where to start, None for the mean of the nearest stock voices.
        starting_synthesizer: whose voice that is.
        notes: what the user should know.
    """

    target: Wave
    target_name: str
    target_text: str
    other_text: str
    heldout: list[Wave]
    heldout_note: str
    heldout_texts: list[str]
    starting_voice: Voice | None = None
    starting_synthesizer: str = ""
    notes: list[str] = field(default_factory=list)


class Problems:
    """Collects every problem of a config, so that all are reported at once."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def expect(self, good: bool, message: str) -> None:
        """Notes ``message`` unless ``good``."""
        if not good:
            self.lines.append(message)

    def attempt(self, function: Callable[..., Any], *args: Any) -> Any:
        """What ``function`` returns; None, and its message noted, where it raises a KvwError."""
        try:
            return function(*args)
        except KvwError as error:
            self.lines.append(str(error))
            return None

    def raise_any(self) -> None:
        """Raises one KvwError with a line for each problem, if there are any."""
        if self.lines:
            raise KvwError("\n".join(self.lines), EXIT_BAD_INPUT)


def read_inputs(cfg: DictConfig) -> Inputs:
    """Reads and checks all that a search is given, before any model is loaded.

    Raises:
        KvwError: a line for each thing that is wrong.
    """
    from kvw import audio, voices  # here, because codecs are slow to import and --help needs none

    problems = Problems()
    check_numbers(cfg, problems)
    notes = []

    path = Path(cfg.target_audio) if cfg.target_audio else DATA / "demo.flac"
    target = problems.attempt(audio.read_target, path)
    if cfg.target_text is None and cfg.target_audio:
        notes.append("target_text is not given: a default text is spoken; the words of the recording serve better")
    default = DATA / ("target.txt" if cfg.target_audio else "demo.txt")
    given_text = default.read_text("utf-8") if cfg.target_text is None else cfg.target_text
    target_text = problems.attempt(text, given_text, "target_text")
    other_text = problems.attempt(text, cfg.other_text, "other_text")

    if not cfg.heldout_texts and cfg.language not in ("a", "b"):
        notes.append(f"the held-out texts are English: give heldout_texts=FILE for language={cfg.language}")
    heldout_texts = problems.attempt(read_lines, Path(cfg.heldout_texts or DATA / "heldout.txt"), "heldout_texts")

    given = cfg.heldout_audio
    paths = list(given) if isinstance(given, (list, ListConfig)) else [given] if given else []
    heldout = [problems.attempt(audio.read_target, Path(str(name))) for name in paths]
    note = "heldout_audio"
    if target is not None and not heldout:
        parts = audio.split_at_pause(target)
        if parts:
            target, heldout = parts[0], [parts[1]]
            seconds = len(parts[1]) / SAMPLE_RATE
            note = f"the target's last {seconds:.1f} s, which the search does not use"
        else:
            heldout = [target]
            note = "the target itself, too short to split: give heldout_audio for a figure that can be believed"

    start, owner = None, ""
    if cfg.starting_voice:
        start = problems.attempt(voices.load, Path(cfg.starting_voice))
        owner = problems.attempt(voices.synthesizer_of, Path(cfg.starting_voice)) or ""
    problems.raise_any()
    name = voices.safe_stem(path.stem)
    return Inputs(target, name, target_text, other_text, heldout, note, heldout_texts, start, owner, notes)


def check_numbers(cfg: DictConfig, problems: Problems) -> None:
    """Notes every number and letter of ``cfg`` that is out of its range."""
    from kvw.voices import safe_stem

    for key in ("population_limit", "step_limit", "patience"):
        value = cfg[key]
        problems.expect(value is None or value >= 1, f"{key}: expected 1 or more; got {value}")
    problems.expect(0 <= cfg.seed < 2**32, f"seed: expected a number from 0 to {2**32 - 1}; got {cfg.seed}")
    finite = cfg.minutes is None or 0 < cfg.minutes < math.inf
    problems.expect(finite, f"minutes: expected a number above 0; got {cfg.minutes}")
    within = cfg.stop_score is None or 0 < cfg.stop_score <= 100
    problems.expect(within, f"stop_score: expected a score in (0, 100]; got {cfg.stop_score}")
    problems.expect(
        len(cfg.language) == 1 and cfg.language in LANGUAGES,
        f"language: expected one of Kokoro's letters {', '.join(LANGUAGES)}; got {cfg.language!r}",
    )
    name = Path(cfg.output_name)
    problems.expect(
        name.name == cfg.output_name and safe_stem(name.stem) == name.stem,
        f"output_name: expected a plain file name, such as out.wav; got {cfg.output_name!r}",
    )


def text(value: str, key: str) -> str:
    """The words of ``value``, which are words or the path of a .txt.

    Raises:
        KvwError: there are none.
    """
    if value.strip().lower().endswith(".txt") and "\n" not in value.strip():
        value = read_text(Path(value.strip()), key)
    words = " ".join(value.split())
    if not words:
        raise KvwError(f"{key}: expected words, or the path of a .txt with words; got nothing")
    return words


def read_text(path: Path, key: str) -> str:
    """The text of a file.

    Raises:
        KvwError: it can't be read, or is not UTF-8.
    """
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise KvwError(f"{key}: expected text in UTF-8; {path} is something else; save it as UTF-8") from None
    except OSError as error:
        raise KvwError(f"{key}: expected a text file; {path}: {error.strerror}; check the path") from None


def read_lines(path: Path, key: str) -> list[str]:
    """The lines of a text file that are not empty.

    Raises:
        KvwError: there are none, or the file can't be read.
    """
    lines = [line.strip() for line in read_text(path, key).splitlines() if line.strip()]
    if not lines:
        raise KvwError(f"{key}: expected a file with a text on each line; {path} is empty")
    return lines


def pick_device(name: str) -> str:
    """The torch device to use: for ``auto`` CUDA, else Apple's MPS, else the CPU.

    Raises:
        KvwError: this machine, or its build of torch, has no such device.
    """
    import torch

    has = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(kind for kind, there in has.items() if there)
    try:
        kind = torch.device(name).type
    except RuntimeError:
        raise KvwError(f"device: expected auto, cuda, cuda:N, mps or cpu; got {name!r}") from None
    if kind == "cuda" and has["cuda"]:
        has["cuda"] = (torch.device(name).index or 0) < torch.cuda.device_count()
    if not has.get(kind):
        there = ", ".join(kind for kind, yes in has.items() if yes)
        raise KvwError(f"device: torch {torch.__version__} finds no {name} here, only {there}; use device=auto")
    return name


def plain(node: Any) -> Any:
    """A config node as resolved dicts, lists and scalars."""
    return OmegaConf.to_container(node, resolve=True)


def check_targets(node: Any, where: str) -> None:
    """Refuses a ``_target_`` outside kvw and strategies: a config must not name just any function.

    Raises:
        KvwError: it names one.
    """
    if isinstance(node, Mapping):
        target = node.get("_target_")
        if target is not None and not str(target).startswith(("kvw.", "strategies.")):
            raise KvwError(f"{where}._target_: expected a name in kvw. or strategies.; got {target}")
        for key, value in node.items():
            check_targets(value, f"{where}.{key}")
    elif isinstance(node, list):
        for value in node:
            check_targets(value, where)


def build(node: Mapping[str, Any], where: str, **runtime: Any) -> Any:
    """Makes what a config node names.

    Args:
        node: plain, with ``_target_`` and that one's own settings.
        where: the node's key, for messages.
        runtime: further arguments, handed over as they are; those that ``_target_`` does not take are left out.

    Raises:
        KvwError: the target is not allowed or can't be imported, or a setting is unknown, of the wrong type or out of
            its range.
    """
    return maker(node, where, **runtime)()


def locate(node: Mapping[str, Any], where: str) -> Callable[..., Any]:
    """The function or class that a node's ``_target_`` names.

    Raises:
        KvwError: it is not allowed, or can't be imported.
    """
    from hydra.utils import get_object

    if not isinstance(node, Mapping) or "_target_" not in node:
        raise KvwError(f"{where}: expected a config with a _target_; got {node!r}; see conf/{where}/")
    check_targets(node, where)
    try:
        target: Callable[..., Any] = get_object(node["_target_"])
    except (ImportError, AttributeError, ValueError) as error:
        why = " ".join(str(error).split())
        raise KvwError(f"{where}._target_: {node['_target_']} can't be imported: {why}") from error
    return target


def maker(node: Mapping[str, Any], where: str, **runtime: Any) -> Callable[..., Any]:
    """As :func:`build`, but a function that makes it when it is called, with more runtime arguments."""
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    target = locate(node, where)
    parameters = inspect.signature(target).parameters
    check_settings({key: value for key, value in node.items() if key != "_target_"}, target, where)
    try:
        partial = instantiate(dict(node), _partial_=True, _convert_="all")
    except InstantiationException as error:
        cause = str(error.__cause__ or error).splitlines()[0]
        raise KvwError(f"{where}: {node['_target_']} can't be made: {cause}") from error

    def make(**more: Any) -> Any:
        known = {key: value for key, value in {**runtime, **more}.items() if key in parameters}
        try:
            return partial(**known)
        except ValueError as error:
            raise KvwError(f"{where}: {error}") from error

    return make


def check_settings(settings: Mapping[str, Any], target: Callable[..., Any], where: str) -> None:
    """Checks settings against the signature of what they are for.

    Raises:
        KvwError: a setting is unknown (the nearest known one is named) or of another type than its annotation.
    """
    parameters = inspect.signature(target).parameters
    constructor = target.__init__ if inspect.isclass(target) else target
    types = typing.get_type_hints(constructor)
    for key, value in settings.items():
        if key not in parameters:
            raise KvwError(f"{where}.{key}: {where} has no such setting{nearest(key, parameters)}")
        kind = types.get(key)
        simple: set[Any] = set(typing.get_args(kind)) if typing.get_origin(kind) in (Union, UnionType) else {kind}
        if not simple <= {bool, int, float, str, type(None)}:
            continue  # the constructor knows better
        fits = type(value) in simple or (float in simple and type(value) is int)
        if not fits:
            wanted = " or ".join(sorted({bool: "true or false", type(None): "null"}.get(k, k.__name__) for k in simple))
            raise KvwError(f"{where}.{key}: expected {wanted}; got {value!r}")


def nearest(word: str, known: typing.Iterable[str]) -> str:
    """A hint that names the known word nearest to ``word``, or all of them."""
    words = sorted(known)
    close = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(words)}" if words else ""


@dataclass(frozen=True)
class FitnessSettings:
    """All that a worker needs to make the fitness; picklable.

    Attributes:
        synth: config node of the synthesiser.
        fitness: config node of the fitness.
        device: torch device.
        language: Kokoro's language letter.
        seed: of the synthesiser's noise.
        inputs: target and texts.
    """

    synth: dict[str, Any]
    fitness: dict[str, Any]
    device: str
    language: str
    seed: int
    inputs: Inputs

    def models(self) -> tuple[Synthesizer, SpeakerEncoder]:
        """The models, loaded once in a process, whatever number of runs it does."""
        return _models(tuple(self.synth.items()), self.device, self.language)

    def ear(self, seed: int) -> Ear:
        """Synthesis and speaker embeddings with a noise seed of their own."""
        from kvw.fitness import Ear

        return Ear(*self.models(), seed)

    def __call__(self) -> HybridFitness:
        """Makes the fitness."""
        synthesizer, encoder = self.models()
        made: HybridFitness = build(
            self.fitness,
            "fitness",
            synthesizer=synthesizer,
            encoder=encoder,
            target=self.inputs.target,
            target_text=self.inputs.target_text,
            other_text=self.inputs.other_text,
            seed=self.seed,
        )
        return made


@lru_cache(maxsize=2)
def _models(synth: tuple[tuple[str, Any], ...], device: str, language: str) -> tuple[Synthesizer, SpeakerEncoder]:
    from kvw.speaker import SpeakerEncoder

    return build(dict(synth), "synth", device=device, language=language), SpeakerEncoder(device)

"""What a search is given, read and checked before any model is loaded; every problem is reported at once."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from kvw import audio, voices
from kvw.types import SAMPLE_RATE, KvwError, Voice, Wave

LANGUAGES = "abefhijpz"
"""Kokoro's language letters."""

DATA = Path(str(resources.files("kvw"))) / "data"


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
        other_texts: further texts, of which a fitness may score some.
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
    other_texts: list[str]
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
            raise KvwError("\n".join(self.lines))


def read_inputs(cfg: DictConfig) -> Inputs:
    """Reads and checks all that a search is given, before any model is loaded.

    Raises:
        KvwError: a line for each thing that is wrong.
    """
    problems = Problems()
    check_numbers(cfg, problems)
    notes = []
    for key in ("target_audio", "starting_voice", "heldout_audio", "heldout_texts", "other_texts"):
        problems.expect(cfg[key] != "", f"{key}: expected a path, or null for the default; got nothing")

    path = Path(cfg.target_audio) if cfg.target_audio else DATA / "demo.flac"
    target = problems.attempt(audio.read_target, path)
    if cfg.target_text is None and cfg.target_audio:
        notes.append("target_text is not given: a default text is spoken; the words of the recording serve better")
    default = DATA / ("target.txt" if cfg.target_audio else "demo.txt")
    given_text = default.read_text("utf-8") if cfg.target_text is None else cfg.target_text
    target_text = problems.attempt(text, given_text, "target_text")
    other_text = problems.attempt(text, cfg.other_text, "other_text")
    problems.expect(
        target_text is None or target_text != other_text,
        "other_text: expected another text than target_text; got the same; self similarity compares the two",
    )

    if not cfg.heldout_texts and cfg.language not in ("a", "b"):
        notes.append(f"the held-out texts are English: give heldout_texts=FILE for language={cfg.language}")
    heldout_texts = problems.attempt(read_lines, Path(cfg.heldout_texts or DATA / "heldout.txt"), "heldout_texts")
    if not cfg.other_texts and cfg.language not in ("a", "b") and OmegaConf.select(cfg, "fitness.more_texts"):
        notes.append(f"the further texts are English: give other_texts=FILE for language={cfg.language}")
    other_texts = problems.attempt(read_lines, Path(cfg.other_texts or DATA / "other.txt"), "other_texts")

    given = cfg.heldout_audio
    paths = list(given) if isinstance(given, (list, ListConfig)) else [given] if given else []
    heldout = [problems.attempt(audio.read_target, Path(str(name))) for name in paths]
    note = "heldout_audio"
    if target is not None and not heldout:
        parts = audio.hold_out(target)
        if parts:
            target, heldout = parts[0], [parts[1]]
            seconds = len(parts[1]) / SAMPLE_RATE
            note = f"the target's last {seconds:.1f} s, which the search does not use"
        else:
            heldout = [target]
            note = "the target itself, which has no speech to spare; heldout_audio=FILE gives a figure to believe"

    start, owner = None, ""
    if cfg.starting_voice:
        start = problems.attempt(voices.load, Path(cfg.starting_voice))
        owner = problems.attempt(voices.synthesizer_of, Path(cfg.starting_voice)) or ""
    problems.raise_any()
    name = voices.safe_stem(path.stem)
    return Inputs(target, name, target_text, other_text, heldout, note, heldout_texts, other_texts, start, owner, notes)


def check_numbers(cfg: DictConfig, problems: Problems) -> None:
    """Notes every number and letter of ``cfg`` that is out of its range."""
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
    problems.expect(
        re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", cfg.device) is not None,
        f"device: expected auto, cuda, cuda:N, mps or cpu; got {cfg.device!r}",
    )
    name = Path(cfg.output_name)
    problems.expect(
        name.name == cfg.output_name and voices.safe_stem(name.stem) == name.stem,
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

"""The recordings, texts and numbers of a search, checked before any model is loaded; all problems at once."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from kvw.audio.target import Target, read_target
from kvw.config.paths import DEMO
from kvw.config.problems import Problems
from kvw.errors import KvwError
from kvw.runtime.filenames import safe_stem
from kvw.speech import select
from kvw.speech.segmentation import opening
from kvw.types import Voice
from kvw.voices.reference import NamedVoice, language_remark, resolve

SHORT = 40
"""Characters of a text that is spoken in about two seconds."""


@dataclass(frozen=True)
class Inputs:
    """The recordings and texts of a search, read and checked.

    Attributes:
        target: the recordings, searched on and held out.
        target_text: the text whose speech is compared with the recordings.
        other_text: the text that self similarity compares the target text with.
        heldout_texts: texts to judge by.
        other_texts: further texts, of which a fitness may score some.
        short_texts: texts of about two seconds, on which gradients are measured.
        notes: what the user should know.
        starting_voice: where the search starts; None for a mean of stock voices.
        starting_synthesizer: the synthesiser that the starting voice belongs to.
        starting_bases: names of the voices that the starting voice was made of.
    """

    target: Target
    target_text: str
    other_text: str
    heldout_texts: list[str]
    other_texts: list[str]
    short_texts: list[str]
    notes: list[str] = field(default_factory=list)
    starting_voice: Voice | None = None
    starting_synthesizer: str = ""
    starting_bases: tuple[str, ...] = ()


def saved_inputs(inputs: Inputs) -> dict[str, Any]:
    """The inputs as numpy arrays and JSON values, for a run that resumes when the files may be gone."""
    heard = inputs.target
    return {
        **vars(inputs),
        "target": {**vars(heard), "recordings": {}, "searched": [], "judged": []},
        "notes": [],
        "starting_bases": list(inputs.starting_bases),
    }


def restored_inputs(state: Mapping[str, Any]) -> Inputs:
    """The inputs that :func:`saved_inputs` turned into ``state``.

    Raises:
        KvwError: ``state`` is something else.
    """
    try:
        bases = tuple(state["starting_bases"])
        inputs = Inputs(**{**state, "target": Target(**state["target"]), "starting_bases": bases})
        name = inputs.target.name
    except (TypeError, KeyError, AttributeError) as error:
        raise KvwError(f"inputs: expected those of a run; {type(error).__name__}: {error}") from None
    if not isinstance(name, str) or safe_stem(name) != name:
        raise KvwError(f"inputs: expected a target's name that is a file's; got {name!r:.80}")
    return inputs


def read_inputs(cfg: DictConfig, known: Target | None = None) -> Inputs:
    """Reads and checks the recordings, texts and numbers of a search, before any model is loaded.

    Args:
        cfg: the config.
        known: the target, where its recordings have been read already.

    Raises:
        KvwError: a line for each thing that is wrong.
    """
    problems = Problems()
    check_numbers(cfg, problems)
    notes = []
    for key in ("target_audio", "starting_voice", "heldout_audio", "heldout_texts", "other_texts"):
        problems.expect(cfg[key] != "", f"{key}: expected a path, or null for the default; got nothing")

    given = DEMO if cfg.target_audio in (None, "") else cfg.target_audio
    recordings = known or problems.attempt(read_target, given, None if cfg.heldout_audio == "" else cfg.heldout_audio)
    if cfg.target_text is None and cfg.target_audio:
        notes.append("target_text is not given: a default text is spoken; the words of the recording serve better")
    target_text = problems.attempt(
        words_of_key, default_text(cfg) if cfg.target_text is None else cfg.target_text, "target_text"
    )
    other_text = problems.attempt(words_of_key, cfg.other_text, "other_text")
    problems.expect(
        target_text is None or target_text != other_text,
        "other_text: expected another text than target_text; got the same; self similarity compares the two",
    )

    heldout_texts = problems.attempt(texts_of_key, cfg, "heldout_texts")
    if heldout_texts and (most := cfg.heldout_characters) is not None:
        shortest = min(map(len, heldout_texts))
        problems.expect(
            most >= shortest,
            f"heldout_characters: expected {shortest} or more, the shortest of heldout_texts; got {most}",
        )
        heldout_texts = [text for text in heldout_texts if len(text) <= most]
    other_texts = problems.attempt(texts_of_key, cfg, "other_texts")

    start: NamedVoice | None = None
    if cfg.starting_voice:
        start = problems.attempt(resolve, cfg.starting_voice, Path(cfg.voices_folder), select.embedded_voices)
    problems.raise_any()
    notes += recordings.notes
    if start and (remark := language_remark([start], cfg.language.letter)):
        notes.append(f"starting_voice: {remark}")
    begun = (start.voice, start.synthesizer, start.bases) if start else ()
    return Inputs(recordings, target_text, other_text, heldout_texts, other_texts, short_texts(cfg), notes, *begun)


def check_numbers(cfg: DictConfig, problems: Problems) -> None:
    """Notes every number and letter of ``cfg`` that is out of its range."""
    for key in ("population_limit", "shortlist", "start_voices", "step_limit", "patience"):
        value = cfg[key]
        problems.expect(value is None or value >= 1, f"{key}: expected 1 or more; got {value}")
    count = cfg.atlas.samples
    problems.expect(type(count) is int and count >= 1, f"atlas.samples: expected 1 or more; got {count}")
    runs = cfg.atlas.get("runs", False)  # which the record of an older run lacks
    problems.expect(type(runs) is bool, f"atlas.runs: expected true or false; got {runs!r:.40}")
    problems.expect(0 <= cfg.seed < 2**32, f"seed: expected a number from 0 to {2**32 - 1}; got {cfg.seed}")
    finite = cfg.minutes is None or 0 < cfg.minutes < math.inf
    problems.expect(finite, f"minutes: expected a number above 0; got {cfg.minutes}")
    within = cfg.stop_score is None or 0 < cfg.stop_score <= 100
    problems.expect(within, f"stop_score: expected a score in (0, 100]; got {cfg.stop_score}")
    problems.expect(
        re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", cfg.device) is not None,
        f"device: expected auto, cuda, cuda:N, mps or cpu; got {cfg.device!r}",
    )
    problems.expect(cfg.keep in ("all", "best"), f"keep: expected all or best; got {cfg.keep!r:.40}")
    name = Path(cfg.output_name)
    problems.expect(
        name.name == cfg.output_name and safe_stem(name.stem) == name.stem,
        f"output_name: expected a plain file name, such as out.wav; got {cfg.output_name!r}",
    )


def default_text(cfg: DictConfig) -> str:
    """The demo's own words where it is the target and the language is English, else the language's text."""
    own = cfg.target_audio is None and cfg.language.letter in ("a", "b")
    return DEMO.with_suffix(".txt").read_text("utf-8") if own else str(cfg.language.target_text)


def words_of_key(value: str, key: str) -> str:
    """The words that a key names (see :func:`passage`), on one line."""
    return " ".join(passage(value, key).split())


def passage(value: str, key: str) -> str:
    """``value`` itself, or the content of the file whose path it is: of a ``.txt``, or of another one that is there.

    Raises:
        KvwError: the text is empty or has a null character, or the file can't be read.
    """
    if names_file(value.strip()):
        value = read_text(Path(value.strip()), key)
    if not value.strip():
        raise KvwError(f"{key}: expected words, or the path of a .txt with words; got nothing")
    if "\0" in value:  # espeak would stop there
        raise KvwError(f"{key}: expected words; got a null character among them; leave it out")
    return value


def names_file(value: str) -> bool:
    """Whether a text is the path of one: it ends in ``.txt``, or it has an ending and a file has that name."""
    if "\n" in value or not (ending := Path(value).suffix):
        return False
    try:
        return ending.lower() == ".txt" or Path(value).is_file()
    except (OSError, ValueError):  # too long for a name, or with characters that none has
        return False


def texts_of_key(cfg: DictConfig, key: str) -> list[str]:
    """The lines of the file that ``key`` names, or the language's own texts.

    Raises:
        KvwError: there are none, or the file can't be read.
    """
    return read_lines(Path(cfg[key]), key) if cfg[key] else list(cfg.language[key])


def short_texts(cfg: DictConfig) -> list[str]:
    """The short texts of the config's language: its own, else the beginnings of others; never of a held-out one."""
    language = cfg.language
    own = language.get("short_texts")
    return list(own or [opening(text, SHORT) for text in (language.target_text, *language.other_texts)])


def read_text(path: Path, key: str) -> str:
    """The text of a file.

    Raises:
        KvwError: it can't be read, or is not UTF-8.
    """
    try:
        text = path.read_text("utf-8-sig")
        if "\0" in text:  # UTF-16 of English is UTF-8 too, with a null after each letter
            raise UnicodeError
        return text
    except UnicodeError:
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

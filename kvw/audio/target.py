"""The target: a speaker's recordings, divided into those that a search hears and those that judge its result.

Read :func:`read_target` first; :mod:`kvw.audio.checks` judges the quality of the recordings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import ListConfig

from kvw.audio.checks import remarks
from kvw.audio.recordings import TooLittleSpeech, hold_out, in_folder, read_recording
from kvw.errors import KvwError
from kvw.runtime.filenames import safe_stem
from kvw.text import listed
from kvw.types import SAMPLE_RATE, Wave

EVERY = 4
"""Of several recordings, every fourth is held out."""

MAX_SECONDS = 1800.0
"""Most seconds of all recordings together (173 MB); a speaker is known after one recording."""


@dataclass(frozen=True)
class Target:
    """The recordings to match.

    Attributes:
        name: the stem of the first recording, or the folder's name, for names of files.
        clips: the waves that the search compares candidates with.
        heldout: the waves that judge the result; the clips themselves where nothing can be held out.
        heldout_note: where ``heldout`` comes from, for the summary.
        recordings: every recording that was read, whole, by path.
        searched: the paths of the recordings that ``clips`` are taken from.
        judged: the paths of the recordings that ``heldout`` is taken from.
        summary: the target's name and figures, on one line.
        notes: lines that the user should see: files left out, and faults of recordings.
    """

    name: str
    clips: list[Wave]
    heldout: list[Wave]
    heldout_note: str
    recordings: dict[str, Wave]
    searched: list[str]
    judged: list[str]
    summary: str
    notes: list[str]


def read_target(target_audio: Any, heldout_audio: Any) -> Target:
    """Reads and checks the recordings of the target, and the held-out recordings.

    Args:
        target_audio: the path of a recording or a folder, or a list of recordings.
        heldout_audio: the same for held-out recordings; or None to hold out every fourth of several recordings and
            at least one, or the end of a single one.

    Raises:
        KvwError: a line for each problem: a recording can't be a target (see
            :func:`kvw.audio.recordings.read_recording`) or occurs twice, there are no recordings, or all of them
            together are longer than :data:`MAX_SECONDS`. Held-out recordings with too little speech are left out, as
            long as one is left.
    """
    problems: list[str] = []
    notes: list[str] = []
    paths = files(target_audio, "target_audio", problems, notes)
    judges = [] if heldout_audio is None else files(heldout_audio, "heldout_audio", problems, notes)
    short: dict[str, str] = {}
    recordings = decoded([*paths, *judges], problems, short)
    spared = [short.pop(str(path)) for path in judges if str(path) in short]
    judges = [path for path in judges if str(path) in recordings]
    problems += [*short.values(), *([] if judges else spared)]
    notes += [f"heldout_audio: left out: {line}" for line in spared]
    if problems:
        raise KvwError("\n".join(problems))
    own = {str(path): recordings[str(path)] for path in paths}
    clips, heldout, heldout_note = divide(own)
    if judges:
        clips, heldout, heldout_note = list(own.values()), [recordings[str(path)] for path in judges], "heldout_audio"
    is_folder = isinstance(target_audio, (str, Path)) and Path(target_audio).is_dir()
    name = safe_stem(Path(target_audio).resolve().name if is_folder else paths[0].stem)
    summary, faults = remarks(own)
    searched, judged = (
        [path for path, wave in recordings.items() if len(recordings) == 1 or any(wave is clip for clip in part)]
        for part in (clips, heldout)
    )
    lines = [*notes, *faults]
    return Target(name, clips, heldout, heldout_note, recordings, searched, judged, f"{name}, {summary}", lines)


def files(given: Any, key: str, problems: list[str], notes: list[str]) -> list[Path]:
    """The files that a key of the config names; adds lines to ``problems``, and to ``notes`` for files left out."""
    if isinstance(given, (list, ListConfig)):
        if not given:
            problems.append(f"{key}: expected a recording, a list of them or a folder; got an empty list")
        return [Path(str(path)) for path in given]
    path = Path(str(given))
    if not path.is_dir():
        return [path]
    try:
        recordings, others = in_folder(path)
    except KvwError as error:
        problems.append(str(error))
        return []
    if others:
        notes.append(f"{key}: left out of {path}, as their names are not those of recordings: {listed(others)}")
    return recordings


def decoded(paths: Sequence[Path], problems: list[str], short: dict[str, str]) -> dict[str, Wave]:
    """The recordings that can be read, by path.

    Adds a line to ``problems`` for each of the others, or to ``short``, by path, where it has too little speech.
    """
    recordings: dict[str, Wave] = {}
    samples = 0
    for path in paths:
        try:
            wave = read_recording(path)
        except TooLittleSpeech as error:
            short[str(path)] = str(error)
            continue
        except KvwError as error:
            problems.append(str(error))
            continue
        twin = next((earlier for earlier, known in recordings.items() if np.array_equal(wave, known)), None)
        if twin:
            problems.append(f"{path}: expected each recording once; got the same as {twin}; leave one out")
        recordings[str(path)] = wave
        samples += len(wave)
        if samples > MAX_SECONDS * SAMPLE_RATE:
            most = f"expected {MAX_SECONDS / 60:.0f} min of recordings at most"
            problems.append(f"target_audio: {most}; got more, from {path} on; choose the clearest few minutes")
            break
    return recordings


def divide(recordings: dict[str, Wave]) -> tuple[list[Wave], list[Wave], str]:
    """Divides recordings, by path, into the clips for the search and the held-out ones.

    Returns:
        The clips, the held-out waves, and a note of where the held-out waves come from.
    """
    paths, waves = list(recordings), list(recordings.values())
    if len(waves) == 1:
        parts = hold_out(waves[0])
        if parts is None:
            note = "the target itself, which has no speech to spare; heldout_audio=FILE gives a figure to believe"
            return waves, waves, note
        seconds = len(parts[1]) / SAMPLE_RATE
        return [parts[0]], [parts[1]], f"the target's last {seconds:.1f} s, which the search does not use"
    held = set(range(EVERY - 1, len(waves), EVERY)) or {len(waves) - 1}
    names = listed([Path(paths[index]).name for index in sorted(held)])
    searched = [wave for index, wave in enumerate(waves) if index not in held]
    return searched, [waves[index] for index in sorted(held)], f"{names}, which the search does not use"


def wave_digest(wave: Wave) -> str:
    """sha256 over the samples of ``wave`` as little-endian float32, in hex: what a run's record calls its target."""
    return hashlib.sha256(np.ascontiguousarray(wave, dtype="<f4").tobytes()).hexdigest()

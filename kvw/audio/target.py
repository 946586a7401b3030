"""The target: a speaker's recordings, which of them the search hears, and which judge its result.

Read :func:`read_target` first; :mod:`kvw.audio.checks` looks at what the recordings are like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import ListConfig

from kvw.audio.checks import remarks
from kvw.audio.recordings import hold_out, in_folder, read_recording
from kvw.errors import KvwError
from kvw.runtime.filenames import safe_stem
from kvw.text import listed
from kvw.types import SAMPLE_RATE, Wave

EVERY = 4
"""Of several recordings, each one of this number is held out."""

MAX_SECONDS = 1800.0
"""Seconds of all recordings together (173 MB); the speaker is known after one of them."""


@dataclass(frozen=True)
class Target:
    """The recordings to match.

    Attributes:
        name: for files: the stem of the first recording, or the folder's name.
        clips: what the search compares with.
        heldout: what the result is judged by; the clips themselves where there is nothing else.
        heldout_note: how they were come by, for the summary.
        recordings: all that was read, whole, by path.
        searched: the paths of those that the search compares with.
        summary: figures of the target's own.
        notes: what the user should know.
    """

    name: str
    clips: list[Wave]
    heldout: list[Wave]
    heldout_note: str
    recordings: dict[str, Wave]
    searched: list[str]
    summary: str
    notes: list[str]


def read_target(target_audio: Any, heldout_audio: Any) -> Target:
    """Reads and checks the recordings of the target, and those to judge by.

    Args:
        target_audio: a recording, a list of them, or a folder.
        heldout_audio: the same, or None: then every fourth recording of several and at least one is held out, or the
            end of a single one.

    Raises:
        KvwError: a line for each problem: a recording is no target (see :func:`kvw.audio.recordings.read_recording`),
            or is there twice; there is none; together they are longer than :data:`MAX_SECONDS`.
    """
    problems: list[str] = []
    notes: list[str] = []
    paths = files(target_audio, "target_audio", problems, notes)
    judges = [] if heldout_audio is None else files(heldout_audio, "heldout_audio", problems, notes)
    recordings = decoded([*paths, *judges], problems)
    if problems:
        raise KvwError("\n".join(problems))
    own = {str(path): recordings[str(path)] for path in paths}
    clips, heldout, heldout_note = divide(own)
    if judges:
        clips, heldout, heldout_note = list(own.values()), [recordings[str(path)] for path in judges], "heldout_audio"
    is_folder = isinstance(target_audio, (str, Path)) and Path(target_audio).is_dir()
    name = safe_stem(Path(target_audio).resolve().name if is_folder else paths[0].stem)
    summary, faults = remarks(own)
    searched = [path for path, wave in own.items() if len(own) == 1 or any(wave is clip for clip in clips)]
    return Target(name, clips, heldout, heldout_note, recordings, searched, f"{name}, {summary}", [*notes, *faults])


def files(given: Any, key: str, problems: list[str], notes: list[str]) -> list[Path]:
    """The files that a key of the config names; what is wrong goes to ``problems``, what is left out to ``notes``."""
    if isinstance(given, (list, ListConfig)):
        if not given:
            problems.append(f"{key}: expected a recording, a list of them or a folder; got an empty list")
        return [Path(str(path)) for path in given]
    path = Path(str(given))
    if not path.is_dir():
        return [path]
    try:
        found, others = in_folder(path)
    except KvwError as error:
        problems.append(str(error))
        return []
    if others:
        notes.append(f"{key}: left out of {path}, as their names are not those of recordings: {listed(others)}")
    return found


def decoded(paths: Sequence[Path], problems: list[str]) -> dict[str, Wave]:
    """The recordings that are sound, by path; what is wrong with the others goes to ``problems``."""
    recordings: dict[str, Wave] = {}
    samples = 0
    for path in paths:
        try:
            wave = read_recording(path)
        except KvwError as error:
            problems.append(str(error))
            continue
        known = next((known for known, other in recordings.items() if np.array_equal(wave, other)), None)
        if known:
            problems.append(f"{path}: expected each recording once; got the same as {known}; leave one out")
        recordings[str(path)] = wave
        samples += len(wave)
        if samples > MAX_SECONDS * SAMPLE_RATE:
            most = f"expected {MAX_SECONDS / 60:.0f} min of recordings at most"
            problems.append(f"target_audio: {most}; got more, from {path} on; choose the clearest few minutes")
            break
    return recordings


def divide(recordings: dict[str, Wave]) -> tuple[list[Wave], list[Wave], str]:
    """The clips that are searched on, those that are held out, and how these were come by."""
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

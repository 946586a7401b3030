"""The players of a report: recordings of a run's folder as MP3 within the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kvw.audio.decode import decode_file
from kvw.audio.write import data_uri, mp3
from kvw.errors import KvwError
from kvw.runs.artifacts import spoken_path
from kvw.types import SAMPLE_RATE, Wave

PLAYER_SECONDS = 30.0
"""Seconds of a recording that a player has at most."""

PAGE_SECONDS = 420.0
"""Seconds of audio in all players of a page together: 4.5 MB."""


@dataclass(frozen=True)
class Player:
    """Audio on the page.

    Attributes:
        label: what the audio is.
        source: the audio as a data URI; empty where the run kept none.
        note: a remark beside the label.
    """

    label: str
    source: str
    note: str = ""


def player(label: str, waves: Sequence[Wave], most: float, note: str = "") -> Player:
    """A player of the first ``most`` seconds of ``waves[0]``; a player without audio where ``waves`` is empty."""
    if not waves:
        return Player(label, "", "no audio was kept")
    seconds = len(waves[0]) / SAMPLE_RATE
    cut = f"the first {most:.0f} s of {seconds:.0f}" if seconds > most else ""
    return Player(label, data_uri(mp3(waves[0], most), "audio/mpeg"), ", ".join(filter(None, (note, cut))))


def recordings(folder: Path, stem: str) -> list[Wave]:
    """The recordings ``STEM.wav``, ``STEM_1.wav``, ``STEM_2.wav``, ... of a run's folder that can be read."""
    count = len(list(folder.glob(f"{stem}_*.wav")))
    paths = [folder / f"{stem}.wav", *(folder / f"{stem}_{number}.wav" for number in range(1, 1 + count))]
    return [wave for path in paths for wave in read_audio(path)]


def spoken(folder: Path, role: str, place: int) -> list[Wave]:
    """The speech that a run kept of one of its voices, as a list of one wave; empty where the run kept none.

    Args:
        folder: of the run.
        role: of the voice, see :data:`kvw.runs.artifacts.ROLES`.
        place: of the text, see :func:`kvw.runs.artifacts.spoken_path`.
    """
    return read_audio(folder / "best.wav" if role == "best" and place == 0 else spoken_path(folder, role, place))


def read_audio(path: Path) -> list[Wave]:
    """The recording in a file, as a list of one wave; empty where there is no such file or it can't be decoded."""
    try:
        return [decode_file(path)] if path.is_file() else []
    except KvwError:
        return []

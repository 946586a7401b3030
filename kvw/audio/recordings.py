"""Recordings: reading one that can be a target, listing those of a folder, and cutting a clip at a pause."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kvw.audio.decode import decode_file, is_silent
from kvw.audio.refusal import refusal
from kvw.audio.vad import speech_seconds
from kvw.errors import KvwError
from kvw.text import printable_line
from kvw.types import SAMPLE_RATE, Wave

MIN_SPEECH_SECONDS = 3.0
"""Seconds of speech, as the voice activity detector counts them, that a target needs."""

MIN_HELDOUT_SPEECH_SECONDS = 1.0
"""Seconds of speech that the held-out part of a clip needs."""

MIN_SPLIT_SECONDS = 12.0
"""Seconds: a clip that is no longer than this is not split."""

SPLIT_MARGIN = 0.1
"""Fraction of a clip that is searched for a pause, on each side of the wanted cut."""

SPLIT_PAUSE = SAMPLE_RATE // 5
"""Samples (0.2 s): the length of the pause that is looked for."""

OFFSET = 0.005
"""A mean of the samples above which it is an error of a sound card's, and taken out: the noise that is measured and the
voice activity detector suffer from it. Real recordings have up to 0.003."""

SUFFIXES = frozenset(
    (
        *(".wav", ".w64", ".caf", ".au", ".aif", ".aiff", ".aifc", ".flac", ".ape", ".wv"),
        *(".mp3", ".m4a", ".m4b", ".aac", ".ogg", ".oga", ".opus", ".spx", ".wma", ".ac3", ".amr", ".mka"),
        *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".3gp", ".ogv", ".wmv", ".mpg", ".mpeg", ".flv"),
    )
)
"""Endings of the files that count as recordings in a folder; a file that is named itself may have any ending."""


class TooLittleSpeech(KvwError):
    """A recording has less speech than a target needs."""


def read_recording(path: Path) -> Wave:
    """Reads a recording and checks that it can be a target.

    Returns:
        As :func:`kvw.audio.decode.decode_file`, with at least :data:`MIN_SPEECH_SECONDS` of speech, and without a mean
        above :data:`OFFSET`.

    Raises:
        TooLittleSpeech: it has less than :data:`MIN_SPEECH_SECONDS`.
        KvwError: as :func:`kvw.audio.decode.decode_file`; or the recording is silent.
    """
    wave = decode_file(path)
    if is_silent(wave):
        raise refusal(path, "expected speech; got silence; check the recording's level and its channels")
    if abs(mean := wave.mean(dtype=np.float64)) > OFFSET:
        wave = np.clip(wave - np.float32(mean), -1, 1)
    speech = speech_seconds(wave)
    if speech < MIN_SPEECH_SECONDS:
        got = f"{speech:.1f} s in {len(wave) / SAMPLE_RATE:.1f} s of audio"
        reason = f"expected at least {MIN_SPEECH_SECONDS:g} s of speech; got {got}; bring a longer or clearer clip"
        raise TooLittleSpeech(str(refusal(path, reason)))
    return wave


def in_folder(folder: Path) -> tuple[list[Path], list[str]]:
    """The recordings of a folder, and the names of everything else in the folder.

    Returns:
        The files with an ending of :data:`SUFFIXES`, sorted; the names of hidden files, other files and folders.

    Raises:
        KvwError: the folder can't be read, or has no recording.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise refusal(folder, f"can't be read ({printable_line(error)}); check the path and its permissions") from error
    files = [
        path for path in entries if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
    ]
    if not files:
        raise refusal(folder, "expected a folder of recordings; got one without; put WAV, FLAC or MP3 files into it")
    return files, [printable_line(path.name) for path in sorted({*entries} - {*files})]


def by_speaker(folder: Path) -> dict[str, list[Path]]:
    """The recordings of several speakers, each list sorted, by the speaker's name.

    A folder in ``folder`` is a speaker of its name. A file in it is a speaker's whose name ends at the first dash:
    ``1688-0.flac`` and ``1688-1.flac`` are of ``1688``, and ``lighthouse.wav`` of ``lighthouse``. A folder without
    recordings, or one that can't be read, is a speaker of none.

    Raises:
        KvwError: the folder can't be read, or has no recording and no folder.
    """
    if not folder.is_dir():
        raise refusal(folder, "expected a folder with recordings of several speakers; got none; check the path")
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            try:
                recordings, _ = in_folder(path)
            except KvwError:
                recordings = []
            found.setdefault(path.name, []).extend(recordings)
        elif path.suffix.lower() in SUFFIXES:
            found.setdefault(path.stem.partition("-")[0], []).append(path)
    if not found:
        raise refusal(folder, "expected recordings, or a folder of them for each speaker; got none")
    return found


def split_at_pause(wave: Wave, fraction: float = 0.75) -> tuple[Wave, Wave] | None:
    """Cuts a clip in the middle of the quietest 0.2 s near a fraction of its length, be it a pause or not.

    Args:
        wave: float32 ``(samples,)``, 24 kHz.
        fraction: where to cut, in [0.1, 0.9]; the cut falls within :data:`SPLIT_MARGIN` of it.

    Returns:
        Copies of the two parts, or None for a clip of :data:`MIN_SPLIT_SECONDS` or less.

    Raises:
        ValueError: the fraction is out of range.
    """
    if not SPLIT_MARGIN <= fraction <= 1 - SPLIT_MARGIN:
        raise ValueError(f"expected a fraction in [{SPLIT_MARGIN}, {1 - SPLIT_MARGIN}]; got {fraction}")
    if len(wave) <= MIN_SPLIT_SECONDS * SAMPLE_RATE:
        return None
    first = round((fraction - SPLIT_MARGIN) * len(wave))
    last = round((fraction + SPLIT_MARGIN) * len(wave))
    power = np.concatenate([[0.0], np.cumsum(np.square(wave[first:last], dtype=np.float64))])
    energy = power[SPLIT_PAUSE:] - power[:-SPLIT_PAUSE]
    quietest = np.flatnonzero(energy <= energy.min())
    middles = first + quietest + SPLIT_PAUSE // 2
    cut = int(middles[np.argmin(np.abs(middles - fraction * len(wave)))])
    return wave[:cut].copy(), wave[cut:].copy()


def hold_out(wave: Wave) -> tuple[Wave, Wave] | None:
    """Cuts the last quarter off a target, at a pause, so that it can judge the result.

    Returns:
        The part for the search and the held-out part; None if the clip is too short, or if a part would have too
        little speech (:data:`MIN_SPEECH_SECONDS`, :data:`MIN_HELDOUT_SPEECH_SECONDS`).
    """
    parts = split_at_pause(wave)
    if parts is None or speech_seconds(parts[0]) < MIN_SPEECH_SECONDS:
        return None
    return parts if speech_seconds(parts[1]) >= MIN_HELDOUT_SPEECH_SECONDS else None

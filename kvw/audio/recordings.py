"""Recordings: what can be a target, the recordings of a folder, and cutting a clip at a pause."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from kvw.audio.decode import decode_file
from kvw.audio.refusal import refusal
from kvw.audio.vad import speech_seconds
from kvw.text import printable_line
from kvw.types import SAMPLE_RATE, Wave


def wave_digest(wave: Wave) -> str:
    """sha256 over the samples of ``wave``, little-endian float32."""
    return hashlib.sha256(np.ascontiguousarray(wave, dtype="<f4").tobytes()).hexdigest()


MIN_SPEECH_SECONDS = 3.0
"""Seconds of speech (frames that the voice activity detector accepts) that a target needs."""

MIN_HELDOUT_SPEECH_SECONDS = 1.0
"""Seconds of speech that is needed in what is cut off a clip to judge by."""

MIN_SPLIT_SECONDS = 12.0
"""Seconds: a clip of this length or less is not split."""

SILENCE_RANGE = 1e-3
"""Largest minus smallest sample, full scale 2: below this (-66 dB) a recording is silent, whatever its offset."""

SPLIT_MARGIN = 0.1
"""Fraction of a clip, on each side of the wanted cut, that is searched for a pause."""

SPLIT_PAUSE = SAMPLE_RATE // 5
"""Samples (0.2 s): the width of the pause that is looked for."""

SUFFIXES = frozenset(
    (
        *(".wav", ".w64", ".caf", ".au", ".aif", ".aiff", ".aifc", ".flac", ".ape", ".wv"),
        *(".mp3", ".m4a", ".m4b", ".aac", ".ogg", ".oga", ".opus", ".spx", ".wma", ".ac3", ".amr", ".mka"),
        *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".3gp", ".ogv", ".wmv", ".mpg", ".mpeg", ".flv"),
    )
)
"""Endings of the files of a folder that are taken for recordings; a file that is named itself may have any."""


def read_recording(path: Path) -> Wave:
    """Reads a recording and checks that it can be a target.

    Returns:
        As :func:`read`, with at least :data:`MIN_SPEECH_SECONDS` of speech.

    Raises:
        KvwError: as :func:`read`; or the recording is silent, or has too little speech. One line that names the file.
    """
    wave = decode_file(path)
    if float(np.ptp(wave)) < SILENCE_RANGE:
        raise refusal(path, "expected speech, came silence; check the recording's level and its channels")
    speech = speech_seconds(wave)
    if speech < MIN_SPEECH_SECONDS:
        came = f"came {speech:.1f} s in {len(wave) / SAMPLE_RATE:.1f} s of audio"
        raise refusal(
            path, f"expected at least {MIN_SPEECH_SECONDS:g} s of speech, {came}; bring a longer or clearer clip"
        )
    return wave


def in_folder(folder: Path) -> tuple[list[Path], list[str]]:
    """The recordings of a folder, and what else is in it.

    Returns:
        Files with an ending of :data:`SUFFIXES`, by name; names of the rest: hidden and other files, folders.

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
        raise refusal(folder, "expected a folder of recordings, came one without; put WAV, FLAC or MP3 files into it")
    return files, [printable_line(path.name) for path in sorted({*entries} - {*files})]


def split_at_pause(wave: Wave, fraction: float = 0.75) -> tuple[Wave, Wave] | None:
    """Cuts a clip in the middle of the quietest 0.2 s near a fraction of its length; where none pauses, there anyway.

    Args:
        wave: float32 ``(samples,)``, 24 kHz.
        fraction: where to cut, in [0.1, 0.9]; a pause is searched :data:`SPLIT_MARGIN` before and after it.

    Returns:
        Two copies that together are the clip, or None for a clip of :data:`MIN_SPLIT_SECONDS` or less.

    Raises:
        ValueError: the fraction is out of range.
    """
    if not SPLIT_MARGIN <= fraction <= 1 - SPLIT_MARGIN:
        raise ValueError(f"expected a fraction in [{SPLIT_MARGIN}, {1 - SPLIT_MARGIN}], came {fraction}")
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
    """Cuts the last quarter off a target, at a pause, to judge the result by.

    Returns:
        The target and what is held out; None where the clip is too short, or one of them would have too little speech
        (:data:`MIN_SPEECH_SECONDS`, :data:`MIN_HELDOUT_SPEECH_SECONDS`).
    """
    parts = split_at_pause(wave)
    if parts is None or speech_seconds(parts[0]) < MIN_SPEECH_SECONDS:
        return None
    return parts if speech_seconds(parts[1]) >= MIN_HELDOUT_SPEECH_SECONDS else None

"""Writes audio in every format, to a file or into a page as a data URI."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import soundfile

from kvw.audio.refusal import refusal
from kvw.runtime import signals
from kvw.runtime.files import write_whole
from kvw.types import SAMPLE_RATE, Wave

FADE = 0.02
"""Seconds over which a wave that is cut off fades out."""

ENDINGS = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".ogg": ("OGG", "VORBIS"),
}
"""Formats that audio can be written in, with libsndfile's names, by the ending of a file's name."""


def write_audio(path: Path, wave: Wave) -> None:
    """Writes mono audio at 24 kHz in the format of its name's ending; readers see the old file or the whole new one.

    Args:
        path: in a folder that exists; ends in one of :data:`ENDINGS`.
        wave: float32 ``(samples,)``, 24 kHz; beyond [-1, 1] it is clipped.

    Raises:
        KvwError: another ending; or the wave has NaN or infinite samples.
        OSError: the file can't be written.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise refusal(path, f"expected a name in {', '.join(ENDINGS)} to write audio; got {path.suffix or 'none'}")
    if not np.isfinite(wave).all():
        raise refusal(path, "expected finite samples to write; got NaN or infinity; the audio was not written")
    write_whole(path, _encode(wave, ending))


def mp3(wave: Wave, most: float) -> bytes:
    """The first ``most`` seconds of a wave as MP3, some 6 kB a second; a wave that is cut off fades out.

    Args:
        wave: float32 ``(samples,)``, 24 kHz, finite; beyond [-1, 1] it is clipped.
        most: above 0.
    """
    heard = np.clip(wave[: round(most * SAMPLE_RATE)], -1, 1)
    if len(heard) < len(wave):
        fade = min(len(heard), round(FADE * SAMPLE_RATE))
        heard[len(heard) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return _encode(heard, ".mp3")


def data_uri(content: bytes, kind: str) -> str:
    """A file's content as an address within a page: ``data:audio/mpeg;base64,...``."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _encode(wave: Wave, ending: str) -> bytes:
    form, subtype = ENDINGS[ending]
    encoded, clipped = io.BytesIO(), np.clip(wave, -1.0, 1.0)
    # libsndfile calls Python to write, and an interrupt that is raised in such a call is lost there with the audio
    with signals.deferred(), soundfile.SoundFile(encoded, "w", SAMPLE_RATE, 1, subtype, format=form) as file:
        for start in range(0, len(clipped), SAMPLE_RATE):  # libsndfile overflows its stack on minutes of Vorbis at once
            file.write(clipped[start : start + SAMPLE_RATE])
    return encoded.getvalue()

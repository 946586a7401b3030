"""What recordings of a speaker are like, and what to do about it: a line for each thing that a user should mend.

:func:`remarks` are found at once; :func:`speaker_doubts` ask the speaker encoder, which takes seconds to load, who
speaks. The thresholds were measured on ten recordings of six speakers, and on copies that were made worse.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kvw.audio.vad import FRAME, speech_frames
from kvw.text import listed
from kvw.types import SAMPLE_RATE, Embedding, Wave, mean_embedding

MIN_SPEECH_SECONDS = 6.0
"""Of all recordings together."""

MAX_CLIP_SECONDS = 60.0
"""Of each recording."""

MIN_SPEECH_SHARE = 0.5
"""Of a recording's length; the real ones have 0.73 to 0.90."""

MIN_LEVEL = -40.0
"""dBFS of the speech; the real ones have -25 to -15."""

MAX_CLIPPED = 0.005
"""Share of the samples above :data:`TOP`; the real ones have 0.0002 to 0.002, and 0.0046 to 0.013 once 0.3 % of their
samples were cut off, whatever rate and codec came after that."""

MIN_SNR = 10.0
"""dB; the real ones have 13 to 52, and below 10 with white, pink or humming noise or other talkers 7 dB below them."""

TOP = 0.85
"""Fraction of a recording's peak: speech rarely comes near it, speech that was cut off often does."""

NOISE_FLOOR = 1e-9
"""Power of the least noise that is told from silence: -90 dBFS."""

STRANGER = 0.75
"""Cosine of a recording to the mean of the others. With 4 to 10 s of speech each, one speaker's have 0.74 to 0.98 (1 %
below 0.82), an intruder 0.2 to 0.76 (5 % above 0.66)."""

TWO_SPEAKERS = 0.72
"""Cosine of the two groups that a recording's pieces fall into. From 7 s on, one speaker has 0.74 to 0.97, in noise
too, and two with 6 or 10 s each 0.44 to 0.75. Turns of 2 s are too short to be told apart."""

PIECE = 2 * SAMPLE_RATE
"""Samples of a piece: one a second, or :data:`MAX_PIECES` of a longer recording."""

MIN_PIECES = 6
MAX_PIECES = 60

Encoder = Callable[[Sequence[Wave]], list[Embedding | None]]
"""What :class:`kvw.fitness.speaker.SpeakerEncoder` is; importing that takes seconds."""


@dataclass(frozen=True)
class Quality:
    """What a recording is like.

    Attributes:
        seconds: its length.
        speech: seconds in which somebody speaks.
        level: of the speech, dBFS: 0 is the power of full scale.
        snr: power of the speech over that of the noise, dB; the noise is the quietest tenth, so that it comes out some
            5 dB too low where nobody pauses.
        clipped: share in [0, 1] of the samples above :data:`TOP` of the peak.
    """

    seconds: float
    speech: float
    level: float
    snr: float
    clipped: float


def measure(wave: Wave) -> Quality:
    """Measures a recording that has speech."""
    spoken = speech_frames(wave)
    frames = wave[: len(spoken) * FRAME].reshape(len(spoken), FRAME)
    powers = np.mean(np.square(frames, dtype=np.float64), axis=1)
    noise = max(float(np.percentile(powers, 10)), NOISE_FLOOR)
    speech = max(float(np.mean(powers[spoken])), NOISE_FLOOR)
    loudness = np.abs(wave)
    peak = np.percentile(loudness, 99.99)  # not the maximum: a click is no peak of speech
    return Quality(
        seconds=len(wave) / SAMPLE_RATE,
        speech=np.count_nonzero(spoken) * FRAME / SAMPLE_RATE,
        level=decibels(speech),
        snr=decibels(max(speech / noise - 1, 1e-3)),  # what is heard in speech is speech and noise
        clipped=float(np.mean(loudness > TOP * peak)),
    )


def decibels(power: float) -> float:
    """A ratio of powers in dB."""
    return 10 * math.log10(power)


class Fault(NamedTuple):
    """What a recording can have: what is expected, what to do, the figure that came, and when it is a fault."""

    expected: str
    advice: str
    figure: Callable[[Quality], str]
    found: Callable[[Quality], bool]


FAULTS = (
    Fault(
        f"recordings of {MAX_CLIP_SECONDS:.0f} s at most",
        "choose the clearest 10 to 30 s, or cut it into several clips, of which some are held out",
        lambda one: f"{one.seconds:.0f} s",
        lambda one: one.seconds > MAX_CLIP_SECONDS,
    ),
    Fault(
        f"speech in {MIN_SPEECH_SHARE:.0%} of a recording or more",
        "cut out what is not speech: it counts in the acoustic statistics",
        lambda one: f"{one.speech / one.seconds:.0%}",
        lambda one: one.speech < MIN_SPEECH_SHARE * one.seconds,
    ),
    Fault(
        f"speech at {MIN_LEVEL:.0f} dBFS or more",
        "raise it to about -20 dBFS in an audio editor",
        lambda one: f"{one.level:.0f} dBFS",
        lambda one: one.level < MIN_LEVEL,
    ),
    Fault(
        f"at most {MAX_CLIPPED:.1%} of the samples near the peak",
        "it sounds cut off at its limit: record again at a lower level, or use another recording",
        lambda one: f"{one.clipped:.1%}",
        lambda one: one.clipped > MAX_CLIPPED,
    ),
    Fault(
        f"noise {MIN_SNR:.0f} dB below the speech or more",
        "record where it is quiet, or remove the noise: a search imitates it too",
        lambda one: f"{one.snr:.0f} dB",
        lambda one: one.snr < MIN_SNR,
    ),
)


def remarks(recordings: Mapping[str, Wave]) -> tuple[str, list[str]]:
    """What the recordings of a target are like.

    Returns:
        One line with the figures; a line for each kind of fault, with the recordings that have it and what to do.
    """
    measured = {path: measure(wave) for path, wave in recordings.items()}
    of_all = list(measured.values())
    seconds, speech = sum(one.seconds for one in of_all), sum(one.speech for one in of_all)
    several = f"{len(of_all)} recordings, " if len(of_all) > 1 else ""
    summary = (
        f"{several}{seconds:.1f} s, speech {speech / seconds:.0%}, "
        f"level {np.mean([one.level for one in of_all]):.0f} dBFS, SNR {np.mean([one.snr for one in of_all]):.0f} dB"
    )
    faults = []
    if speech < MIN_SPEECH_SECONDS:
        faults.append(
            f"target_audio: expected {MIN_SPEECH_SECONDS:.0f} s of speech or more; got {speech:.1f} s; "
            "10 to 30 s tell more of the speaker"
        )
    for fault in FAULTS:
        came = [f"{fault.figure(one)} in {path}" for path, one in measured.items() if fault.found(one)]
        if came:
            faults.append(f"target_audio: expected {fault.expected}; got {listed(came)}; {fault.advice}")
    return summary, faults


def speaker_doubts(encoder: Encoder, recordings: Mapping[str, Wave]) -> list[str]:
    """Whether one person speaks: a line for each recording that seems to have several, or another than the rest."""
    lines = []
    for path, wave in recordings.items():
        cosine = halves(encoder, wave)
        if cosine < TWO_SPEAKERS:
            lines.append(
                f"{path}: expected one speaker; got parts that differ as two speakers do (cosine {cosine:.2f}, of one "
                f"{TWO_SPEAKERS} or more); listen, and cut out the other voice or the music"
            )
    embeddings = zip(recordings, encoder(list(recordings.values())), strict=True)
    known = {path: embedding for path, embedding in embeddings if embedding is not None}
    for path, cosine in strangers(known).items():
        lines.append(
            f"{path}: expected the speaker of the other recordings; got a cosine of {cosine:.2f} to them, of one "
            f"speaker {STRANGER} or more; listen, and leave it out if it is somebody else: until then it counts"
        )
    return lines


def strangers(embeddings: Mapping[str, Embedding]) -> dict[str, float]:
    """The recordings that do not sound like the rest, and how alike they are, the least alike first.

    Each is taken out before the others are compared again: one intruder among three would draw the mean away from all.
    """
    left, out = dict(embeddings), {}
    while len(left) > 1:
        alike = {
            path: float(own @ mean_embedding([left[other] for other in left if other != path]))
            for path, own in left.items()
        }
        least = min(reversed(alike), key=lambda path: alike[path])  # of two, the second is the stranger
        if alike[least] >= STRANGER:
            break
        out[least] = alike[least]
        del left[least]
    return out


def halves(encoder: Encoder, wave: Wave) -> float:
    """Divides the pieces of a recording that are mostly speech into two groups of like ones.

    Returns:
        The cosine of the two groups; 1 where there are too few pieces to say.
    """
    spoken = speech_frames(wave)
    starts = range(0, len(wave) - PIECE + 1, max(SAMPLE_RATE, len(wave) // MAX_PIECES))
    parts = [
        wave[start : start + PIECE]
        for start in starts
        if np.mean(spoken[start // FRAME : (start + PIECE) // FRAME]) >= MIN_SPEECH_SHARE
    ]
    heard = [embedding for embedding in encoder(parts) if embedding is not None]
    if len(heard) < MIN_PIECES:
        return 1.0
    pieces = np.stack(heard)
    centred = pieces - pieces.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    first = centred @ directions[0] > 0
    for _ in range(20):  # k-means from the main direction; it settles in a few rounds
        if first.all() or not first.any():
            return 1.0
        one, other = mean_embedding(pieces[first]), mean_embedding(pieces[~first])
        nearer = pieces @ one > pieces @ other
        if (nearer == first).all():
            break
        first = nearer
    return float(one @ other)

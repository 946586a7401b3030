"""Checks the recordings of a speaker: a line for each fault that a user should mend, and how.

:func:`remarks` measures the recordings at once; :func:`speaker_doubts` asks the speaker encoder, which takes seconds to
load, whether one person speaks. The thresholds below were chosen on ten real recordings of six speakers ("the real
ones"), and on copies that were made worse.
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
"""Least seconds of speech in all recordings together."""

MAX_CLIP_SECONDS = 60.0
"""Most seconds of each recording."""

MIN_SPEECH_SHARE = 0.5
"""Least share of speech in a recording's length; the real ones have 0.73 to 0.90."""

MIN_LEVEL = -40.0
"""Lowest level of the speech, dBFS; the real ones have -25 to -15."""

MAX_CLIPPED = 0.005
"""Most samples above :data:`TOP`, as a share; the real ones have 0.0002 to 0.002, and copies in which 0.3 % of the
samples were cut off 0.0046 to 0.013, whatever their rate and codec."""

MIN_SNR = 10.0
"""Least signal-to-noise ratio, dB; the real ones have 13 to 52, and below 10 with white, pink or humming noise or other
talkers 7 dB below the speaker."""

MIN_TREBLE = -70.0
"""Least power of the speech above :data:`BAND`, dB below all of it; the real ones have -51 to -13, and copies at 8 kHz,
the band of a telephone, -112 to -95. Resemblyzer finds a cosine of 0.8 between such a copy and the recording."""

BAND = 4000
"""What a telephone leaves out, Hz."""

TOP = 0.85
"""Fraction of a recording's peak: speech is rarely louder, speech that was cut off at full scale often is."""

NOISE_FLOOR = 1e-9
"""Power below which noise counts as silence: -90 dBFS."""

STRANGER = 0.75
"""Cosine of a recording to the mean of the others below which another person speaks. With 4 to 10 s of speech each,
recordings of one speaker have 0.74 to 0.98 (1 % below 0.82), a stranger's 0.2 to 0.76 (5 % above 0.66)."""

TWO_SPEAKERS = 0.72
"""Cosine of the two groups that a recording's pieces fall into, below which two people speak. From 7 s on, one speaker
has 0.74 to 0.97, in noise too, and two with 6 or 10 s each 0.44 to 0.75. Turns of 2 s are too short to tell apart."""

PIECE = 2 * SAMPLE_RATE
"""Samples of a piece; pieces begin every second, or further apart where :data:`MAX_PIECES` would be exceeded."""

MIN_PIECES = 6
MAX_PIECES = 60

Encoder = Callable[[Sequence[Wave]], list[Embedding | None]]
"""The type of :class:`kvw.fitness.speaker.SpeakerEncoder`, of a room above, whose import takes seconds."""


@dataclass(frozen=True)
class Quality:
    """The measurements of a recording.

    Attributes:
        seconds: the recording's length.
        speech: seconds of speech.
        level: level of the speech, dBFS: 0 is the power of full scale.
        snr: power of the speech over the power of the noise, dB. The noise is the quietest tenth of the frames, so the
            ratio is some 5 dB too low where nobody pauses.
        clipped: share in [0, 1] of the samples above :data:`TOP` of the peak.
        treble: power of the speech above :data:`BAND` over all of it, dB.
    """

    seconds: float
    speech: float
    level: float
    snr: float
    clipped: float
    treble: float


def measure(wave: Wave) -> Quality:
    """Measures a recording, which must hold speech."""
    spoken = speech_frames(wave)
    frames = wave[: len(spoken) * FRAME].reshape(len(spoken), FRAME)
    powers = np.mean(np.square(frames, dtype=np.float64), axis=1)
    noise = max(float(np.percentile(powers, 10)), NOISE_FLOOR)
    speech = max(float(np.mean(powers[spoken])), NOISE_FLOOR)
    heard = frames[spoken] if spoken.any() else frames
    spectrum = np.mean(np.abs(np.fft.rfft(heard * np.hanning(FRAME))) ** 2, axis=0)
    above = spectrum[np.fft.rfftfreq(FRAME, 1 / SAMPLE_RATE) > BAND].sum() / max(spectrum.sum(), NOISE_FLOOR)
    loudness = np.abs(wave)
    peak = np.percentile(loudness, 99.99)  # not the maximum, which may be a click
    return Quality(
        seconds=len(wave) / SAMPLE_RATE,
        speech=np.count_nonzero(spoken) * FRAME / SAMPLE_RATE,
        level=decibels(speech),
        snr=decibels(max(speech / noise - 1, 1e-3)),  # frames of speech hold the noise too
        clipped=float(np.mean(loudness > TOP * peak)),
        treble=decibels(max(above, 1e-15)),
    )


def decibels(power: float) -> float:
    """A ratio of powers, in dB."""
    return 10 * math.log10(power)


class Fault(NamedTuple):
    """A fault that a recording can have.

    Attributes:
        expected: the words for a recording without the fault.
        advice: how to mend the fault.
        figure: the measurement, for the message.
        applies: whether a recording has the fault.
    """

    expected: str
    advice: str
    figure: Callable[[Quality], str]
    applies: Callable[[Quality], bool]


FAULTS = (
    Fault(
        f"recordings of {MAX_CLIP_SECONDS:.0f} s at most",
        "choose the clearest 10 to 30 s, or cut it into several clips, of which some are held out",
        lambda quality: f"{quality.seconds:.0f} s",
        lambda quality: quality.seconds > MAX_CLIP_SECONDS,
    ),
    Fault(
        f"speech in {MIN_SPEECH_SHARE:.0%} of a recording or more",
        "cut out what is not speech: it counts in the acoustic statistics",
        lambda quality: f"{quality.speech / quality.seconds:.0%}",
        lambda quality: quality.speech < MIN_SPEECH_SHARE * quality.seconds,
    ),
    Fault(
        f"speech at {MIN_LEVEL:.0f} dBFS or more",
        "raise it to about -20 dBFS in an audio editor",
        lambda quality: f"{quality.level:.0f} dBFS",
        lambda quality: quality.level < MIN_LEVEL,
    ),
    Fault(
        f"at most {MAX_CLIPPED:.1%} of the samples near the peak",
        "it sounds cut off at its limit: record again at a lower level, or use another recording",
        lambda quality: f"{quality.clipped:.1%}",
        lambda quality: quality.clipped > MAX_CLIPPED,
    ),
    Fault(
        f"noise {MIN_SNR:.0f} dB below the speech or more",
        "record where it is quiet, or remove the noise: a search imitates it too",
        lambda quality: f"{quality.snr:.0f} dB",
        lambda quality: quality.snr < MIN_SNR,
    ),
    Fault(
        f"speech that goes above {BAND / 1000:.0f} kHz",
        "it sounds as through a telephone, and so will the voice; bring the recording of a microphone itself",
        lambda quality: f"{quality.treble:.0f} dB there",
        lambda quality: quality.treble < MIN_TREBLE,
    ),
)


def remarks(recordings: Mapping[str, Wave]) -> tuple[str, list[str]]:
    """Measures the recordings of a target, given by path.

    Returns:
        One line with the figures; then a line for each kind of fault: the recordings that have it, and what to do.
    """
    measured = {path: measure(wave) for path, wave in recordings.items()}
    qualities = list(measured.values())
    seconds, speech = sum(quality.seconds for quality in qualities), sum(quality.speech for quality in qualities)
    several = f"{len(qualities)} recordings, " if len(qualities) > 1 else ""
    level, snr = (np.mean([getattr(quality, name) for quality in qualities]) for name in ("level", "snr"))
    summary = f"{several}{seconds:.1f} s, speech {speech / seconds:.0%}, level {level:.0f} dBFS, SNR {snr:.0f} dB"
    faults = []
    if speech < MIN_SPEECH_SECONDS:
        faults.append(
            f"target_audio: expected {MIN_SPEECH_SECONDS:.0f} s of speech or more; got {speech:.1f} s; "
            "10 to 30 s tell more of the speaker"
        )
    for fault in FAULTS:
        figures = [f"{fault.figure(quality)} in {path}" for path, quality in measured.items() if fault.applies(quality)]
        if figures:
            faults.append(f"target_audio: expected {fault.expected}; got {listed(figures)}; {fault.advice}")
    return summary, faults


def speaker_doubts(encoder: Encoder, recordings: Mapping[str, Wave]) -> list[str]:
    """Whether one person speaks: a line for each recording of two people, or of another person than the rest."""
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
    """The recordings of another speaker than the rest, each with its cosine to the rest, the least alike first.

    A stranger is taken out before the rest is compared again: one among three would draw the mean away from all.
    """
    rest, strange = dict(embeddings), {}
    while len(rest) > 1:
        cosines = {
            path: float(own @ mean_embedding([rest[other] for other in rest if other != path]))
            for path, own in rest.items()
        }
        least = min(reversed(cosines), key=lambda path: cosines[path])  # of two, the second is the stranger
        if cosines[least] >= STRANGER:
            break
        strange[least] = cosines[least]
        del rest[least]
    return strange


def halves(encoder: Encoder, wave: Wave) -> float:
    """Divides the pieces of a recording that are mostly speech into two groups of similar pieces.

    Returns:
        The cosine between the means of the two groups; 1 if there are too few pieces.
    """
    spoken = speech_frames(wave)
    starts = range(0, len(wave) - PIECE + 1, max(SAMPLE_RATE, len(wave) // MAX_PIECES))
    parts = [
        wave[start : start + PIECE]
        for start in starts
        if np.mean(spoken[start // FRAME : (start + PIECE) // FRAME]) >= MIN_SPEECH_SHARE
    ]
    embeddings = [embedding for embedding in encoder(parts) if embedding is not None]
    if len(embeddings) < MIN_PIECES:
        return 1.0
    pieces = np.stack(embeddings)
    centred = pieces - pieces.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    first = centred @ directions[0] > 0
    for _ in range(20):  # k-means that starts from the main direction, and converges in a few rounds
        if first.all() or not first.any():
            return 1.0
        first_mean, second_mean = mean_embedding(pieces[first]), mean_embedding(pieces[~first])
        nearer = pieces @ first_mean > pieces @ second_mean
        if (nearer == first).all():
            break
        first = nearer
    return float(first_mean @ second_mean)

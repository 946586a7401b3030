"""Similarities on a scale that compares across encoders: a stranger is 0, a second recording of the speaker is 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kvw.types import Wave

LEAST_SPAN = 0.05
"""How much nearer than strangers second recordings have to be; an encoder below that does not tell people apart."""

Similar = Callable[[Sequence[Wave], Sequence[Wave]], "float | str"]
"""The mean cosine of waves to a speaker's recordings, by one encoder; or the reason why there is none."""


@dataclass(frozen=True)
class Recordings:
    """What is given of a speaker.

    Attributes:
        heard: the recordings that a search hears, at least one.
        heldout: those that judge its result, at least one.
        second: whether these are recordings of their own, not a part of the one that is searched on.
    """

    heard: Sequence[Wave]
    heldout: Sequence[Wave]
    second: bool


@dataclass(frozen=True)
class Scale:
    """The scale of one encoder.

    Attributes:
        stranger: the mean cosine of one speaker's recording to another's held-out ones, over all pairs of speakers.
        own: the cosine of a speaker's own recording to the held-out ones, for each who has a second recording.
        reason: why nothing can be normalised; empty where it can.
    """

    stranger: float
    own: Mapping[str, float]
    reason: str = ""

    def __call__(self, similarity: float, speaker: str) -> float | None:
        """The similarity of a voice to a speaker on this scale.

        The second recording of a speaker who has none is as near as those of the others, on average.

        Returns:
            0 for a stranger and 1 for a second recording; below 0 and above 1 for what is further and nearer. None
            where there is no scale, or the speaker's second recording is no nearer than a stranger's.
        """
        if self.reason:
            return None
        span = self.own.get(speaker, float(np.mean(list(self.own.values())))) - self.stranger
        return (similarity - self.stranger) / span if span >= LEAST_SPAN else None


def scale_of(similar: Similar, speakers: Mapping[str, Recordings]) -> Scale:
    """Measures an encoder's scale on the given recordings.

    Args:
        similar: the encoder.
        speakers: by name.
    """
    own: dict[str, float] = {}
    strangers = []
    for name, speaker in speakers.items():
        others = [other.heard[0] for key, other in speakers.items() if key != name]
        for waves in filter(None, (others, speaker.heard[:1] if speaker.second else [])):
            found = similar(waves, speaker.heldout)
            if isinstance(found, str):
                return Scale(np.nan, {}, found)
            if waves is others:
                strangers.append(found)
            else:
                own[name] = found
    if not strangers:
        return Scale(np.nan, own, "it needs recordings of two speakers")
    stranger = float(np.mean(strangers))
    if not own:
        return Scale(stranger, own, "it needs a second recording of a speaker")
    if (span := float(np.mean(list(own.values()))) - stranger) < LEAST_SPAN:
        reason = f"it does not tell these speakers apart: second recordings are {span:+.3f} nearer than strangers"
        return Scale(stranger, own, reason)
    return Scale(stranger, own)

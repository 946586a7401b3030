"""Moves a voice by what is heard of it: higher, faster, brighter, breathier, and else as alike as can be."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import NamedTuple

import numpy as np

from kvw.atlas.forward import DELIVERY, Array, Expected, Forward
from kvw.atlas.inversion import Whitened
from kvw.atlas.predictor import fitted
from kvw.atlas.samples import Samples
from kvw.errors import KvwError
from kvw.spaces.base import TIMBRE
from kvw.types import EMBEDDING_WIDTH, STYLE_WIDTH, Voice, mean_row

LIKENESS = 100.0
"""What moving the embedding costs, over the cost of moving the style by a unit in which stock voices differ.

Of stock voices that are made 15 % brighter the expected embedding keeps a cosine of .997, where .991 without this cost,
and the move is a fifth longer; ten times the cost makes it .999, and the move half as long again."""

STEPS = 4
"""Of Gauss and Newton: the forward model is not linear."""


class Kind(NamedTuple):
    """A kind of change.

    Attributes:
        most: the largest, up or down.
        unit: of it.
    """

    most: float
    unit: str


CHANGES = {
    "pitch": Kind(8.0, "semitones"),
    "pace": Kind(40.0, "%"),
    "brightness": Kind(40.0, "%"),
    "breathiness": Kind(3.0, "dB"),
}
"""The kinds, in the order of :attr:`kvw.atlas.forward.Expected.delivery`; the limits are about as far as stock voices
differ."""


@dataclass(frozen=True)
class Change:
    """How a voice should change, as it is heard.

    Attributes:
        pitch: semitones, in [-8, 8].
        pace: %, in [-40, 40].
        brightness: % of the spectral centroid, in [-40, 40].
        breathiness: dB that the cepstral peak loses in prominence, in [-3, 3].
    """

    pitch: float = 0.0
    pace: float = 0.0
    brightness: float = 0.0
    breathiness: float = 0.0

    def __post_init__(self) -> None:
        for name, (most, _) in CHANGES.items():
            if not abs(value := getattr(self, name)) <= most:
                raise KvwError(f"{name}: expected a change of {-most:g} to {most:g}; got {value:g}")

    def __bool__(self) -> bool:
        """Whether anything changes."""
        return any(astuple(self))

    @property
    def shift(self) -> Array:
        """The change of :attr:`kvw.atlas.forward.Expected.delivery`, ``(4,)``."""
        pace, brightness = np.log1p(np.array([self.pace, self.brightness]) / 100)
        return np.array([self.pitch * np.log(2) / 12, pace, brightness, -self.breathiness])


def amounts(shift: Array) -> dict[str, float]:
    """A shift of the delivery, ``(4,)``, by the names and in the units of :class:`Change`."""
    pitch, pace, brightness, prominence = shift.tolist()
    found = pitch * 12 / np.log(2), 100 * np.expm1(pace), 100 * np.expm1(brightness), -prominence
    return dict(zip(CHANGES, map(float, found), strict=True))


def adjusted(forward: Forward, whitened: Whitened, style: Array, shift: Array) -> Array:
    """The style, ``(256,)``, whose delivery is expected to differ from that of ``style`` by ``shift``, and little else.

    Pitch and pace are moved through the prosody half alone, since nothing else moves them in Kokoro; what the model
    expects of timbre beside that is made up for, and is an error that shows when the voice speaks.

    Args:
        forward: what is known of the voices.
        whitened: the coordinates in which a move is small.
        style: the mean row of a voice, ``(256,)``.
        shift: of the delivery, ``(4,)``.
    """
    wanted = forward(style[None]).delivery[0] + shift
    outputs = np.eye(EMBEDDING_WIDTH + DELIVERY)
    asked = Expected(outputs[:, :EMBEDDING_WIDTH], outputs[:, EMBEDDING_WIDTH:])
    for _ in range(STEPS):
        slopes = forward.pullback(np.tile(style, (len(outputs), 1)), asked) @ whitened.axes.T
        by_embedding, by_delivery = slopes[:EMBEDDING_WIDTH], slopes[EMBEDDING_WIDTH:]
        by_delivery[:2, TIMBRE] = 0
        cost = np.eye(STYLE_WIDTH) + LIKENESS * by_embedding.T @ by_embedding
        cheapest = np.linalg.solve(cost, by_delivery.T)
        missing = wanted - forward(style[None]).delivery[0]
        style = style + cheapest @ np.linalg.solve(by_delivery @ cheapest, missing) @ whitened.axes
    return style


class Adjuster:
    """Changes voices of the synthesiser that an atlas knows.

    Args:
        samples: of the atlas.
    """

    def __init__(self, samples: Samples) -> None:
        self._forward, self._whitened = fitted(samples), Whitened(samples.bank)

    def __call__(self, voice: Voice, shift: Array) -> Voice:
        """The voice with a delivery that is expected to be shifted; all rows move alike.

        Args:
            voice: float32 ``(510, 1, 256)``.
            shift: as :attr:`Change.shift`.
        """
        style = mean_row(voice)
        moved: Voice = voice + (adjusted(self._forward, self._whitened, style, shift) - style).astype(np.float32)
        return moved

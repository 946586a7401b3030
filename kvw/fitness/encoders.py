"""Further speaker encoders, which a search may hear beside Resemblyzer: one encoder's errors are another's alarm.

A search that climbs by one encoder alone also fits what that encoder gets wrong. Read :class:`Encoder`, then
:class:`JoinedEncoder`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from kvw.fitness.speaker import SpeakerEncoder
from kvw.types import Embedding, Wave


class Encoder(Protocol):
    """A speaker encoder on a CPU; picklable. A class of ``strategies/`` can be one.

    It may also have ``vjp(wave)``, as :meth:`kvw.fitness.speaker.SpeakerEncoder.vjp`; without it strategies that ask
    for gradients are refused.

    Attributes:
        identity: of the class; equal identities mean equal embeddings but for rounding.
    """

    identity: ClassVar[str]

    def __call__(self, wave: Wave) -> NDArray[np.float32]:
        """The embedding of a wave with speech, 24 kHz: a unit vector, always of the same width."""


class JoinedEncoder(SpeakerEncoder):
    """Resemblyzer and others as one encoder, whose cosine is the mean of theirs.

    An embedding is all embeddings side by side, Resemblyzer's first, over the root of their number.

    Args:
        own: Resemblyzer.
        others: at least one.

    Attributes:
        encoders: all of them.
    """

    joined = False

    def __init__(self, own: SpeakerEncoder, others: Sequence[Encoder]) -> None:
        self.encoders: tuple[Any, ...] = (own, *others)
        self.device = own.device
        self.identity = "+".join(encoder.identity for encoder in self.encoders)
        self._own, self._others = own, tuple(others)

    def __reduce__(self) -> tuple[Callable[..., SpeakerEncoder], tuple[Any, ...]]:
        return JoinedEncoder, (self._own, self._others)

    def embedding(self, wave: Wave) -> Embedding | None:
        """The embedding of one wave; None where Resemblyzer hears no speech."""
        first = self._own.embedding(wave)
        return None if first is None else side_by_side([first, *(encoder(wave) for encoder in self._others)])

    def speaker(self, recordings: Sequence[Wave], key: str, names: Sequence[str] = ()) -> Embedding:
        """As :class:`kvw.fitness.speaker.SpeakerEncoder`'s, each encoder's mean apart."""
        means = [self._own.speaker(recordings, key, names)]
        for encoder in self._others:
            mean = np.mean([encoder(wave) for wave in recordings], axis=0)
            means.append(mean / np.linalg.norm(mean))
        return side_by_side(means)

    def vjp(self, wave: Wave) -> tuple[Embedding, Callable[[Embedding], Wave]] | None:
        """As :class:`kvw.fitness.speaker.SpeakerEncoder`'s, of encoders that all have one."""
        pairs = []
        for encoder in self.encoders:  # all have one: a strategy that asks for gradients checks it
            pair = encoder.vjp(wave)
            if pair is None:
                return None
            pairs.append(pair)
        embeddings, backs = zip(*pairs, strict=True)
        ends = np.cumsum([len(embedding) for embedding in embeddings])[:-1]
        share = np.float32(len(pairs) ** -0.5)

        def back(cotangent: Embedding) -> Wave:
            parts = np.split(cotangent * share, ends)
            return np.asarray(sum(one(part) for one, part in zip(backs, parts, strict=True)))

        return side_by_side(embeddings), back


def side_by_side(embeddings: Sequence[Embedding]) -> Embedding:
    """Unit vectors as one unit vector, float32."""
    joined: Embedding = np.concatenate(embeddings).astype(np.float32) / np.float32(len(embeddings) ** 0.5)
    return joined

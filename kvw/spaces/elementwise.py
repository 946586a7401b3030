"""KVoiceWalk's space: every number of a voice is a gene."""

from __future__ import annotations

from kvw.spaces.base import FreeColumns, Voices, spread
from kvw.types import MAX_PHONEMES, Genome, Voice


class Elementwise:
    """KVoiceWalk's space: each of the 510 x 256 numbers of a voice is a gene, so that rows move independently."""

    def __init__(self, *, bank: Voices, top: Voices, base: Voice, freeze: str | None = None) -> None:
        self._free = FreeColumns(base, freeze)
        self.dim = MAX_PHONEMES * self._free.width
        self.scale = spread([self.encode(voice) for voice in top])
        self.origin = self.encode(base)

    def decode(self, genome: Genome) -> Voice:
        """Reshapes ``(130560,)``, or half as many genes, to the free columns, rounded to float32."""
        return self._free.write(genome)

    def encode(self, voice: Voice) -> Genome:
        """Flattens the free columns to ``(130560,)``, or half as many genes; exact."""
        return self._free.read(voice).reshape(-1)

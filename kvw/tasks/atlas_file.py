"""The atlas that belongs to a synthesiser and an encoder: kvw's own, or the one that the config names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kvw.atlas.samples import Samples, read_samples
from kvw.config.paths import PACKAGE
from kvw.errors import KvwError
from kvw.fitness.speaker import SpeakerEncoder
from kvw.speech.synthesizer import Synthesizer

FEWEST = 50
"""Samples below which nothing is predicted."""


@dataclass(frozen=True)
class AtlasFile:
    """Reads the atlas of a synthesiser's model; nothing is loaded before it is asked.

    Attributes:
        file: of the atlas that the config names; None for kvw's own of the synthesiser's model.
        models: gives the synthesiser and the speaker encoder.
    """

    file: str | None
    models: Callable[[], tuple[Synthesizer, SpeakerEncoder]]

    @property
    def path(self) -> Path:
        """Of the file, which may be missing."""
        synthesizer, _ = self.models()
        return Path(self.file) if self.file else PACKAGE / "data" / "atlas" / f"{synthesizer.model}.safetensors"

    @property
    def here(self) -> bool:
        """As :class:`kvw.search.strategy.Predictor`."""
        return self.file is not None or self.path.is_file()

    @cached_property
    def samples(self) -> Samples:
        """Of the file.

        Raises:
            KvwError: the file is missing, damaged, or of another model or encoder; or there are too few samples.
        """
        synthesizer, encoder = self.models()
        if not self.here:
            raise KvwError(
                f"atlas.file: expected an atlas of {synthesizer.model}, to know its voices by; kvw has none; "
                "make one with task=atlas, and give atlas.file=FILE"
            )
        samples = read_samples(self.path)
        if len(samples) < FEWEST:
            raise KvwError(
                f"{self.path}: expected an atlas of {FEWEST} samples or more; got {len(samples)}; extend it with "
                "task=atlas"
            )
        for name, own in (("model", synthesizer.model), ("encoder", encoder.identity)):
            if (got := getattr(samples.origin, name)) != own:
                raise KvwError(
                    f"{self.path}: expected an atlas of the {name} {own}; got one of {got}; give another atlas.file="
                )
        return samples

    @property
    def digest(self) -> str:
        """Of the samples, 16 hex digits.

        Raises:
            KvwError: as :attr:`samples`.
        """
        return hashlib.sha256(self.samples.file()).hexdigest()[:16]

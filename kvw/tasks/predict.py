"""What strategies are told of the target: what an atlas predicts for it, and how to ask for gradients towards it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kvw.atlas.predictor import Predictor
from kvw.audio.pitch import intonation
from kvw.audio.target import Target
from kvw.config.fitness import FitnessSpec
from kvw.config.stages import compose_stage, make_stage
from kvw.errors import KvwError
from kvw.search.ranking import expected
from kvw.tasks.atlas_file import AtlasFile
from kvw.types import Embedding, Voice, mean_row


@dataclass(frozen=True)
class Atlas(AtlasFile):
    """Predicts voices for the target of a search; nothing is loaded before it is asked.

    Attributes:
        target: the recordings.
    """

    target: Target

    @cached_property
    def predictor(self) -> Predictor:
        """For the target.

        Raises:
            KvwError: as :attr:`samples`; they are too few; or no speech is heard in one of the recordings.
        """
        _, encoder = self.models()
        pitch, _, voiced = intonation(np.concatenate(self.target.clips))
        embedding = encoder.speaker(self.target.clips, "target_audio", self.target.searched)
        return Predictor(self.samples, embedding, float(pitch) if voiced else None)

    def __call__(self, count: int) -> NDArray[np.float64]:
        """As :class:`kvw.search.strategy.Predictor`."""
        return self.predictor(count)

    def likeness(self, styles: NDArray[np.float64]) -> NDArray[np.float64]:
        """As :class:`kvw.search.strategy.Predictor`."""
        return self.predictor.likeness(styles)

    def of_bank(self, bank: Mapping[str, Voice]) -> dict[str, float] | None:
        """The similarity to the target that is expected of stock voices, by name; None where there is no atlas.

        Raises:
            KvwError: as :attr:`predictor`, but for a file that is missing and was not asked for.
        """
        if not self.here:
            return None
        rows = np.array([mean_row(voice) for voice in bank.values()])
        return dict(zip(bank, self.likeness(rows).tolist(), strict=True))


def first_voice(atlas: Atlas, bank: Mapping[str, Voice]) -> Voice | None:
    """The voice that an atlas predicts for its target; nobody speaks for it, so that it is there within seconds.

    It is the first proposal of ``strategy=predicted`` in its own space, which starts at the stock voice that the atlas
    expects to be the nearest, where a search starts at the nearest of those that it has heard.

    Args:
        atlas: of the target.
        bank: stock voices by name, at least two.

    Returns:
        The voice, float32 ``(510, 1, 256)``; None where there is no atlas.

    Raises:
        KvwError: as :attr:`Atlas.predictor`, but for a file that is missing and was not asked for.
    """
    likeness = atlas.of_bank(bank)
    if likeness is None:
        return None
    nearest = expected(bank, likeness)[:1]
    node = compose_stage("predicted", None, settings=["strategy.count=1"])
    stage = make_stage("predicted", node, "", predictor=atlas)
    space, _, strategy = stage.make(list(bank.values()), nearest, nearest[0].voice, np.random.default_rng(0))
    (candidate,) = stage.generate(strategy, space.dim)
    return space.decode(candidate.genome)


@dataclass(frozen=True)
class TargetGradients:
    """A :class:`kvw.search.strategy.Gradients`; nothing is loaded before it is asked.

    Attributes:
        settings: of the search's fitness.
    """

    settings: FitnessSpec

    @cached_property
    def target(self) -> Embedding:
        """As :class:`kvw.search.strategy.Gradients`; also checks that the short texts can be pronounced."""
        fitness = self.settings()
        synthesizer, encoder = fitness.listener.synthesizer, fitness.listener.encoder
        encoders = getattr(encoder, "encoders", [encoder])
        for key, name, model in (
            ("synth", synthesizer.name, synthesizer),
            *(("fitness.encoders", each.identity, each) for each in encoders),
        ):
            if not hasattr(model, "vjp"):
                raise KvwError(
                    f"{key}: expected one that can be differentiated, for the gradients that a strategy asks for; got "
                    f"{name}; choose another strategy, such as strategy=sep_cma"
                )
        for text in self.settings.inputs.short_texts:
            synthesizer.script(text)
        return fitness.target

    @property
    def texts(self) -> int:
        """As :class:`kvw.search.strategy.Gradients`."""
        return len(self.settings.inputs.short_texts)

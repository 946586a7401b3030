"""Makes the fitness from its config, in the driver and in every worker process."""

from __future__ import annotations

import copy
import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kvw.config.inputs import Inputs
from kvw.config.nodes import build, locate
from kvw.fitness.bank_distance import BankDistance
from kvw.fitness.hybrid import HybridFitness
from kvw.fitness.listener import Listener
from kvw.fitness.sampler import Sampler
from kvw.fitness.speaker import SpeakerEncoder
from kvw.speech.synthesizer import Script, Synthesizer
from kvw.transcription.whisper import MISSING, find_model, word_listener
from kvw.types import Embedding, Voice

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FitnessSpec:
    """Everything that a worker needs to make the fitness; picklable.

    Attributes:
        synth: config node of the synthesiser.
        fitness: config node of the fitness.
        device: torch device.
        language: Kokoro's language letter.
        seed: of the synthesiser's noise.
        inputs: target and texts.
        prior: the stock voices' distances, for a fitness with the stage ``prior``; see :func:`prior_of`.
    """

    synth: dict[str, Any]
    fitness: dict[str, Any]
    device: str
    language: str
    seed: int
    inputs: Inputs
    prior: BankDistance | None = None

    def models(self) -> tuple[Synthesizer, SpeakerEncoder]:
        """The synthesiser and the speaker encoder, loaded once in a process, however many runs it does."""
        return _models(tuple(self.synth.items()), self.device, self.language)

    @property
    def encoders(self) -> list[str]:
        """Identities of the speaker encoders that the fitness hears."""
        _, own = self.models()
        further = self.fitness.get("encoders") or {}
        classes: list[Any] = [locate(node, name, "fitness") for name, node in further.items()]
        return [encoder.identity for encoder in (own, *classes)]

    def for_device(self, device: str) -> FitnessSpec:
        """The same fitness on another torch device."""
        return replace(self, device=device)

    def target(self) -> Embedding:
        """The target's embedding.

        Raises:
            KvwError: no speech is heard in one of its recordings.
        """
        _, encoder = self.models()
        return encoder.speaker(self.inputs.target.clips, "target_audio", self.inputs.target.searched)

    def scripts(self) -> tuple[Script, ...]:
        """The texts that voices are scored on, first the target text."""
        return self().scripts

    def listener(self, seed: int) -> Listener:
        """Synthesis and speaker embeddings with a noise seed of their own."""
        return Listener(*self.models(), seed)

    def __call__(self) -> HybridFitness:
        """Makes the fitness."""
        synthesizer, encoder = self.models()
        made: HybridFitness = build(
            self.fitness,
            "fitness",
            synthesizer=synthesizer,
            encoder=encoder,
            target=self.inputs.target.clips,
            target_text=self.inputs.target_text,
            other_text=self.inputs.other_text,
            further_texts=self.inputs.other_texts,
            short_texts=self.inputs.short_texts,
            prior=self.prior,
            language=self.language,
            seed=self.seed,
        )
        return made


@dataclass(frozen=True)
class SamplerSpec:
    """Everything that a worker needs to make the sampler of an atlas; picklable.

    Attributes:
        synth: config node of the synthesiser.
        device: torch device.
        language: Kokoro's language letter.
        seed: of the synthesiser's noise.
        texts: that voices speak.
    """

    synth: dict[str, Any]
    device: str
    language: str
    seed: int
    texts: tuple[str, ...]

    def for_device(self, device: str) -> SamplerSpec:
        """The same sampler on another torch device."""
        return replace(self, device=device)

    def __call__(self) -> Sampler:
        """Makes the sampler; the models are loaded once in a process."""
        synthesizer, encoder = _models(tuple(self.synth.items()), self.device, self.language)
        return Sampler(synthesizer=synthesizer, encoder=encoder, texts=self.texts, seed=self.seed)


def prior_of(bank: Iterable[Voice], fitness: Mapping[str, Any]) -> BankDistance | None:
    """The bank's prior where a fitness node has a weight for it; else None, so that it is not sent to workers."""
    weights = fitness.get("weights")
    return BankDistance(list(bank)) if isinstance(weights, Mapping) and weights.get("prior") is not None else None


def settled(fitness: DictConfig, language: str) -> DictConfig:
    """A fitness node as it can run here: without the stage ``words``, which is said, where Whisper is missing.

    Args:
        fitness: node of the fitness in a config.
        language: Kokoro's letter.

    Raises:
        KvwError: ``words_model`` is neither a size nor a converted model's folder.
    """
    if not runs_words(fitness) or word_listener(str(fitness.get("words_model")), language):
        return fitness
    log.warning("Words do not count in the fitness, for want of a Whisper that hears them: %s", MISSING)
    less = copy.deepcopy(fitness)
    for part in ("weights", "gates"):
        OmegaConf.update(less, f"{part}.words", None, force_add=True)
    return less


def runs_words(fitness: Any) -> bool:
    """Whether a fitness node, of a config or plain, has the stage ``words``."""
    weights = fitness.get("weights") if isinstance(fitness, (Mapping, DictConfig)) else None
    return isinstance(weights, (Mapping, DictConfig)) and weights.get("words") is not None


def model_digest(fitness: Mapping[str, Any], language: str) -> str:
    """sha256 of the Whisper that a fitness node's stage ``words`` runs; empty where the stage does not run.

    Raises:
        KvwError: as :func:`settled`.
    """
    if not runs_words(fitness):
        return ""
    folder = find_model(str(fitness.get("words_model")), language)
    return hashlib.sha256((folder / "model.bin").read_bytes()).hexdigest()[:16] if folder else ""


@lru_cache(maxsize=2)
def _models(synth: tuple[tuple[str, Any], ...], device: str, language: str) -> tuple[Synthesizer, SpeakerEncoder]:
    return build(dict(synth), "synth", device=device, language=language), SpeakerEncoder(device)

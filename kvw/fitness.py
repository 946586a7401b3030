"""The shared fitness: stages from cheap to dear, gates between them, one weighted harmonic mean.

The shape is the documents' (KVoiceWalk's ``score_voice`` and ``hybrid_similarity``): speak the target text and compare
the speaker with the target's; only if that is near enough to the incumbent's, speak another text and compare the voice
with itself, then compare acoustic statistics with the target's. A gate after a stage decides who goes on.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kvw import features
from kvw.candidate import Evaluation
from kvw.speaker import SpeakerEncoder, cosine
from kvw.speech import Script, Synthesizer
from kvw.types import SAMPLE_RATE, Embedding, Voice, Wave

SILENT_RMS = 1e-4
"""Below this level (full scale is 1) audio counts as silent: -80 dB."""

SHORTEST_SECONDS = 0.3
"""No text that can be scored is spoken in less."""

LONGEST_SECONDS_A_PHONEME = 1.0
"""Slower speech than this is a voice gone wrong; ordinary speech takes 0.07 s a phoneme."""


@dataclass(frozen=True)
class Gate:
    """What a candidate is compared with while it is being evaluated. Plain data: it travels to workers.

    Attributes:
        score: the reference's score, [0, 100].
        target_similarity: the reference's target similarity, [0, 1]; -1 lets everything pass.
        stages: stop after so many stages (for ranking); None runs all.
    """

    score: float = 0.0
    target_similarity: float = -1.0
    stages: int | None = None


OPEN = Gate()
"""Stops nothing."""


def harmonic_mean(parts: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """Weighted harmonic mean of similarities in [0, 1], x 100; 0 where one of them is 0 or less."""
    if any(parts[name] <= 0 for name in weights):
        return 0.0
    return 100 * sum(weights.values()) / sum(weight / parts[name] for name, weight in weights.items())


class Rule(Protocol):
    """Decides after a stage whether a candidate goes on."""

    def __call__(self, parts: Mapping[str, float], weights: Mapping[str, float], gate: Gate) -> bool:
        """``parts`` has the stages so far; True lets the candidate pass."""


class Margin:
    """The documents' gate: stop when the target similarity is below ``margin`` x the reference's.

    Raises:
        ValueError: ``margin`` is negative.
    """

    def __init__(self, margin: float = 0.98) -> None:
        if margin < 0:
            raise ValueError(f"expected a margin of 0 or more, such as 0.98; got {margin}")
        self.margin = margin

    def __call__(self, parts: Mapping[str, float], weights: Mapping[str, float], gate: Gate) -> bool:
        """Whether the candidate is near enough to the reference."""
        return parts["target"] >= self.margin * gate.target_similarity


class Lossless:
    """Stop when even perfect remaining stages could not beat the reference's score."""

    def __call__(self, parts: Mapping[str, float], weights: Mapping[str, float], gate: Gate) -> bool:
        """Whether the candidate can still win."""
        return harmonic_mean({name: parts.get(name, 1.0) for name in weights}, weights) > gate.score


@dataclass
class Trial:
    """One voice on its way through the stages."""

    voice: Voice
    parts: dict[str, float] = field(default_factory=dict)
    waves: dict[str, Wave] = field(default_factory=dict)
    embeddings: dict[str, Embedding] = field(default_factory=dict)
    synthesised: float = 0.0
    status: str = ""
    stage: str = ""
    detail: str = ""

    def fail(self, status: str, detail: str) -> None:
        """Ends the trial with a named failure."""
        self.status, self.detail = status, detail

    def evaluation(self, weights: Mapping[str, float]) -> Evaluation:
        """What became of it."""
        if self.status not in ("", "stopped"):
            return Evaluation(self.status, 0.0, -1.0, self.parts, self.synthesised, self.stage, self.detail)
        score = 0.0 if self.status else harmonic_mean(self.parts, weights)
        return Evaluation(
            self.status or "complete", score, self.parts["target"], self.parts, self.synthesised, self.stage
        )


def fault(wave: Wave, script: Script) -> tuple[str, str] | None:
    """Why ``wave`` can't be scored as ``script``, as (status, detail); None for sound audio.

    Resemblyzer gives silence, a click or a hum a valid embedding, so audio is checked before it is scored.
    """
    seconds = len(wave) / SAMPLE_RATE
    if len(wave) == 0:
        return "empty", "no audio"
    if not np.isfinite(wave).all():
        return "not finite", "NaN or infinity in the audio"
    if seconds < SHORTEST_SECONDS:
        return "too short", f"{seconds:.2f} s of audio for {script.phonemes} phonemes"
    if seconds > LONGEST_SECONDS_A_PHONEME * script.phonemes + 2:
        return "too long", f"{seconds:.1f} s of audio for {script.phonemes} phonemes"
    if float(np.sqrt(np.mean(np.square(wave, dtype=np.float64)))) < SILENT_RMS:
        return "silent", "the audio is silent"
    return None


class Ear:
    """Hears voices speak: synthesis, the audio's checks and speaker embeddings, once per voice and script."""

    def __init__(self, synthesizer: Synthesizer, encoder: SpeakerEncoder, seed: int) -> None:
        self.synthesizer = synthesizer
        self.encoder = encoder
        self.seed = seed

    def speak(self, voices: Sequence[Voice], script: Script) -> list[Wave]:
        """Speaks ``script`` with the noise seed that belongs to it: the same for every voice."""
        return self.synthesizer(voices, script, self.seed ^ zlib.crc32(script.text.encode()))

    def hear(self, trials: Sequence[Trial], script: Script) -> None:
        """Adds wave and embedding of ``script`` to each trial, or fails it."""
        fresh = [trial for trial in trials if script.text not in trial.waves]
        sound = []
        for trial, wave in zip(fresh, self.speak([trial.voice for trial in fresh], script), strict=True):
            trial.waves[script.text] = wave
            trial.synthesised += len(wave) / SAMPLE_RATE
            wrong = fault(wave, script)
            if wrong:
                trial.fail(*wrong)
            else:
                sound.append(trial)
        for trial, embedding in zip(sound, self.encoder([t.waves[script.text] for t in sound]), strict=True):
            if embedding is None:
                trial.fail("no speech", "the voice activity detector hears no speech in it")
            else:
                trial.embeddings[script.text] = embedding


class Stage(Protocol):
    """Measures one similarity of each trial, or fails it."""

    name: str

    def __call__(self, trials: Sequence[Trial]) -> None:
        """Sets ``parts[name]`` of each trial, in [0, 1]."""


class TargetSimilarity:
    """Cosine between the voice speaking the target text and the target speaker."""

    name = "target"

    def __init__(self, ear: Ear, script: Script, target: Embedding) -> None:
        self.ear, self.script, self.target = ear, script, target

    def __call__(self, trials: Sequence[Trial]) -> None:
        """Speaks the target text."""
        self.ear.hear(trials, self.script)
        for trial in trials:
            if not trial.status:
                trial.parts[self.name] = cosine(trial.embeddings[self.script.text], self.target)


class SelfSimilarity:
    """Cosine between the voice speaking the target text and the same voice speaking another: its stability."""

    name = "self"

    def __init__(self, ear: Ear, script: Script, other: Script) -> None:
        self.ear, self.script, self.other = ear, script, other

    def __call__(self, trials: Sequence[Trial]) -> None:
        """Speaks the other text; the target text's embedding is there already."""
        self.ear.hear(trials, self.other)
        for trial in trials:
            if not trial.status:
                trial.parts[self.name] = cosine(trial.embeddings[self.script.text], trial.embeddings[self.other.text])


class FeatureSimilarity:
    """Acoustic statistics of the voice speaking the target text against the target recording's."""

    name = "feature"

    def __init__(
        self,
        script: Script,
        target: NDArray[np.float64],
        formula: Callable[[NDArray[np.float64], NDArray[np.float64]], float],
    ) -> None:
        self.script, self.target, self.formula = script, target, formula

    def __call__(self, trials: Sequence[Trial]) -> None:
        """Measures the wave that the first stage made."""
        for trial in trials:
            try:
                statistics = features.statistics(trial.waves[self.script.text])
            except ValueError as error:
                trial.fail("unmeasurable", str(error))
            else:
                trial.parts[self.name] = self.formula(statistics, self.target)


FORMULAS = {"capped": features.capped_similarity, "kvoicewalk": features.kvoicewalk_similarity}


class HybridFitness:
    """The documents' hybrid score with early exit.

    Args:
        synthesizer: what speaks.
        encoder: what hears who speaks.
        target: the recording to match, as audio.
        target_text: the text that is compared with the target.
        other_text: the text that self similarity compares with.
        seed: of the synthesiser's noise.
        weights: of the stages ``target``, ``self`` and ``feature`` in the harmonic mean.
        gates: the rule after a stage, by the stage's name; a stage without one (or with null) stops nobody.
        formula: of the feature similarity: ``capped`` (each statistic's relative error counts 1 at most) or
            ``kvoicewalk`` (the original's).

    Attributes:
        ear: what speaks and hears.

    Raises:
        ValueError: weights are missing, negative or all zero; a gate or the formula has an unknown name; no speech is
            heard in the target.
        KvwError: a text has nothing that can be pronounced.
    """

    def __init__(
        self,
        *,
        synthesizer: Synthesizer,
        encoder: SpeakerEncoder,
        target: Wave,
        target_text: str,
        other_text: str,
        seed: int,
        weights: Mapping[str, float],
        gates: Mapping[str, Rule | None] | None,
        formula: str = "capped",
    ) -> None:
        if formula not in FORMULAS:
            raise ValueError(f"formula: expected {' or '.join(FORMULAS)}; got {formula!r}")
        names = (TargetSimilarity.name, SelfSimilarity.name, FeatureSimilarity.name)
        if set(weights) != set(names) or not all(isinstance(w, (int, float)) and w >= 0 for w in weights.values()):
            raise ValueError(f"weights: expected a number of 0 or more for each of {', '.join(names)}; got {weights}")
        if sum(weights.values()) <= 0:
            raise ValueError("weights: expected at least one above 0; got none")
        rules = gates or {}
        if not set(rules) <= set(names[:-1]) or not all(rule is None or callable(rule) for rule in rules.values()):
            raise ValueError(f"gates: expected a rule, or null, for {' and '.join(names[:-1])}; got {rules}")
        self.weights, self.gates = dict(weights), dict(rules)
        self.ear = Ear(synthesizer, encoder, seed)
        self.script, other = synthesizer.script(target_text), synthesizer.script(other_text)
        (embedding,) = encoder([target])
        if embedding is None:
            raise ValueError("no speech is heard in the target")
        self.stages: list[Stage] = [
            TargetSimilarity(self.ear, self.script, embedding),
            SelfSimilarity(self.ear, self.script, other),
            FeatureSimilarity(self.script, features.statistics(target), FORMULAS[formula]),
        ]

    def __call__(self, voices: Sequence[Voice], gate: Gate = OPEN) -> list[Evaluation]:
        """Evaluates voices, stage by stage, each stage on those that passed the one before.

        Returns:
            One evaluation a voice, in order.
        """
        trials = [Trial(voice) for voice in voices]
        for trial in trials:
            if not np.isfinite(trial.voice).all():
                trial.fail("not finite", "NaN or infinity in the voice")
        running = [trial for trial in trials if not trial.status]
        for reached, stage in enumerate(self.stages, start=1):
            stage(running)
            rule = self.gates.get(stage.name)
            for trial in running:
                last = reached == gate.stages and reached < len(self.stages)
                if not trial.status and (last or (rule and not rule(trial.parts, self.weights, gate))):
                    trial.status = "stopped"
                trial.stage = stage.name if trial.status else ""
            running = [trial for trial in running if not trial.status]
        return [trial.evaluation(self.weights) for trial in trials]

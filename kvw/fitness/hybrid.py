"""The shared fitness: stages from cheap to dear, gates between them, one weighted harmonic mean.

The shape is KVoiceWalk's (``score_voice`` and ``hybrid_similarity``): speak the target text and compare
the speaker with the target's; only if that is near enough to the incumbent's, speak another text and compare the voice
with itself, then compare acoustic statistics with the target's. A gate after a stage decides who goes on: read
:mod:`kvw.fitness.rules`, then :mod:`kvw.fitness.stages`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from kvw.errors import KvwError
from kvw.evaluation import OPEN, Evaluation, Gate, UtteranceCache, gates_for
from kvw.fitness import acoustics
from kvw.fitness.bank_distance import BankDistance
from kvw.fitness.encoders import Encoder, JoinedEncoder
from kvw.fitness.gradient import Gradient
from kvw.fitness.listener import Listener
from kvw.fitness.rules import Rule
from kvw.fitness.speaker import SpeakerEncoder
from kvw.fitness.stages import (
    BankSimilarity,
    FeatureSimilarity,
    SelfSimilarity,
    Stage,
    TargetSimilarity,
    WordSimilarity,
)
from kvw.fitness.trial import Trial
from kvw.speech.segmentation import opening
from kvw.speech.synthesizer import Script, Synthesizer
from kvw.transcription.whisper import heard_text
from kvw.types import Voice, Wave

STAGES = ("prior", "probe", "target", "self", "others", "words", "feature")
"""Every stage there is, from cheap to dear: the order in which they run."""

NEEDED = ("target", "self", "feature")
"""The stages that always run."""

FORMULAS = {"capped": acoustics.capped_similarity, "kvoicewalk": acoustics.kvoicewalk_similarity}


class HybridFitness:
    """KVoiceWalk's hybrid score with early exit, and stages that can be added to it.

    ``prior`` keeps a voice near the bank, without speech; ``probe`` is the target similarity of a short text, a cheap
    look before ``target``; ``self`` is the voice's stability over the other texts; ``others`` is the target similarity
    over those, so that ``target`` and ``others`` together average it over all texts; ``words`` is the share of all
    texts' words that Whisper hears right; ``feature`` is acoustic.

    Args:
        synthesizer: what speaks.
        encoder: what hears who speaks.
        target: the speaker's recordings, at least one: embeddings and acoustic statistics are averaged over them.
        target_text: the text that is compared with the target.
        other_text: the text that self similarity compares with.
        seed: of the synthesiser's noise.
        weights: of the stages in the harmonic mean, by their names in :data:`STAGES`. A stage without one (or with
            null) does not run; one that weighs 0 runs for its gate alone. ``target``, ``self`` and ``feature`` always
            run.
        gates: the rule after a stage, by the stage's name; a stage without one (or with null) stops nobody.
        formula: of the feature similarity: ``capped`` (each statistic's relative error counts 1 at most) or
            ``kvoicewalk`` (the original's).
        most_characters: of each text, its first sentences of so many characters together are spoken; None for all.
        probe_text: the text of the stage ``probe``, which a ranking may ask for even where it has no weight.
        more_texts: how many of ``further_texts``, from the first, are other texts too.
        further_texts: texts of several lengths: each is heard through a row of its own.
        encoders: further speaker encoders by name: with them every similarity is the mean of Resemblyzer's and theirs.
        prior_limit: distance from the bank up to which the stage ``prior`` finds nothing wrong; see
            :class:`kvw.fitness.bank_distance.BankDistance`.
        prior: of the bank; the stage ``prior`` needs it.
        words_model: the Whisper of the stage ``words``: a size, which has to be on this machine, or a converted model's
            folder.
        language: Kokoro's letter for the language of the texts.
        short_texts: those that gradients are measured on.

    Attributes:
        listener: what speaks and hears.
        measures: the functions of a wave that its scorers are asked for.
        target: the embedding of the target.
        scripts: every text that is scored: the target text, the other ones, the probe's.

    Raises:
        ValueError: weights or gates are missing, unknown, negative or all zero; the formula has an unknown name; there
            are fewer further texts than ``more_texts``, or two of the texts are the same; a stage lacks its text or
            the bank; ``prior_limit`` is not above 0; ``most_characters`` is below 20.
        KvwError: no speech is heard in a recording of the target; a text has nothing that can be pronounced; Whisper's
            model is missing, or does not hear the language.
    """

    def __init__(
        self,
        *,
        synthesizer: Synthesizer,
        encoder: SpeakerEncoder,
        target: Sequence[Wave],
        target_text: str,
        other_text: str,
        seed: int,
        weights: Mapping[str, float | None],
        gates: Mapping[str, Rule | None] | None,
        encoders: Mapping[str, Encoder] | None = None,
        formula: str = "capped",
        most_characters: int | None = None,
        probe_text: str | None = None,
        more_texts: int = 0,
        further_texts: Sequence[str] = (),
        prior_limit: float = 2.0,
        prior: BankDistance | None = None,
        words_model: str = "tiny",
        language: str = "a",
        short_texts: Sequence[str] = (),
    ) -> None:
        if formula not in FORMULAS:
            raise ValueError(f"formula: expected {' or '.join(FORMULAS)}; got {formula!r}")
        if not 0 <= more_texts <= len(further_texts):
            raise ValueError(f"more_texts: expected 0 to {len(further_texts)}, all texts there are; got {more_texts}")
        if most_characters is not None and most_characters < 20:
            raise ValueError(f"most_characters: expected 20 or more, or null for whole texts; got {most_characters}")
        if not 0 < prior_limit < math.inf:
            raise ValueError(f"prior_limit: expected a number above 0, such as 2; got {prior_limit}")
        self.weights = checked_weights(weights)
        self.gates = checked_gates(gates or {}, self.weights)
        if encoders:
            encoder = JoinedEncoder(encoder, list(encoders.values()))
        self.listener = Listener(synthesizer, encoder, seed)
        texts = (target_text, other_text, *further_texts[:more_texts])
        if most_characters is not None:
            texts = tuple(opening(text, most_characters) for text in texts)
        script, *others = map(synthesizer.script, texts)
        if len({script.text, *(other.text for other in others)}) <= len(others):
            raise ValueError("texts: expected target text, other text and further ones to differ; two are the same")
        self.scripts: tuple[Script, ...] = (script, *others)
        self._short_texts = short_texts
        self.target = embedding = encoder.speaker(target, "target_audio")
        statistics = np.mean([acoustics.statistics(wave) for wave in target], axis=0)
        stages: list[Stage] = [
            TargetSimilarity("target", self.listener, [script], embedding),
            SelfSimilarity(self.listener, script, others),
            TargetSimilarity("others", self.listener, others, embedding),
            FeatureSimilarity(self.listener, script, statistics, FORMULAS[formula]),
        ]
        if "probe" in self.weights and probe_text is None:
            raise ValueError("probe_text: expected a short text for the stage probe; got nothing")
        if probe_text is not None:
            probe = synthesizer.script(probe_text)
            if "probe" in self.weights:
                self.scripts += (probe,)
            stages.append(TargetSimilarity("probe", self.listener, [probe], embedding))
        self.measures: tuple[Callable[[Wave], Any], ...] = (encoder.measure, acoustics.statistics)
        if "words" in self.weights:
            hear = partial(heard_text, words_model, language)
            hear(np.zeros(0, dtype=np.float32))  # loads the model: nothing is searched without it
            self.measures += (hear,)
            stages.append(WordSimilarity(self.listener, [script, *others], hear, language))
        if "prior" in self.weights:
            if prior is None:
                raise ValueError("prior: expected that of the bank for the stage prior; got nothing")
            stages.append(BankSimilarity(prior, prior_limit))
        self.stages = [stage for name in self.weights for stage in stages if stage.name == name]
        made = {stage.name: stage for stage in stages}
        self._alone = {name: made[name] for name in STAGES if name in made and name in (*self.weights, "probe")}

    @cached_property
    def short_scripts(self) -> tuple[Script, ...]:
        """The short texts; most searches ask for no gradient, and espeak takes a second for them.

        Raises:
            KvwError: a text has nothing that can be pronounced.
        """
        return tuple(map(self.listener.synthesizer.script, self._short_texts))

    @cached_property
    def _gradient(self) -> Gradient:
        return Gradient(self.listener, self.short_scripts, self.target)

    def __call__(
        self, voices: Sequence[Voice], gate: Gate | Sequence[Gate] = OPEN, cache: UtteranceCache | None = None
    ) -> list[Evaluation]:
        """Evaluates voices, stage by stage, each stage on those that passed the one before.

        Args:
            voices: to evaluate.
            gate: one for all of them, or one for each; they have the same ``only``. A voice whose gate asks for a
                gradient goes through no stage.
            cache: gives utterances that need not be spoken again, and stores new ones; None for no cache.

        Returns:
            One evaluation a voice, in order.

        Raises:
            ValueError: ``gate.only`` is no stage of this fitness, or there is another number of gates than of voices.
        """
        gates = gates_for(gate, len(voices))
        trials = [Trial(voice, own, cache) for voice, own in zip(voices, gates, strict=True)]
        only = trials[0].gate.only if trials else None
        if only is not None and only not in self._alone:
            raise ValueError(f"gate.only: expected one of {', '.join(self._alone)}; got {only!r}")
        stages = self.stages if only is None else [self._alone[only]]
        for trial in trials:
            if not np.isfinite(trial.voice).all():
                trial.fail("not finite", "NaN or infinity in the voice")
        asking = [trial for trial in trials if trial.gate.pullback and not trial.status]
        if asking:
            attempt(self._gradient, asking)
        for trial in asking:
            trial.status = trial.status or "gradient"
        running = [trial for trial in trials if not trial.status]
        for number, stage in enumerate(stages, start=1):
            attempt(stage, running)
            rule = self.gates.get(stage.name)
            for trial in running:
                if not trial.status and only:
                    trial.status = "stopped"
                elif not trial.status and rule:
                    judge(rule, stage.name, trial, self.weights)
                trial.stage = stage.name if trial.status else ""
                if trial.status:
                    trial.drop_pending()
            running = [trial for trial in running if not trial.status]
            for later in stages[number:]:
                if prefetch := getattr(later, "prefetch", None):
                    prefetch(running)
        return [trial.evaluation(self.weights) for trial in trials]


def attempt(stage: Stage, trials: Sequence[Trial]) -> None:
    """Lets a stage measure trials; those for which it raises, or finds what is no number, are named failures.

    Where it raises for several, it is called for each of them alone.

    Raises:
        KvwError: the stage's own, about what no candidate can help.
    """
    try:
        stage(trials)
    except KvwError:
        raise
    except Exception as error:
        if len(trials) > 1:
            for trial in trials:
                if not trial.status:
                    attempt(stage, [trial])
            return
        for trial in trials:
            trial.fail("raised", told(error))
    for trial in trials:
        part = number(trial.parts.get(stage.name, 0.0 if trial.status else None))
        if not math.isfinite(part):
            trial.parts.pop(stage.name, None)
            trial.fail("not finite", f"the stage {stage.name} finds NaN, infinity or no number")
        elif stage.name in trial.parts:
            trial.parts[stage.name] = part


def judge(rule: Rule, stage: str, trial: Trial, weights: Mapping[str, float]) -> None:
    """Lets a rule stop a trial; where it raises that is a named failure.

    Raises:
        KvwError: the rule's own, about what no candidate can help.
    """
    try:
        if not rule(stage, trial.parts, weights, trial.gate):
            trial.status = "stopped"
    except KvwError:
        raise
    except Exception as error:
        trial.fail("raised", f"the gate after {stage}: {told(error)}")


def number(part: Any) -> float:
    """What a stage finds, as a number; NaN where it is none."""
    try:
        return float(part)
    except (TypeError, ValueError):
        return math.nan


def told(error: Exception) -> str:
    """An error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def checked_weights(weights: Mapping[str, float | None]) -> dict[str, float]:
    """The weights of the stages that run, in their order.

    Raises:
        ValueError: as for :class:`HybridFitness`.
    """
    given = dict(weights)
    chosen = {name: weight for name in STAGES if (weight := given.get(name)) is not None}
    numbers = all(isinstance(weight, (int, float)) and 0 <= weight < math.inf for weight in chosen.values())
    if not set(NEEDED) <= set(chosen) or not set(given) <= set(STAGES) or not numbers:
        optional = ", ".join(name for name in STAGES if name not in NEEDED)
        raise ValueError(
            f"weights: expected a number of 0 or more for each of {', '.join(NEEDED)}, and if wanted for {optional}; "
            f"got {given}"
        )
    if sum(chosen.values()) <= 0:
        raise ValueError("weights: expected at least one above 0; got none")
    return chosen


def checked_gates(gates: Mapping[str, Rule | None], stages: Mapping[str, float]) -> dict[str, Rule]:
    """The rules that there are.

    Raises:
        ValueError: as for :class:`HybridFitness`.
    """
    given = dict(gates)
    rules = {name: rule for name, rule in given.items() if rule is not None}
    able = [name for name in stages if name != STAGES[-1]]
    if not set(rules) <= set(able) or not set(given) <= set(STAGES) or not all(map(callable, rules.values())):
        raise ValueError(
            f"gates: expected a rule, or null, for {', '.join(able)}, which run, with more to come; got {given}"
        )
    return rules

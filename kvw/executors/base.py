"""What the executors share: the bookkeeping of utterances that a worker is sent and that it sends back.

The contract of an executor is :class:`kvw.evaluation.Executor`. An executor keeps the order of the voices, and on a CPU
every executor gives the same numbers. Workers get arrays and gates and return evaluations; they never see a candidate,
a strategy or a config, and the cache stays with the driver.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kvw.evaluation import Evaluation, Gate, Utterance, UtteranceCache
from kvw.fitness.hybrid import HybridFitness
from kvw.fitness.listener import Listener
from kvw.fitness.utterances import DictCache
from kvw.speech.synthesizer import Script
from kvw.types import Voice


def known_utterances(
    cache: UtteranceCache | None, listener: Listener, scripts: Sequence[Script], voices: Sequence[Voice]
) -> dict[str, Utterance]:
    """The utterances of ``voices`` speaking ``scripts`` that ``cache`` has, by key, to be sent to a worker."""
    if cache is None:
        return {}
    keys = [listener.key(voice, script) for voice in voices for script in scripts]
    return {key: known for key in keys if (known := cache.get(key))}


def evaluate_with(
    fitness: HybridFitness, voices: Sequence[Voice], gates: Sequence[Gate], known: Mapping[str, Utterance]
) -> tuple[list[Evaluation], dict[str, Utterance]]:
    """Evaluates voices in a worker.

    Returns:
        One evaluation a voice, in order; and the utterances, by key, that ``known`` lacks or has without statistics.
    """
    cache = DictCache(known)
    evaluations = fitness(voices, gates, cache)
    return evaluations, {key: utterance for key, utterance in cache.items() if utterance is not known.get(key)}

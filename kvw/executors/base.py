"""What the executors share: the bookkeeping of utterances that a worker is sent and that it sends back.

The contract of an executor is :class:`kvw.evaluation.Executor`. An executor keeps the order of the voices, and on a CPU
every executor gives the same numbers. Workers get arrays and gates and return evaluations; they never see a candidate,
a strategy or a config, and the cache stays with the driver.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kvw.errors import KvwError
from kvw.evaluation import Evaluation, Gate, Utterance, UtteranceCache, gates_for
from kvw.fitness.hybrid import HybridFitness, told
from kvw.fitness.listener import Listener
from kvw.fitness.utterances import DictCache
from kvw.types import Voice


def known_utterances(
    cache: UtteranceCache | None,
    listener: Listener,
    fitness: HybridFitness,
    voices: Sequence[Voice],
    gates: Sequence[Gate],
) -> dict[str, Utterance]:
    """The utterances that ``cache`` has of those that an evaluation needs, by key, to be sent to a worker.

    Args:
        cache: of the driver.
        listener: makes the keys, on the worker's device.
        fitness: knows the texts.
        voices: to be evaluated.
        gates: one for each.
    """
    if cache is None:
        return {}
    keys = []
    for voice, gate in zip(voices, gates, strict=True):
        if gate.pullback:
            keys.append(listener.key(voice, fitness.short_scripts[gate.pullback.text], gate.pullback))
        else:
            keys += [listener.key(voice, script) for script in fitness.scripts]
    return {key: known for key in keys if (known := cache.get(key))}


def evaluated(
    fitness: HybridFitness,
    voices: Sequence[Voice],
    gate: Gate | Sequence[Gate],
    cache: UtteranceCache | None = None,
) -> list[Evaluation]:
    """Evaluates voices; those for which a fitness of the user's own raises are named failures.

    Where it raises for several, it is called for each of them alone. The search ends where too many fail in a row.

    Raises:
        KvwError: the fitness's own, about what no candidate can help.
    """
    try:
        return fitness(voices, gate, cache)
    except KvwError:
        raise
    except Exception as error:
        if len(voices) == 1:
            return [Evaluation("raised", detail=told(error))]
    alone = zip(voices, gates_for(gate, len(voices)), strict=True)
    return [evaluation for voice, own in alone for evaluation in evaluated(fitness, [voice], [own], cache)]


def evaluate_with(
    fitness: HybridFitness, voices: Sequence[Voice], gates: Sequence[Gate], known: Mapping[str, Utterance]
) -> tuple[list[Evaluation], dict[str, Utterance]]:
    """Evaluates voices in a worker.

    Returns:
        One evaluation a voice, in order; and the utterances, by key, that ``known`` lacks or has without statistics.
    """
    cache = DictCache(known)
    evaluations = evaluated(fitness, voices, gates, cache)
    return evaluations, {key: utterance for key, utterance in cache.items() if utterance is not known.get(key)}

"""The contract of an executor, which evaluates voices, and what its implementations share.

An executor keeps the order of the voices, and on a CPU every executor gives the same numbers. Workers get arrays and
gates and return evaluations; they never see a candidate, a strategy or a config.
"""

from __future__ import annotations

from collections.abc import Sequence

from kvw.evaluation import Utterance, UtteranceCache
from kvw.fitness.listener import Listener
from kvw.speech.synthesizer import Script
from kvw.types import Voice


def remembered(memory: UtteranceCache, ear: Listener, scripts: Sequence[Script], voice: Voice) -> dict[str, Utterance]:
    """What ``memory`` has of a voice speaking ``scripts`` to ``ear``, by key."""
    keys = [ear.key(voice, script) for script in scripts]
    return {key: known for key in keys if (known := memory.recall(key))}

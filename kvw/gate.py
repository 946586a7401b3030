"""Gates: whether a candidate is worth its remaining stages, and the score that this is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Gate:
    """What a candidate is compared with while it is being evaluated. Plain data: it travels to workers.

    Attributes:
        score: the reference's score, [0, 100].
        parts: the reference's similarities, each in [0, 1], by the stage's name; one that is missing stops nobody.
        only: run this stage alone, and stop; ``target`` is for ranking. None runs all.
    """

    score: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)
    only: str | None = None


OPEN = Gate()
"""Stops nothing, but for rules without a reference."""


def each(gate: Gate | Sequence[Gate], count: int) -> list[Gate]:
    """The gate of each of ``count`` candidates, of one for all or one for each.

    Raises:
        ValueError: there are gates for another number of candidates.
    """
    gates = [gate] * count if isinstance(gate, Gate) else list(gate)
    if len(gates) != count:
        raise ValueError(f"expected one gate, or one for each of {count} candidates; got {len(gates)}")
    return gates


def harmonic_mean(parts: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """Weighted harmonic mean of similarities in [0, 1], x 100; 0 where one of them is 0 or less.

    What weighs nothing is left out.
    """
    counted = {name: weight for name, weight in weights.items() if weight > 0}
    if any(parts[name] <= 0 for name in counted):
        return 0.0
    return 100 * sum(counted.values()) / sum(weight / parts[name] for name, weight in counted.items())


class Rule(Protocol):
    """Decides after a stage whether a candidate goes on."""

    def __call__(self, stage: str, parts: Mapping[str, float], weights: Mapping[str, float], gate: Gate) -> bool:
        """``parts`` has the stages so far, ``stage`` is the last of them; True lets the candidate pass."""


class Margin:
    """The documents' gate: stop when the stage's similarity is below ``margin`` x the reference's.

    Raises:
        ValueError: ``margin`` is negative.
    """

    def __init__(self, margin: float = 0.98) -> None:
        if not margin >= 0:
            raise ValueError(f"expected a margin of 0 or more, such as 0.98; got {margin}")
        self.margin = margin

    def __call__(self, stage: str, parts: Mapping[str, float], weights: Mapping[str, float], gate: Gate) -> bool:
        """Whether the candidate is near enough to the reference."""
        return parts[stage] >= self.margin * gate.parts.get(stage, 0.0)


class Lossless:
    """Stop when even perfect remaining stages could not beat the reference's score."""

    def __call__(self, stage: str, parts: Mapping[str, float], weights: Mapping[str, float], gate: Gate) -> bool:
        """Whether the candidate can still win."""
        return harmonic_mean({name: parts.get(name, 1.0) for name in weights}, weights) > gate.score


class AtLeast:
    """Stop when the stage's similarity is below ``value``, whatever the reference: stock voices are not spared.

    Raises:
        ValueError: ``value`` is not in [0, 1].
    """

    def __init__(self, value: float) -> None:
        if not 0 <= value <= 1:
            raise ValueError(f"expected a value from 0 to 1, such as 0.5; got {value}")
        self.value = value

    def __call__(self, stage: str, parts: Mapping[str, float], weights: Mapping[str, float], gate: Gate) -> bool:
        """Whether the candidate is good enough."""
        return parts[stage] >= self.value

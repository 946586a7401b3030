"""Rules of gates: whether a candidate is worth its remaining stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from kvw.evaluation import Gate, harmonic_mean


class Rule(Protocol):
    """Decides after a stage whether a candidate goes on."""

    def __call__(self, stage: str, parts: Mapping[str, float], weights: Mapping[str, float], gate: Gate) -> bool:
        """``parts`` has the stages so far, ``stage`` is the last of them; True lets the candidate pass."""


class Margin:
    """KVoiceWalk's gate: stop when the stage's similarity is below ``margin`` x the reference's.

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


class KeepsUp:
    """Stop when the stage's similarity is more than ``tolerance`` below the best stock voice's.

    That voice stays the same, where the incumbents that :class:`Margin` compares with may sink step by step.

    Raises:
        ValueError: ``tolerance`` is negative.
    """

    def __init__(self, tolerance: float = 0.02) -> None:
        if not tolerance >= 0:
            raise ValueError(f"expected a tolerance of 0 or more, such as 0.02; got {tolerance}")
        self.tolerance = tolerance

    def __call__(self, stage: str, parts: Mapping[str, float], weights: Mapping[str, float], gate: Gate) -> bool:
        """Whether the candidate is not much worse than the best stock voice."""
        return parts[stage] >= gate.stock.get(stage, 0.0) - self.tolerance


class Lossless:
    """Stop when even perfect remaining stages could not beat the reference's score."""

    def __call__(self, stage: str, parts: Mapping[str, float], weights: Mapping[str, float], gate: Gate) -> bool:
        """Whether the candidate can still win."""
        return harmonic_mean({name: parts.get(name, 1.0) for name in weights}, weights) > gate.score

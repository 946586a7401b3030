"""A second judge of how good speech sounds, of another kind than DNSMOS and trained on other listening tests."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from functools import cache
from types import ModuleType

import numpy as np
import soxr
import torch

from kvw.errors import KvwError
from kvw.reports.judges import LACKING, RATE
from kvw.types import SAMPLE_RATE, Wave

WINDOW = 122_880
"""Samples at 16 kHz (7.68 s) that the network rates at once; a shorter recording is followed by silence."""


class DistillMOS:
    """The mean opinion score that DistillMOS expects of listeners, 1 to 5, the mean over recordings.

    Stahl and Gamper (2025), "Distillation and pruning for scalable self-supervised representation-based speech quality
    assessment"; the package ``distillmos`` has the network and its weights (MIT), trained on synthetic speech too.

    Args:
        most: recordings that are rated, the longest ones, 1 or more: each second of them costs a tenth of a second or
            two on one core.
    """

    heading = "Quality, DistillMOS ↑"
    decimals = 2

    def __init__(self, most: int = 4) -> None:
        if most < 1:
            raise ValueError(f"most: expected 1 or more; got {most}")
        self.most = most

    def __call__(
        self, waves: Sequence[Wave], texts: Sequence[str] | None, speaker: Sequence[Wave], language: str
    ) -> float:
        """The mean opinion score, in [1, 5].

        Raises:
            KvwError: a package is not installed.
        """
        rate = distillmos()
        return float(np.mean([rate(wave) for wave in sorted(waves, key=len)[-self.most :]]))


@cache
def distillmos() -> Callable[[Wave], float]:
    """DistillMOS as a function of a wave, 24 kHz, of which it rates the first 7.68 s.

    Raises:
        KvwError: a package is not installed.
    """
    for name in ("distillmos", "xls_r_sqa"):
        if importlib.util.find_spec(name) is None:
            raise KvwError(LACKING.format(name.replace("_", "-")))
    # its own command line reads files by torchaudio, which has to fit torch's build; nothing here does
    placeholder = sys.modules.setdefault("torchaudio", ModuleType("torchaudio"))
    try:
        from distillmos import sqa
    finally:
        if not hasattr(placeholder, "__file__"):
            del sys.modules["torchaudio"]
    network = sqa.ConvTransformerSQAModel(load_weights=False, segmenting_in_forward=False).eval()
    weights = torch.load(sqa.DEFAULT_WEIGHTS_CHKPT, map_location="cpu", weights_only=True)
    network.load_state_dict(weights["model"])

    def rate(wave: Wave) -> float:
        heard = soxr.resample(wave, SAMPLE_RATE, RATE)[:WINDOW]
        with torch.inference_mode():
            return float(network(torch.from_numpy(np.pad(heard, (0, WINDOW - len(heard))))[None]))

    return rate

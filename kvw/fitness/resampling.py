"""Resampling that a gradient goes through, without Resemblyzer and librosa, whose imports take a judge seconds."""

from __future__ import annotations

import torch


def resampled(wave: torch.Tensor) -> torch.Tensor:
    """A wave at 24 kHz at 16 kHz, by its spectrum; up to two samples at its end are left out."""
    length = 2 * (len(wave) // 3)
    spectrum = torch.fft.rfft(wave[: 3 * (len(wave) // 3)])
    speech: torch.Tensor = torch.fft.irfft(spectrum[: length // 2 + 1], length) * (2 / 3)
    return speech

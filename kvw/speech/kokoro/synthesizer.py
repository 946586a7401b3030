"""Kokoro-82M with its own weights, modules and grapheme-to-phoneme code.

Source: ``kokoro.pipeline.KPipeline``, which uses row ``len(phonemes) - 1`` of a voice, and at most 510 phonemes.
Importing this module imports kokoro, which takes seconds: import it only where it is used.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from kokoro import KModel
from numpy.typing import NDArray

from kvw.errors import KvwError, error_line
from kvw.runtime import hub
from kvw.speech.kokoro import sources
from kvw.speech.kokoro.cpu_decoder import CPUDecoder
from kvw.speech.kokoro.g2p import espeak_phonemes, grapheme_to_phoneme
from kvw.speech.kokoro.gpu_decoder import GPUDecoder
from kvw.speech.kokoro.gradient import Differentiable
from kvw.speech.kokoro.model import Kokoro, remove_weight_norm
from kvw.speech.kokoro.weights import read_weights
from kvw.speech.pullback import pullback
from kvw.speech.segmentation import to_script
from kvw.speech.synthesizer import Script, Segment
from kvw.types import STYLE_WIDTH, Voice, Wave

log = logging.getLogger(__name__)

_V1_0_BIAS = (
    *(0.01545, 0.0201, 0.45521, -0.07342, -0.14352, -0.05658, 0.2229, -0.06631, -0.18874, -0.11281, -0.77363),
    *(-0.46005, -0.03098, 1.13355, -0.22555, -0.08488, 0.08421, -0.01073, -0.33173, -0.16015, 0.10223, -0.07297),
)

GPU_BATCH = 16
"""Voices that a GPU speaks at once; :mod:`kvw.speech.kokoro.gpu_decoder` halves a batch that the memory can't hold."""


class KokoroSynthesizer:
    """Speaks with Kokoro.

    Args:
        device: a torch device.
        language: Kokoro's language letter, one of ``abefhijpz``.
        model: path of the weights, a .pth or kokoro-onnx's .onnx; ``packages`` is kvw[weights]; null takes the hub's,
            else those.
        config: path of the architecture's JSON; null takes what is beside the weights, else as for the weights.
        g2p: espeak's code of a language, as ``de``, where the weights were trained on its phonemes: espeak phonemises,
            and ``language`` no longer counts. Null takes the G2P of ``language``.
        tf32: lets an NVIDIA GPU multiply with 10 bits of precision in place of 23: faster, with other numbers.

    Raises:
        KvwError: the weights or their configuration can't be fetched or read; a package for the language is missing.
    """

    name = "kokoro"

    def __init__(
        self,
        *,
        device: str = "cpu",
        language: str = "a",
        model: str | None = None,
        config: str | None = None,
        g2p: str | None = None,
        tf32: bool = False,
    ) -> None:
        files = sources.find(model, config)
        if files is None:
            raise KvwError(sources.nowhere(model))
        weights, digest = sources.fingerprint(files)
        architecture = sources.read_config(files.config)
        loaded = load_model(files.weights, architecture).to(device)
        self.model = sources.V1_0 if is_v1_0(loaded) else f"kokoro-{weights[:12]}"
        on_cpu = loaded.device.type == "cpu"
        self.batch = 1 if on_cpu else GPU_BATCH
        self._model = Kokoro(loaded, CPUDecoder(loaded) if on_cpu else GPUDecoder(loaded))
        self._tf32, self._digest, self._espeak = tf32, digest, g2p
        self._repository = partial(sources.repository, architecture, files.weights[0])
        self._learn(language)

    def _learn(self, language: str) -> None:
        """Takes the G2P of a language."""
        repository = self._repository(language)
        if self._espeak is None:
            self._g2p, phonemiser = grapheme_to_phoneme(language, repository)
        else:
            self._g2p, phonemiser = espeak_phonemes(self._espeak), f"espeak-{self._espeak}"
        self.identity = f"kokoro-{language}-{phonemiser}-{self._digest[:12]}{'-tf32' if self._tf32 else ''}"

    def in_language(self, language: str) -> KokoroSynthesizer:
        """The same weights for texts in another language; with ``g2p`` there is one language.

        Raises:
            KvwError: Kokoro has no such letter, or a package for the language is missing.
        """
        other = copy.copy(self)
        if self._espeak is None:
            other._learn(language)
        return other

    def script(self, text: str) -> Script:
        """Phonemises ``text`` and cuts it, at sentences where it can, into segments of at most 510 phonemes.

        Raises:
            KvwError: nothing in the text is in Kokoro's vocabulary of phonemes.
        """
        return to_script(text, self._phonemes)

    def _phonemes(self, text: str) -> str:
        phonemes = self._g2p(text).strip()
        return phonemes if any(symbol.isalpha() and symbol in self._model.model.vocab for symbol in phonemes) else ""

    def __call__(self, voices: Sequence[Voice], script: Script, seed: int, speed: float = 1.0) -> list[Wave]:
        """Speaks ``script`` in each voice: float32 waves at 24 kHz."""
        self._set_precision()
        spoken = [self._speak(voices, segment, seed, speed) for segment in script.segments]
        return [np.concatenate(parts) for parts in zip(*spoken, strict=True)]

    def vjp(self, voice: Voice, script: Script, seed: int) -> tuple[Wave, Callable[[Wave], NDArray[np.float32]]]:
        """As :class:`kvw.speech.synthesizer.Synthesizer`; :mod:`kvw.speech.kokoro.gradient` says what it can't tell."""
        self._set_precision()
        device = self._model.model.device
        offset = torch.zeros(STYLE_WIDTH, requires_grad=True)
        rows = [torch.from_numpy(voice[segment.row]) + offset for segment in script.segments]
        wave = torch.cat(
            [
                self._differentiable(segment.phonemes, row.to(device), seed).cpu()
                for segment, row in zip(script.segments, rows, strict=True)
            ]
        )
        return wave.detach().numpy(), pullback(wave, offset)

    @cached_property
    def _differentiable(self) -> Differentiable:
        return Differentiable(self._model)

    def _set_precision(self) -> None:
        """Sets flags that are the process's, so on every call; torch's default is on for convolutions."""
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = self._tf32

    def _speak(self, voices: Sequence[Voice], segment: Segment, seed: int, speed: float) -> list[Wave]:
        styles = torch.from_numpy(np.stack([voice[segment.row, 0] for voice in voices]))
        return [wave.cpu().numpy() for wave in self._model(segment.phonemes, styles, seed, speed)]


def is_v1_0(model: KModel) -> bool:
    """Whether weights are those of Kokoro v1.0, rounded in whatever way, by a bias that all exports keep as it is."""
    bias = model.decoder.generator.conv_post.bias.detach().cpu().numpy()
    return len(bias) == len(_V1_0_BIAS) and np.allclose(bias, _V1_0_BIAS, rtol=0, atol=1e-3)


def load_model(files: Sequence[Path], config: dict[str, Any]) -> KModel:
    """Kokoro's model, without weight norm, ready to speak.

    KModel itself accepts a checkpoint with missing or foreign tensors without a warning, and then speaks noise.

    Args:
        files: whose bytes, one after the other, are the weights: see :func:`kvw.speech.kokoro.weights.read_weights`.
        config: see :func:`kvw.speech.kokoro.sources.read_config`.

    Raises:
        KvwError: a file is missing or is not Kokoro's.
    """
    tensor = read_weights(files)
    nothing = BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    try:
        with warnings.catch_warnings():  # torch warns about Kokoro's code, which users can't change
            warnings.simplefilter("ignore")
            model = KModel(repo_id=hub.REPO, config=config, model=nothing)  # KModel always loads a file
    except Exception as error:  # a foreign configuration can make kokoro and transformers raise anything
        raise KvwError(
            f"synth.config: expected the configuration of Kokoro; kokoro fails with it: {error_line(error)}; give the "
            "config.json that belongs to the weights"
        ) from error
    remove_weight_norm(model)
    # Kokoro's InstanceNorm layers got weights (1) and biases (0), for ONNX, after the checkpoint was made; BERT's
    # pooler has no part in speech, so that a graph lacks it
    later = {f"{name}." for name, module in model.named_modules() if isinstance(module, torch.nn.InstanceNorm1d)}
    wanted = {name: value for name, value in model.named_parameters() if not name.startswith((*later, "bert.pooler."))}
    missing = []
    for name, value in wanted.items():
        try:
            given = tensor(name)
        except KeyError:
            missing.append(name)
            continue
        if given.shape != value.shape:
            raise KvwError(
                f"synth.model: expected {name} with the shape {tuple(value.shape)}; {files[0]} has "
                f"{tuple(given.shape)}; give the weights that belong to the configuration"
            )
        value.data.copy_(given)
    if missing:
        raise KvwError(
            f"synth.model: expected {len(wanted)} tensors; {files[0]} lacks {len(missing)}, such as {min(missing)}; "
            "give the weights that belong to the configuration"
        )
    return model.eval()

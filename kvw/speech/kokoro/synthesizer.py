"""Kokoro-82M by its own weights, modules and grapheme-to-phoneme code.

Source: ``kokoro.pipeline.KPipeline``, which hears row ``len(phonemes) - 1`` of a voice and lets at most 510 phonemes
through. Importing this module imports kokoro, which takes seconds: only import it where it is used.
"""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from kokoro import KModel

from kvw.errors import KvwError
from kvw.runtime import hub
from kvw.speech.kokoro.cpu_decoder import CPUDecoder
from kvw.speech.kokoro.g2p import grapheme_to_phoneme
from kvw.speech.kokoro.gpu_decoder import GPUDecoder
from kvw.speech.kokoro.model import Kokoro, remove_weight_norm
from kvw.speech.segmentation import to_script
from kvw.speech.synthesizer import Script, Segment
from kvw.types import Voice, Wave

log = logging.getLogger(__name__)

GPU_BATCH = 16
"""Voices that a GPU speaks at once; :mod:`kvw.speech.kokoro.gpu_decoder` halves a batch that its memory can't hold."""


class KokoroSynthesizer:
    """Speaks with Kokoro.

    Args:
        device: a torch device.
        language: Kokoro's language letter, one of ``abefhijpz``.
        model: path of the weights; null takes the hub's.
        config: path of the architecture's JSON; null takes the hub's.
        tf32: lets a GPU of NVIDIA's multiply with 10 bits of precision for 23: faster, and not the same numbers.

    Raises:
        KvwError: the weights or their configuration can't be had or read; the language needs a package that is missing.
    """

    name = "kokoro"

    def __init__(
        self,
        *,
        device: str = "cpu",
        language: str = "a",
        model: str | None = None,
        config: str | None = None,
        tf32: bool = False,
    ) -> None:
        weights = Path(model) if model else hub.fetch(hub.MODEL)
        architecture = Path(config) if config else hub.fetch(hub.CONFIG)
        loaded = load_model(weights, architecture).to(device)
        on_cpu = loaded.device.type == "cpu"
        self.batch = 1 if on_cpu else GPU_BATCH
        self._model = Kokoro(loaded, CPUDecoder(loaded) if on_cpu else GPUDecoder(loaded))
        self._g2p, phonemiser = grapheme_to_phoneme(language)
        self._tf32 = tf32
        digest = hashlib.sha256(weights.read_bytes() + architecture.read_bytes()).hexdigest()[:12]
        self.identity = f"kokoro-{language}-{phonemiser}-{digest}{'-tf32' if tf32 else ''}"

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
        # of the process, in which another may have spoken since; torch's own default is on for convolutions
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = self._tf32
        spoken = [self._speak(voices, segment, seed, speed) for segment in script.segments]
        return [np.concatenate(parts) for parts in zip(*spoken, strict=True)]

    def _speak(self, voices: Sequence[Voice], segment: Segment, seed: int, speed: float) -> list[Wave]:
        styles = torch.from_numpy(np.stack([voice[segment.row, 0] for voice in voices]))
        return [wave.cpu().numpy() for wave in self._model(segment.phonemes, styles, seed, speed)]


def load_model(weights: Path, config: Path) -> KModel:
    """Kokoro's model from its two files, ready to speak.

    KModel itself takes a checkpoint with missing or foreign tensors without a word, and then speaks noise.

    Raises:
        KvwError: a file is missing or is not Kokoro's.
    """
    for key, path in (("synth.model", weights), ("synth.config", config)):
        if not path.is_file():
            raise KvwError(f"{key}: expected a file of Kokoro's; there is none at {path}; check the path")
    try:
        with warnings.catch_warnings():  # of torch about how Kokoro is written, which is not the user's affair
            warnings.simplefilter("ignore")
            model = KModel(repo_id=hub.REPO, config=str(config), model=str(weights))
        found = torch.load(weights, map_location="meta", weights_only=True)
        given = {f"{part}.{name.removeprefix('module.')}" for part, state in found.items() for name in state}
    except Exception as error:  # whatever a foreign file makes torch, json or kokoro raise
        raise KvwError(
            f"synth.model, synth.config: expected Kokoro's weights and their configuration; "
            f"{weights} with {config} fails: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        ) from error
    # Kokoro gave its InstanceNorm layers weights (1) and biases (0) after its checkpoint was made, for ONNX's sake
    later = {f"{name}." for name, module in model.named_modules() if isinstance(module, torch.nn.InstanceNorm1d)}
    wanted = {name for name, _ in model.named_parameters() if not name.startswith(tuple(later))}
    if missing := wanted - given:
        raise KvwError(
            f"synth.model: expected {len(wanted)} tensors; {weights} lacks {len(missing)}, such as {min(missing)}; "
            f"give the weights that belong to {config}"
        )
    remove_weight_norm(model)
    return model.eval()

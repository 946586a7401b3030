"""The embedded synthesiser: real speech with no download, in voices of Kokoro's shape.

This synthesiser is not Kokoro: Kokoro's voices mean nothing to it, nor its voices to Kokoro. espeak-ng speaks a text
once (:mod:`kvw.speech.embedded.espeak`); then a vocoder (:mod:`kvw.speech.embedded.vocoder`) gives that speech the
pitch, rate and timbre of a style row (:func:`kvw.speech.embedded.style.decode_style`). The voices to start from are
:func:`kvw.speech.embedded.stock_voices.stock_voices`.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from functools import cache, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from kvw.errors import KvwError
from kvw.speech.embedded import espeak, vocoder
from kvw.speech.embedded.style import decode_style
from kvw.speech.embedded.vocoder import Analysis
from kvw.speech.pullback import pullback
from kvw.speech.segmentation import to_script
from kvw.speech.synthesizer import Script
from kvw.text import without_links
from kvw.types import SAMPLE_RATE, STYLE_WIDTH, Voice, Wave

log = logging.getLogger(__name__)

PAUSE = SAMPLE_RATE // 4
"""Samples of silence before, between and after segments: they keep edge effects out of the audio's statistics."""

_GPU_BATCH = 32

VERSION = 1
"""Version of the sound: raised by every change after which equal arguments give other audio, and by no other change."""


class EmbeddedSynthesizer:
    """A :class:`~kvw.speech.synthesizer.Synthesizer` that needs no download.

    On a CPU voices are rendered one at a time, which is faster there than a batch, so a voice's bits do not depend on
    the other voices of a call.

    Args:
        device: where torch renders.
        language: one of Kokoro's letters: a (American English), b (British), e, f, h, i, j, p, z.

    Raises:
        KvwError: an unknown language, or espeak-ng's files are missing.
    """

    name = "embedded"

    def __init__(self, *, device: str = "cpu", language: str = "a") -> None:
        if language not in espeak.LANGUAGES:
            raise KvwError(f"expected a language letter among {', '.join(espeak.LANGUAGES)}; got {language!r}")
        if language == "j":
            log.warning(
                "language=j: synth=embedded reads kana alone, and says 'Chinese letter' for each kanji; "
                "give the texts in kana"
            )
        self._device = torch.device(device)
        self.batch = 1 if self._device.type == "cpu" else _GPU_BATCH
        self._espeak_voice = espeak.LANGUAGES[language]
        self.model = f"embedded-{VERSION}"
        self.identity = f"embedded-{language}-{VERSION}-{_fingerprint(self._espeak_voice)}"

    def in_language(self, language: str) -> EmbeddedSynthesizer:
        """The same for texts in another language, by Kokoro's letter.

        Raises:
            KvwError: an unknown language.
        """
        return EmbeddedSynthesizer(device=str(self._device), language=language)

    def script(self, text: str) -> Script:
        """Phonemises ``text``, of any length; of Kokoro's ``[word](/phonemes/)``, which are not espeak's, the word.

        Raises:
            KvwError: the text has nothing to pronounce (no letter, no digit), or espeak-ng failed.
        """
        return to_script(without_links(text), lambda piece: espeak.utter(piece, self._espeak_voice).phonemes)

    def __call__(self, voices: Sequence[Voice], script: Script, seed: int, speed: float = 1.0) -> list[Wave]:
        """Speaks ``script`` in each voice: one wave a voice, root mean square 0.06 between silences of 0.25 s.

        Bit-identical for equal arguments; ``seed`` (in [-2**63, 2**64)) draws the breath noise. A voice with non-finite
        numbers in the row that is heard yields a non-finite wave.

        Raises:
            KvwError: espeak-ng failed.
        """
        batches = [voices[start : start + self.batch] for start in range(0, len(voices), self.batch)]
        return [wave for batch in batches for wave in self._speak(batch, script, seed, speed)]

    def vjp(self, voice: Voice, script: Script, seed: int) -> tuple[Wave, Callable[[Wave], NDArray[np.float32]]]:
        """As :class:`kvw.speech.synthesizer.Synthesizer`, without what pitch, melody and rate do.

        Raises:
            KvwError: espeak-ng failed.
        """
        offset = torch.zeros(STYLE_WIDTH, requires_grad=True)
        pause = torch.zeros(PAUSE)
        parts = [pause]
        for segment in script.segments:
            row = (torch.from_numpy(voice[segment.row]) + offset).to(self._device)
            (wave,) = vocoder.render(analysis(segment.text, self._espeak_voice), decode_style(row), seed)
            parts += [wave.cpu(), pause]
        spoken = torch.cat(parts)
        return spoken.detach().numpy(), pullback(spoken, offset)

    def _speak(self, voices: Sequence[Voice], script: Script, seed: int, speed: float) -> list[Wave]:
        parts: list[list[NDArray[np.float32]]] = [[np.zeros(PAUSE, np.float32)] for _ in voices]
        with torch.no_grad():
            for segment in script.segments:
                rows = torch.from_numpy(np.stack([voice[segment.row, 0] for voice in voices])).to(self._device)
                waves = vocoder.render(analysis(segment.text, self._espeak_voice), decode_style(rows), seed, speed)
                for part, wave in zip(parts, waves, strict=True):
                    part += [wave.cpu().numpy(), part[0]]
        return [np.concatenate(part) for part in parts]


@lru_cache(maxsize=64)
def analysis(text: str, espeak_voice: str) -> Analysis:
    """Returns the vocoder's analysis of espeak-ng's speech of ``text``.

    Raises:
        KvwError: espeak-ng failed.
    """
    return vocoder.analyse(espeak.utter(text, espeak_voice).wave)


@cache
def _fingerprint(espeak_voice: str) -> str:
    """Returns 12 hex digits over espeak-ng's library and data: the sound depends on them and on :data:`VERSION`."""
    library, data = espeak.espeak_files()
    dictionary = f"{espeak_voice.partition('-')[0]}_dict"
    tables = [data / name for name in ("phontab", "phonindex", "phondata", "intonations", dictionary)]
    digest = hashlib.sha256()
    for path in [library, *tables]:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]

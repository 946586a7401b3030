"""The embedded synthesiser: real speech with no download, in voices of Kokoro's shape.

It is not Kokoro, and a voice of one means nothing to the other. espeak-ng speaks a text once
(:mod:`kvw.speech.espeak`), a vocoder speaks it again (:mod:`kvw.speech.vocoder`) with the pitch, rate and timbre that a
style row stands for: here is how (:func:`decode`), and the voices to start from (:func:`stock_voices`).
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kvw.speech import Script, espeak, to_script, vocoder
from kvw.speech.vocoder import BANDS, BREATHS, KNOTS, MODES, Analysis, Speakers
from kvw.types import MAX_PHONEMES, SAMPLE_RATE, STYLE_WIDTH, KvwError, Voice, Wave

log = logging.getLogger(__name__)

PAUSE = SAMPLE_RATE // 4
"""Samples of silence before, between and after segments: without it, statistics of the audio drown in edge effects."""

FEMALE = ("amber", "clara", "edith", "flora", "grace", "hazel", "iris", "laura", "martha", "olive", "petra", "vera")
MALE = ("arthur", "boris", "conrad", "dylan", "edgar", "felix", "hugo", "jasper", "martin", "oscar", "simon", "victor")

_HALF = STYLE_WIDTH // 2  # columns: timbre, then prosody
_TIMBRE, _PROSODY = BANDS + KNOTS + BREATHS + MODES, 4
_STD = 0.14  # of a style number between voices, as in Kokoro's own
_GPU_BATCH = 32

VERSION = 1
"""Of the sound: raised by every change after which equal arguments give other audio, and by no other."""


class EmbeddedSynthesizer:
    """A :class:`~kvw.speech.Synthesizer` that needs nothing but its own packages.

    On a CPU voices are rendered one at a time (faster than a batch there), so a voice's bits do not depend on what is
    asked for beside it.

    Args:
        device: where torch renders.
        language: one of Kokoro's letters: a (American English), b (British), e, f, h, i, j, p, z.

    Raises:
        KvwError: an unknown language, or espeak-ng's files are missing.
    """

    name = "embedded"

    def __init__(self, *, device: str = "cpu", language: str = "a") -> None:
        if language not in espeak.LANGUAGES:
            raise KvwError(f"expected a language letter among {', '.join(espeak.LANGUAGES)}, got {language!r}: use one")
        if language == "j":
            log.warning(
                "language=j: synth=embedded reads kana alone, and says 'Chinese letter' for each kanji; "
                "give the texts in kana"
            )
        self._device = torch.device(device)
        self.batch = 1 if self._device.type == "cpu" else _GPU_BATCH
        self._espeak_voice = espeak.LANGUAGES[language]
        self.identity = f"embedded-{language}-{VERSION}-{_fingerprint(self._espeak_voice)}"

    def script(self, text: str) -> Script:
        """Phonemises ``text``, of any length.

        Raises:
            KvwError: the text has nothing to pronounce (no letter, no digit), or espeak-ng failed.
        """
        return to_script(text, lambda piece: espeak.utter(piece, self._espeak_voice).phonemes)

    def __call__(self, voices: Sequence[Voice], script: Script, seed: int, speed: float = 1.0) -> list[Wave]:
        """Speaks ``script`` in each voice: one wave a voice, root mean square 0.06 between silences of 0.25 s.

        Bit-identical for equal arguments; ``seed`` (in [-2**63, 2**64)) draws the breath noise. A voice with non-finite
        numbers in the row that is heard gives a non-finite wave.

        Raises:
            KvwError: espeak-ng failed.
        """
        batches = [voices[start : start + self.batch] for start in range(0, len(voices), self.batch)]
        return [wave for batch in batches for wave in self._speak(batch, script, seed, speed)]

    def _speak(self, voices: Sequence[Voice], script: Script, seed: int, speed: float) -> list[Wave]:
        parts: list[list[NDArray[np.float32]]] = [[np.zeros(PAUSE, np.float32)] for _ in voices]
        with torch.no_grad():
            for segment in script.segments:
                rows = torch.from_numpy(np.stack([voice[segment.row, 0] for voice in voices])).to(self._device)
                waves = vocoder.render(analysis(segment.text, self._espeak_voice), decode(rows), seed, speed)
                for part, wave in zip(parts, waves, strict=True):
                    part += [wave.cpu().numpy(), part[0]]
        return [np.concatenate(part) for part in parts]


@lru_cache(maxsize=64)
def analysis(text: str, espeak_voice: str) -> Analysis:
    """Returns espeak-ng's speech of ``text``, taken apart.

    Raises:
        KvwError: espeak-ng failed.
    """
    return vocoder.analyse(espeak.utter(text, espeak_voice).wave)


def decode(rows: Tensor) -> Speakers:
    """Returns the speakers that style rows, float32 ``(B, 256)``, stand for; differentiable.

    Each half of a row is projected to as many numbers as it steers, of std 1 for stock voices, and each number is
    squashed to (-2, 2) by tanh: every finite row is a valid speaker.
    """
    timbre, prosody = (torch.from_numpy(matrix).to(rows.device) for matrix in _projections())
    z = _squashed(rows[:, :_HALF] @ timbre)
    gains, warp, breath, shape = torch.split(z, [BANDS, KNOTS, BREATHS, MODES], 1)
    f0, melody, rate, dynamics = _squashed(rows[:, _HALF:] @ prosody).unbind(1)
    return Speakers(
        f0=135.0 * torch.exp(0.30 * f0),
        melody=torch.exp(0.35 * melody),
        rate=torch.exp(vocoder.MAX_LOG_RATE / 2 * rate),
        dynamics=1 + 0.12 * dynamics,
        gains=gains * (3.0 / 10 * math.log(10)),  # 3 dB a unit
        warp=0.09 * warp,
        breath=breath,
        shape=0.12 * shape,
    )


def stock_voices() -> dict[str, Voice]:
    """Returns the 24 voices to start from, by name: 12 female (``af_...``) and 12 male (``am_...``), always the same.

    Each is a speaker drawn at random and projected back to a style row, plus numbers that are not heard (in the null
    space of the projection), plus two smooth drifts over the rows: so that statistics agree with Kokoro's own voices.
    """
    rng = np.random.default_rng(1)
    place = np.arange(MAX_PHONEMES) / MAX_PHONEMES
    settling = 1 / (1 + place * 20)  # steep for short texts, flat from some forty phonemes on
    drifts = np.stack([0.45 * (settling - settling[100]), 0.03 * np.sin(2 * np.pi * place)], 1)
    share = np.repeat([0.35, 1.0], _HALF)  # timbre drifts less than prosody
    voices = {}
    for names in zip(FEMALE, MALE, strict=True):
        for prefix, name, pitch, formants in (("af_", names[0], 1.0, 1.0), ("am_", names[1], -0.5, -0.4)):
            timbre = 0.8 * rng.standard_normal(_TIMBRE)
            timbre[:BANDS] = 1.4 * np.convolve(np.pad(timbre[:BANDS], 1, "edge"), np.full(3, 1 / 3), "valid")
            warp = slice(BANDS, BANDS + KNOTS)
            timbre[warp] = 0.5 * timbre[warp] + formants + 0.4 * rng.standard_normal()
            prosody = 0.6 * rng.standard_normal(_PROSODY)
            prosody[0] += pitch
            style = np.concatenate(
                [_row(z, matrix, rng) for z, matrix in zip((timbre, prosody), _projections(), strict=True)]
            )
            rows = style + drifts @ (share * rng.standard_normal((2, STYLE_WIDTH)))
            voices[prefix + name] = rows[:, None].astype(np.float32)
    return voices


def _squashed(z: Tensor) -> Tensor:
    return 2 * torch.tanh(z / 2)


@cache
def _projections() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns ``(128, 37)`` for timbre and ``(128, 4)`` for prosody: orthogonal columns of length ``1 / _STD``."""
    rng = np.random.default_rng(20240)

    def projection(numbers: int) -> NDArray[np.float32]:
        q, r = np.linalg.qr(rng.standard_normal((_HALF, numbers)))
        # the signs of a QR decomposition are its library's choice: make them ours
        return (q * np.sign(np.diag(r)) / _STD).astype(np.float32)

    return projection(_TIMBRE), projection(_PROSODY)


def _row(z: NDArray[np.float64], matrix: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float64]:
    """Returns half a style row ``(128,)`` that projects to ``z``, filled up with numbers that are not heard."""
    unit = matrix.astype(np.float64) * _STD
    silent = rng.standard_normal(_HALF)
    return _STD * (unit @ z + silent - unit @ (unit.T @ silent))


@cache
def _fingerprint(espeak_voice: str) -> str:
    """Returns 12 hex digits over espeak-ng and its data, which the sound depends on beside :data:`VERSION`."""
    library, data = espeak.espeak_files()
    dictionary = f"{espeak_voice.partition('-')[0]}_dict"
    tables = [data / name for name in ("phontab", "phonindex", "phondata", "intonations", dictionary)]
    digest = hashlib.sha256()
    for path in [library, *tables]:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]

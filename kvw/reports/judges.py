"""Judges that no search uses: the similarity of the encoder that was optimised is no proof of the result.

Read :class:`Judge` first. The packages and models of a judge may be missing, so it loads them when it is first called,
and raises a :class:`~kvw.errors.KvwError` where one is missing; the table then has an empty cell with that reason.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
import soxr

from kvw.errors import KvwError, error_line
from kvw.runtime.files import write_whole
from kvw.transcription.whisper import CODES, MISSING, Transcriber, Whisper, find_model, hears
from kvw.transcription.words import error_rate
from kvw.types import SAMPLE_RATE, Wave

log = logging.getLogger(__name__)

RATE = 16_000
"""Sampling rate of DNSMOS's input, in Hz."""

WINDOW = 9.01
"""Seconds of speech that DNSMOS rates at once."""

VERDICTS = "judged.json"
"""File in a run's folder with the judges' figures by :func:`verdict_key`, so that no judge does the same work twice."""

MOST_VERDICTS = 1_000_000
"""Size of :data:`VERDICTS` above which it is not read, in bytes."""

OTHERS = ("small", "base", "tiny")
"""Sizes of Whisper that :class:`WordErrors` looks for, the best first."""

LACKING = "expected the package {}; it is not installed; pip install 'kvw[judges]'"


class Judge(Protocol):
    """Rates speech by a figure. A class of ``strategies/`` can be a judge too, such as another speaker encoder.

    A judge may also have ``identity(language)``, a text on which its figures depend beside its settings, and
    ``recognises = True``: its figure is a cosine to ``speaker``, which :mod:`kvw.reports.scale` can normalise.

    Attributes:
        heading: of the judge's column, with an arrow in the direction that is better.
        decimals: of the judge's figures.
    """

    heading: str
    decimals: int

    def __call__(
        self, waves: Sequence[Wave], texts: Sequence[str] | None, speaker: Sequence[Wave], language: str
    ) -> float:
        """The figure.

        Args:
            waves: at least one recording of one voice, 24 kHz.
            texts: the words of each wave; None where they are not known.
            speaker: recordings of the target, 24 kHz.
            language: Kokoro's letter for the language of the texts.

        Raises:
            KvwError: there is no figure, with the reason in one line: a package is missing, or the texts are needed.
        """


class DNSMOS:
    """DNSMOS P.835, how good listeners would find the speech (overall, 1 to 5), the mean over recordings.

    Reddy, Gopal and Cutler (2022), "DNSMOS P.835: a non-intrusive perceptual objective speech quality metric to
    evaluate noise suppressors"; ``speechmos`` has its models.

    Args:
        seconds: judged of each recording, above 0; a shorter one than :data:`WINDOW` is repeated to fill it.
    """

    heading = "Quality, DNSMOS ↑"
    decimals = 2

    def __init__(self, seconds: float = 10.0) -> None:
        if not 0 < seconds < math.inf:
            raise ValueError(f"seconds: expected a number above 0; got {seconds:g}")
        self.seconds = seconds

    def __call__(
        self, waves: Sequence[Wave], texts: Sequence[str] | None, speaker: Sequence[Wave], language: str
    ) -> float:
        """The mean opinion score, in [1, 5].

        Raises:
            KvwError: ``speechmos`` is not installed.
        """
        try:
            from speechmos import dnsmos
        except ImportError as error:
            raise KvwError(LACKING.format("speechmos")) from error
        resampled = [soxr.resample(wave[: round(self.seconds * SAMPLE_RATE)], SAMPLE_RATE, RATE) for wave in waves]
        # speechmos would double a short one until it is long enough, and rate up to nine windows of the same speech
        filled = [np.resize(wave, max(len(wave), int(WINDOW * RATE))) for wave in resampled]
        return float(np.mean([dnsmos.run(np.clip(wave, -1, 1), sr=RATE)["ovrl_mos"] for wave in filled]))


class WordErrors:
    """The share of words that Whisper hears wrong, in %; of characters in a language that is written without spaces.

    Args:
        model: a size, or the folder of a converted model; nothing is downloaded. Where it is not on this machine, or
            does not hear the language, the first of :data:`OTHERS` that does takes its place.
    """

    heading = "Word errors, % ↓"
    decimals = 1

    def __init__(self, model: str = "small") -> None:
        self.model = model

    def __call__(
        self, waves: Sequence[Wave], texts: Sequence[str] | None, speaker: Sequence[Wave], language: str
    ) -> float:
        """The errors per word of the texts, in %; above 100 where Whisper hears more words than the texts have.

        Raises:
            KvwError: the texts are not known, or no model is there.
        """
        if texts is None:
            raise KvwError("nobody typed what the recording says")
        whisper = loaded_whisper(self.identity(language), language)
        return 100 * error_rate(texts, [whisper(wave).text for wave in waves], language)

    def identity(self, language: str) -> str:
        """The folder of the model that hears a language.

        Raises:
            KvwError: no model is there.
        """
        for model in dict.fromkeys((self.model, *OTHERS)):
            if (folder := find_model(model, language)) and hears(folder, language):
                return str(folder)
        raise KvwError(f"expected a Whisper for language={language} on this machine; {MISSING}")


@cache
def loaded_whisper(folder: str, language: str) -> Transcriber:
    """The Whisper in a folder, for a language by Kokoro's letter."""
    return Whisper(model=folder, language=CODES[language], repeatable=True)


class Jury:
    """All judges of a report; figures that they gave before are read from the run's folder.

    Args:
        judges: by name.
    """

    def __init__(self, judges: Mapping[str, Judge]) -> None:
        self.judges = dict(judges)

    def __call__(
        self, run: Path, waves: Sequence[Wave], texts: Sequence[str] | None, speaker: Sequence[Wave], language: str
    ) -> dict[str, float | str]:
        """The verdict of each judge, by the judge's name: a figure, or the reason why there is none.

        Args:
            run: folder of the run, in which figures are kept.
            waves: see :class:`Judge`, as the other arguments; without a wave there is no figure.
        """
        known = kept_figures(run)
        verdicts: dict[str, float | str] = {}
        for name, judge in self.judges.items():
            key = verdict_key(judge, waves, texts, speaker, language)
            outcome = known[key] if key in known else verdict(judge, waves, texts, speaker, language)
            if isinstance(outcome, float):
                known[key] = outcome
            verdicts[name] = outcome
        try:
            write_whole(run / VERDICTS, (json.dumps(known, indent=2) + "\n").encode())
        except (OSError, KvwError) as error:  # a medium that can't be written: the next report asks again
            log.debug("%s: %s", run / VERDICTS, error)
        return verdicts


def verdict(
    judge: Judge, waves: Sequence[Wave], texts: Sequence[str] | None, speaker: Sequence[Wave], language: str
) -> float | str:
    """A judge's figure, or the reason why there is none, in one line."""
    if not waves:
        return "the run kept no audio of it"
    try:
        figure = float(judge(waves, texts, speaker, language))
    except KvwError as error:
        return " ".join(str(error).split())[:200]
    except Exception as error:  # a plugin may raise anything
        return error_line(error)
    return figure if math.isfinite(figure) else "the judge finds NaN or infinity"


def verdict_key(
    judge: Judge, waves: Sequence[Wave], texts: Sequence[str] | None, speaker: Sequence[Wave], language: str
) -> str:
    """sha256 of everything that a judge's figure depends on: the judge, its settings, and its arguments."""
    settings = {name: value for name, value in vars(judge).items() if isinstance(value, (str, int, float))}
    try:
        identity = getattr(judge, "identity", str)(language)
    except KvwError:  # there will be no figure, with this reason
        identity = ""
    what = [f"{type(judge).__module__}.{type(judge).__qualname__}", settings, texts, language, identity]
    key = hashlib.sha256(json.dumps(what, sort_keys=True).encode())
    for wave in (*waves, *speaker):
        key.update(hashlib.sha256(np.ascontiguousarray(wave, dtype="<f4").tobytes()).digest())
    return key.hexdigest()


def kept_figures(run: Path) -> dict[str, float | str]:
    """The figures that a run's folder has, by :func:`verdict_key`; none where :class:`Jury` did not write the file."""
    try:
        text = (run / VERDICTS).read_bytes()
        figures = json.loads(text) if len(text) <= MOST_VERDICTS else {}
        return {key: value for key, value in figures.items() if type(value) is float and math.isfinite(value)}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}

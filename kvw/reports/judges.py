"""Judges that no search uses: the similarity of the encoder that was optimised is no proof of the result.

Read :class:`Judge` first. The packages and models of a judge may be missing, so it loads them when it is first called,
and raises a :class:`~kvw.errors.KvwError` where one is missing; the table then has an empty cell with that reason.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soxr

from kvw.errors import KvwError, error_line
from kvw.runtime.files import write_whole
from kvw.types import SAMPLE_RATE, Wave

log = logging.getLogger(__name__)

RATE = 16_000
"""Sampling rate of DNSMOS's input, in Hz."""

VERDICTS = "judged.json"
"""File in a run's folder with the judges' figures by :func:`verdict_key`, so that no judge does the same work twice."""

MOST_VERDICTS = 1_000_000
"""Size of :data:`VERDICTS` above which it is not read, in bytes."""

LACKING = "expected the package {}; it is not installed; pip install 'kvw[judges]'"


class Judge(Protocol):
    """Rates speech by a figure. A class of ``strategies/`` can be a judge too, such as another speaker encoder.

    Attributes:
        heading: of the judge's column, with an arrow in the direction that is better.
        decimals: of the judge's figures.
    """

    heading: str
    decimals: int

    def __call__(self, waves: Sequence[Wave], texts: Sequence[str] | None, speaker: Sequence[Wave]) -> float:
        """The figure.

        Args:
            waves: at least one recording of one voice, 24 kHz.
            texts: the words of each wave; None where they are not known.
            speaker: recordings of the target, 24 kHz.

        Raises:
            KvwError: there is no figure, with the reason in one line: a package is missing, or the texts are needed.
        """


class DNSMOS:
    """DNSMOS P.835, how good listeners would find the speech (overall, 1 to 5), the mean over recordings.

    Reddy, Gopal and Cutler (2022), "DNSMOS P.835: a non-intrusive perceptual objective speech quality metric to
    evaluate noise suppressors"; ``speechmos`` has its models.

    Args:
        seconds: judged of each recording, above 0; the model's window is 9 s, and a shorter recording is repeated.
    """

    heading = "Quality, DNSMOS ↑"
    decimals = 2

    def __init__(self, seconds: float = 10.0) -> None:
        if not 0 < seconds < math.inf:
            raise ValueError(f"seconds: expected a number above 0; got {seconds:g}")
        self.seconds = seconds

    def __call__(self, waves: Sequence[Wave], texts: Sequence[str] | None, speaker: Sequence[Wave]) -> float:
        """The mean opinion score, in [1, 5].

        Raises:
            KvwError: ``speechmos`` is not installed.
        """
        try:
            from speechmos import dnsmos
        except ImportError as error:
            raise KvwError(LACKING.format("speechmos")) from error
        resampled = [soxr.resample(wave[: round(self.seconds * SAMPLE_RATE)], SAMPLE_RATE, RATE) for wave in waves]
        return float(np.mean([dnsmos.run(np.clip(wave, -1, 1), sr=RATE)["ovrl_mos"] for wave in resampled]))


class WordErrors:
    """The share of words that Whisper hears wrong, in %; of characters in a language that is written without spaces.

    Args:
        model: a size that is already in the hub's cache, or the folder of a converted model; nothing is downloaded.
    """

    heading = "Word errors, % ↓"
    decimals = 1

    def __init__(self, model: str = "small") -> None:
        self.model = model

    def __call__(self, waves: Sequence[Wave], texts: Sequence[str] | None, speaker: Sequence[Wave]) -> float:
        """The errors per word of the texts, in %; above 100 where Whisper hears more words than the texts have.

        Raises:
            KvwError: the texts are not known, the model is missing, or ``jiwer`` is not installed.
        """
        try:
            import jiwer
        except ImportError as error:
            raise KvwError(LACKING.format("jiwer")) from error
        if texts is None:
            raise KvwError("nobody typed what the recording says")
        heard = [words(self._whisper(wave).text) for wave in waves]
        expected = [words(text) for text in texts]
        rate = jiwer.wer if all(" " in text for text in expected) else jiwer.cer
        return 100 * float(rate(expected, heard))

    @cached_property
    def _whisper(self) -> Callable[[Wave], Any]:
        from kvw.transcription.whisper import Whisper, find_model

        folder = find_model(self.model)
        if folder is None:
            raise KvwError(f"expected Whisper's {self.model} in the hub's cache; it is not there, and is not fetched")
        return Whisper(model=str(folder))


def words(text: str) -> str:
    """The part of ``text`` that can be heard: letters and digits in lower case, words apart by single spaces."""
    return " ".join(re.sub(r"[^\w\s']|_", " ", text.casefold()).split())


class Jury:
    """All judges of a report; figures that they gave before are read from the run's folder.

    Args:
        judges: by name.
    """

    def __init__(self, judges: Mapping[str, Judge]) -> None:
        self.judges = dict(judges)

    def __call__(
        self, run: Path, waves: Sequence[Wave], texts: Sequence[str] | None, speaker: Sequence[Wave]
    ) -> dict[str, float | str]:
        """The verdict of each judge, by the judge's name: a figure, or the reason why there is none.

        Args:
            run: folder of the run, in which figures are kept.
            waves: see :class:`Judge`, as the other arguments; without a wave there is no figure.
        """
        known = kept_figures(run)
        verdicts: dict[str, float | str] = {}
        for name, judge in self.judges.items():
            key = verdict_key(judge, waves, texts, speaker)
            outcome = known[key] if key in known else verdict(judge, waves, texts, speaker)
            if isinstance(outcome, float):
                known[key] = outcome
            verdicts[name] = outcome
        try:
            write_whole(run / VERDICTS, (json.dumps(known, indent=2) + "\n").encode())
        except (OSError, KvwError) as error:  # a medium that can't be written: the next report asks again
            log.debug("%s: %s", run / VERDICTS, error)
        return verdicts


def verdict(judge: Judge, waves: Sequence[Wave], texts: Sequence[str] | None, speaker: Sequence[Wave]) -> float | str:
    """A judge's figure, or the reason why there is none, in one line."""
    if not waves:
        return "the run kept no audio of it"
    try:
        figure = float(judge(waves, texts, speaker))
    except KvwError as error:
        return " ".join(str(error).split())[:200]
    except Exception as error:  # a plugin may raise anything
        return error_line(error)
    return figure if math.isfinite(figure) else "the judge finds NaN or infinity"


def verdict_key(judge: Judge, waves: Sequence[Wave], texts: Sequence[str] | None, speaker: Sequence[Wave]) -> str:
    """sha256 of everything that a judge's figure depends on: the judge, its settings, and its arguments."""
    settings = {name: value for name, value in vars(judge).items() if isinstance(value, (str, int, float))}
    what = [f"{type(judge).__module__}.{type(judge).__qualname__}", settings, texts]
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

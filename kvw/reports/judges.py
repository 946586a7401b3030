"""Judges of a result that the search never heard: an encoder that was optimised is no proof of itself.

Read :class:`Judge` first. A judge needs packages or models that need not be there, so it loads them when it is first
asked, and says what it lacks by a :class:`~kvw.errors.KvwError`, which becomes an empty cell with that reason.
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

from kvw.errors import KvwError
from kvw.runtime.files import write_whole
from kvw.types import SAMPLE_RATE, Wave

log = logging.getLogger(__name__)

RATE = 16_000
"""Hz: what DNSMOS hears."""

VERDICTS = "judged.json"
"""In a run's folder: what judges found, by a digest of what they heard, so that each is asked once."""

MOST_VERDICTS = 1_000_000
"""Bytes of that file."""

LACKING = "expected the package {}; it is not installed; pip install 'kvw[judges]'"


class Judge(Protocol):
    """Gives speech a figure. A class of ``strategies/`` can be one too: another speaker encoder, say.

    Attributes:
        heading: of its column, with the direction that is better.
        decimals: of its figure.
    """

    heading: str
    decimals: int

    def __call__(self, waves: Sequence[Wave], texts: Sequence[str] | None, speaker: Sequence[Wave]) -> float:
        """The figure.

        Args:
            waves: what one voice says, at least one, 24 kHz.
            texts: what each should say; None of a recording of which nobody knows.
            speaker: recordings of the target, 24 kHz.

        Raises:
            KvwError: it can't tell, in one line: something is not installed, or it needs the texts.
        """


class DNSMOS:
    """DNSMOS P.835, how good listeners would find the speech (overall, 1 to 5), the mean over recordings.

    Reddy, Gopal and Cutler (2022), "DNSMOS P.835: a non-intrusive perceptual objective speech quality metric to
    evaluate noise suppressors"; ``speechmos`` has its models.

    Args:
        seconds: of each recording that are judged, above 0; the model looks at 9 s, and repeats what is shorter.
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
        heard = [soxr.resample(wave[: round(self.seconds * SAMPLE_RATE)], SAMPLE_RATE, RATE) for wave in waves]
        return float(np.mean([dnsmos.run(np.clip(wave, -1, 1), sr=RATE)["ovrl_mos"] for wave in heard]))


class WordErrors:
    """The share of words that Whisper hears wrong, in %: of characters where a language writes no spaces.

    Args:
        model: a size that is in the hub's cache already, or the folder of a converted model; nothing is fetched.
    """

    heading = "Word errors, % ↓"
    decimals = 1

    def __init__(self, model: str = "small") -> None:
        self.model = model

    def __call__(self, waves: Sequence[Wave], texts: Sequence[str] | None, speaker: Sequence[Wave]) -> float:
        """The errors per word of the texts, in %; above 100 where more is heard than said.

        Raises:
            KvwError: the texts are not known; the model is not here; ``jiwer`` is not installed.
        """
        try:
            import jiwer
        except ImportError as error:
            raise KvwError(LACKING.format("jiwer")) from error
        if texts is None:
            raise KvwError("nobody typed what the recording says")
        heard = [words(self._whisper(wave).text) for wave in waves]
        said = [words(text) for text in texts]
        rate = jiwer.wer if all(" " in text for text in said) else jiwer.cer
        return 100 * float(rate(said, heard))

    @cached_property
    def _whisper(self) -> Callable[[Wave], Any]:
        from kvw.transcription.whisper import Whisper, find_model

        folder = find_model(self.model)
        if folder is None:
            raise KvwError(f"expected Whisper's {self.model} in the hub's cache; it is not there, and is not fetched")
        return Whisper(model=str(folder))


def words(text: str) -> str:
    """``text`` as far as it can be heard: letters and digits in lower case, single spaces."""
    return " ".join(re.sub(r"[^\w\s']|_", " ", text.casefold()).split())


class Jury:
    """All judges of a report, and what they found before.

    Args:
        judges: by name.
    """

    def __init__(self, judges: Mapping[str, Judge]) -> None:
        self.judges = dict(judges)

    def __call__(
        self, run: Path, waves: Sequence[Wave], texts: Sequence[str] | None, speaker: Sequence[Wave]
    ) -> dict[str, float | str]:
        """What each judge says, by its name: a figure, or why there is none.

        Args:
            run: folder of the run, in which figures are kept.
            waves: see :class:`Judge`, as the others; without any there are no figures.
        """
        known = recalled(run)
        found: dict[str, float | str] = {}
        for name, judge in self.judges.items():
            key = digest(judge, waves, texts, speaker)
            found[name] = known[key] if key in known else verdict(judge, waves, texts, speaker)
            if isinstance(found[name], float):
                known[key] = found[name]
        try:
            write_whole(run / VERDICTS, (json.dumps(known, indent=2) + "\n").encode())
        except (OSError, KvwError) as error:  # a run on a medium that can't be written: they are asked again
            log.debug("%s: %s", run / VERDICTS, error)
        return found


def verdict(judge: Judge, waves: Sequence[Wave], texts: Sequence[str] | None, speaker: Sequence[Wave]) -> float | str:
    """A judge's figure, or in one line why there is none."""
    if not waves:
        return "the run kept no audio of it"
    try:
        figure = float(judge(waves, texts, speaker))
    except Exception as error:  # a plugin may raise anything
        line = " ".join(str(error).split())[:200]
        return line if isinstance(error, KvwError) else f"{type(error).__name__}: {line}"
    return figure if math.isfinite(figure) else "the judge finds NaN or infinity"


def digest(judge: Judge, waves: Sequence[Wave], texts: Sequence[str] | None, speaker: Sequence[Wave]) -> str:
    """sha256 of all that a judge's figure depends on, its settings included."""
    settings = {name: value for name, value in vars(judge).items() if isinstance(value, (str, int, float))}
    what = [f"{type(judge).__module__}.{type(judge).__qualname__}", settings, texts]
    whole = hashlib.sha256(json.dumps(what, sort_keys=True).encode())
    for wave in (*waves, *speaker):
        whole.update(hashlib.sha256(np.ascontiguousarray(wave, dtype="<f4").tobytes()).digest())
    return whole.hexdigest()


def recalled(run: Path) -> dict[str, float | str]:
    """The figures that were kept, by digest; none where the file isn't what :class:`Jury` writes."""
    try:
        text = (run / VERDICTS).read_bytes()
        found = json.loads(text) if len(text) <= MOST_VERDICTS else {}
        return {key: value for key, value in found.items() if type(value) is float and math.isfinite(value)}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}

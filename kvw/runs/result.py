"""The result of a run: ``result.json``, written and read; ``summary.txt``; and evaluations as text.

The layout of ``result.json`` is known here alone. Its ``voices`` have the entries of :func:`compared` by their labels:
the best stock voice first, the best candidate last.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from kvw.errors import EXIT_CORRUPT, KvwError, error_line
from kvw.evaluation import Evaluation
from kvw.search.archive import Entry
from kvw.search.loop import SearchResult
from kvw.text import aligned

Figures = TypeVar("Figures")

FIGURES = (
    "score",
    "target_similarity",
    "heldout",
    "word_errors",
    "quality",
    "same_speaker",
    "stock_score",
    "stock_heldout",
    "stock_word_errors",
    "stock_quality",
    "stock_same_speaker",
    "evaluations",
    "synthesised_seconds",
    "seconds",
)
"""The keys of :func:`result_figures`: columns of ``sweep.csv``."""

JUDGED = {"same_speaker": ("CAM++", "{:.3f}"), "word_errors": ("Misheard", "{:.1f}%"), "quality": ("Quality", "{:.2f}")}
"""What judges measure of held-out speech, fields of :class:`HeldOutFigures`, with their columns and how they look."""

IMPROVED, UNCLEAR, NOT_IMPROVED = "improved", "nearer, less clear", "no improvement"
"""The verdicts on a result; see :func:`verdict_of`."""

MOST_WORDS_LOST, MOST_QUALITY_LOST = 2.0, 0.15
"""What a voice may lose against the best stock voice and is still clear: points of words, and of DNSMOS."""

START = "start"
"""The label of the first candidate, in a run that began with a starting voice."""

LABELS = {"target": "Target Sim", "self": "Self Sim", "feature": "Feature Sim"}
"""KVoiceWalk's names of the fitness stages."""

HELDOUT_LABELS = ("Held-out", *(label for label, _ in JUDGED.values()))
"""The columns of :meth:`HeldOutFigures.cells`."""


@dataclass(frozen=True)
class HeldOutFigures:
    """How a voice speaks the held-out texts.

    Attributes:
        similarities: to the held-out audio, of each text, in [0, 1].
        word_errors: words that Whisper hears wrong, in %; None where nobody measured them.
        quality: DNSMOS, in [1, 5]; None where nobody measured it.
        same_speaker: the cosine to the held-out audio by CAM++, an encoder that no search hears; None where nobody
            measured it.
    """

    similarities: Sequence[float]
    word_errors: float | None = None
    quality: float | None = None
    same_speaker: float | None = None

    @property
    def similarity(self) -> float:
        """The mean over texts."""
        return float(np.mean(self.similarities))

    @property
    def judged(self) -> dict[str, float | None]:
        """What judges measured, by the names of :data:`JUDGED`."""
        return {name: getattr(self, name) for name in JUDGED}

    def cells(self) -> tuple[str, ...]:
        """The figures in a table, by :data:`HELDOUT_LABELS`; ``-`` for what nobody measured."""
        forms = {name: form for name, (_, form) in JUDGED.items()}
        judged = ("-" if figure is None else forms[name].format(figure) for name, figure in self.judged.items())
        return f"{self.similarity:.3f}", *judged

    def is_as_clear_as(self, stock: HeldOutFigures) -> bool:
        """Whether the voice loses neither words nor quality against a stock voice; what is not known is not lost."""
        lost_words = _lost(stock.word_errors, self.word_errors)
        lost_quality = _lost(self.quality, stock.quality)
        return lost_words <= MOST_WORDS_LOST and lost_quality <= MOST_QUALITY_LOST


def _lost(less: float | None, more: float | None) -> float:
    """How much is lost between two figures, to two decimals, as they are shown; 0 where one is not known."""
    return 0.0 if less is None or more is None else round(more - less, 2)


def verdict_of(result: SearchResult, stock: HeldOutFigures, best: HeldOutFigures) -> str:
    """Whether a search improved on the best stock voice: a voice that is harder to understand is no better one."""
    if not result.improved:
        return NOT_IMPROVED
    return IMPROVED if best.is_as_clear_as(stock) else UNCLEAR


def compared(result: SearchResult) -> dict[str, Entry]:
    """The voices that a result compares, by label: the best stock voice, the start, the best candidate."""
    entries = {f"best stock voice, {result.baseline.name}": result.baseline}
    if result.start:
        entries[START] = result.start
    if result.archive.best:
        entries[f"result, step {result.archive.best.step}"] = result.archive.best
    return entries


def facts_of(figures: HeldOutFigures) -> dict[str, float | None]:
    """The figures on held-out texts as a voice's ``.json`` has them."""
    return {"heldout": figures.similarity, **figures.judged}


def result_json(
    result: SearchResult, heldout: Mapping[str, HeldOutFigures], phonemes: Sequence[int], facts: Mapping[str, Any]
) -> str:
    """The content of ``result.json``.

    Args:
        result: of the search.
        heldout: figures on the held-out texts, by the labels of :func:`compared`.
        phonemes: how many each of these texts has.
        facts: of the run, as in every voice's ``.json``.
    """
    voices = {
        label: {
            **scores_of(entry.evaluation),
            "status": entry.evaluation.status,
            "heldout": list(heldout[label].similarities),
            **heldout[label].judged,
        }
        for label, entry in compared(result).items()
    }
    archive, figures = result.archive, list(heldout.values())
    verdict = verdict_of(result, figures[0], figures[-1])
    content = {
        **facts,
        "improved": verdict == IMPROVED,
        "verdict": verdict,
        "stopped_because": result.reason,
        "seconds": result.seconds,
        "evaluations": archive.steps,
        "complete": archive.complete,
        "failures": archive.failures,
        "synthesised_seconds": archive.synthesised,
        "heldout_phonemes": list(phonemes),
        "voices": voices,
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def result_figures(result: Mapping[str, Any]) -> dict[str, float]:
    """The figures that a sweep compares, by :data:`FIGURES`, from the content of a ``result.json``.

    Those of :data:`JUDGED` are missing that nobody measured.
    """
    voices = list(result["voices"].values())
    stock, best = voices[0], voices[-1]
    clear = {
        f"{prefix}{name}": voice[name]
        for prefix, voice in (("", best), ("stock_", stock))
        for name in JUDGED
        if voice.get(name) is not None
    }
    return clear | {
        "score": best["score"],
        "target_similarity": best["target_similarity"],
        "heldout": float(np.mean(best["heldout"])),
        "stock_score": stock["score"],
        "stock_heldout": float(np.mean(stock["heldout"])),
        "evaluations": result["evaluations"],
        "synthesised_seconds": result["synthesised_seconds"],
        "seconds": result["seconds"],
    }


def read_figures(path: Path) -> dict[str, float]:
    """The :func:`result_figures` of a ``result.json``; empty if there is no such file.

    Raises:
        KvwError: the file can't be read.
    """

    def figures(content: Any) -> dict[str, float]:
        return {name: float(value) for name, value in result_figures(content).items()}

    return _read(path, figures)


def read_heldout(path: Path) -> dict[str, HeldOutFigures]:
    """The figures on the held-out texts in a ``result.json``, by :data:`kvw.runs.artifacts.ROLES`.

    A run that did not begin with a starting voice lacks ``start``; without the file all are lacking.

    Raises:
        KvwError: the file can't be read.
    """

    def figure(value: Any) -> float | None:
        return None if value is None else float(value)

    def figures(content: Any) -> dict[str, HeldOutFigures]:
        voices = list(content["voices"].items())
        roles = {label: "start" for label, _ in voices if label == START}
        roles |= {voices[0][0]: "stock", voices[-1][0]: "best"}
        return {
            roles[label]: HeldOutFigures(
                [float(similarity) for similarity in voice["heldout"]],
                **{name: figure(voice.get(name)) for name in JUDGED},
            )
            for label, voice in voices
            if label in roles
        }

    return _read(path, figures)


def _read(path: Path, figures: Callable[[Any], dict[str, Figures]]) -> dict[str, Figures]:
    try:
        return figures(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise KvwError(
            f"{path}: expected the figures of a run; got {error_line(error):.80}; move it away", EXIT_CORRUPT
        ) from None


def read_stock(path: Path) -> str:
    """The name of the best stock voice in a ``result.json``; empty if there is no such file.

    Raises:
        KvwError: the file can't be read.
    """
    return _read(path, lambda content: {"stock": str(next(iter(content["voices"]))).rpartition(", ")[2]}).get(
        "stock", ""
    )


def read_phonemes(path: Path) -> list[int]:
    """The phonemes of each held-out text in a ``result.json``; empty without the file, and in one of earlier versions.

    Raises:
        KvwError: the file can't be read.
    """
    found = _read(path, lambda content: {"lengths": [int(count) for count in content.get("heldout_phonemes", [])]})
    return found.get("lengths", [])


def read_verdict(path: Path) -> str:
    """The verdict in a ``result.json``, see :func:`verdict_of`; empty where there is none.

    Raises:
        KvwError: the file can't be read.
    """
    return _read(path, lambda content: {"verdict": str(content["verdict"])}).get("verdict", "")


def summary(result: SearchResult, heldout: Mapping[str, HeldOutFigures], about: Mapping[str, str]) -> str:
    """The content of ``summary.txt``: the figures of the :func:`compared` voices, on the scored texts and held out.

    Args:
        result: of the search.
        heldout: figures on the held-out texts, by the labels of :func:`compared`.
        about: further lines, name and text.
    """
    lines, figures, stock = [], list(heldout.values()), result.baseline.name
    verdict = verdict_of(result, figures[0], figures[-1])
    if verdict == NOT_IMPROVED:
        lines.append(f"no improvement: no candidate scored above the best stock voice, {stock}")
    elif verdict == UNCLEAR:
        lines.append(f"nearer, less clear: the result sounds more like the target, and is harder to hear than {stock}")
    head = ("", "Score", *LABELS.values(), *HELDOUT_LABELS)
    rows = [head]
    for label, entry in compared(result).items():
        parts = [entry.evaluation.parts.get(name) for name in LABELS]
        cells = ["-" if part is None else f"{part:.3f}" for part in parts]
        rows.append((label, f"{entry.evaluation.score:.2f}", *cells, *heldout[label].cells()))
    lines += aligned(rows, 1)
    lines += [f"{name}: {text}" for name, text in about.items()]
    return "\n".join(lines)


def figures_line(evaluation: Evaluation, notes: Mapping[str, float] | None = None) -> str:
    """The figures of an evaluation, and a strategy's notes, on one line, by KVoiceWalk's names."""
    parts = [f"{LABELS.get(name, name)}: {value:.3f}" for name, value in evaluation.parts.items()]
    more = [f"{name}: {value:.2f}".removesuffix(".00") for name, value in (notes or {}).items()]
    outcome = f"Score: {evaluation.score:.2f}" if evaluation.complete else f"{evaluation.status} {evaluation.detail}"
    return ", ".join([*parts, outcome.strip(), *more])


def scores_of(evaluation: Evaluation) -> dict[str, float]:
    """The score and its parts as JSON values."""
    return {"score": evaluation.score, **{f"{name}_similarity": value for name, value in evaluation.parts.items()}}

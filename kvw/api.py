"""kvw from Python: :func:`evolve` a voice, and :func:`speak` with it. Plain arguments in, plain values out.

Both do what the command line does, with the same config behind them, and write nothing unless asked.

Above 300 lines, because every argument and every figure of the two is described.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from kvw.cli.errors import composed, from_os_error
from kvw.config.arguments import quote
from kvw.config.inputs import read_inputs
from kvw.config.invocation import options
from kvw.config.paths import DEMO, user_plugins
from kvw.errors import KvwError
from kvw.evaluation import Evaluation
from kvw.runs.artifacts import base_voices
from kvw.runs.result import IMPROVED, HeldOutFigures, facts_of, scores_of
from kvw.speech import select
from kvw.speech.narrate import check_speed, narrate
from kvw.tasks.conclude import Outcome, judge
from kvw.tasks.prepare import new_search
from kvw.tasks.search import new_run
from kvw.tasks.speak import synthesizer
from kvw.text import duration, shortened
from kvw.types import EMBEDDED, KOKORO, VOICE_SHAPE, Voice, Wave
from kvw.voices.files import save_voice
from kvw.voices.reference import resolve

NO_SEARCH = frozenset(("task", "run", "resume", "dry_run", "test_voice", "export_bin", "transcribe_many"))
"""Keys of the command line that make it something other than one new search."""

ALONE = ("executor=local", "executor.scorers=0")
"""Settings of a search that starts no process, which a script can only do below ``if __name__ == "__main__":``."""


@dataclass(frozen=True, repr=False)
class Result:
    """The best voice that a search found, beside the best stock voice.

    Attributes:
        voice: float32 ``(510, 1, 256)``.
        synthesiser: whose voice it is: ``kokoro`` or ``embedded``.
        scored: its evaluation on the texts that the search heard; ``scored.score`` is in [0, 100].
        heldout: its similarity to held-out audio on each held-out text, in [0, 1]: the figures to believe.
        word_errors: words of the held-out texts that Whisper hears wrong, in %; None where no Whisper is there.
        quality: of the held-out speech, DNSMOS, in [1, 5]; None where ``kvw[judges]`` is not installed.
        same_speaker: of the held-out speech, its cosine to the held-out audio by CAM++, an encoder that no search
            hears; None where ``kvw[judges]`` is not installed.
        verdict: ``improved``; ``no improvement`` of the score; or ``nearer, less clear`` than the best stock voice.
        clear: of a result that is less clear, the most similar voice of the search that is not, if there is one; else
            None.
        stock_name: of the best stock voice.
        stock_scored: the same as ``scored`` for that voice.
        stock_heldout: the same as ``heldout`` for that voice.
        stock_word_errors: the same as ``word_errors`` for that voice.
        stock_quality: the same as ``quality`` for that voice.
        stock_same_speaker: the same as ``same_speaker`` for that voice.
        candidates: how many were evaluated.
        seconds: that the search took.
        provenance: where the voice comes from, as JSON values.
        folder: of the run; None where nothing was written.
    """

    voice: Voice
    synthesiser: str
    scored: Evaluation
    heldout: Sequence[float]
    word_errors: float | None
    quality: float | None
    same_speaker: float | None
    verdict: str
    clear: Voice | None
    stock_name: str
    stock_scored: Evaluation
    stock_heldout: Sequence[float]
    stock_word_errors: float | None
    stock_quality: float | None
    stock_same_speaker: float | None
    candidates: int
    seconds: float
    provenance: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None

    def save(self, path: str | Path) -> Path:
        """Writes the voice as Kokoro's ``KPipeline`` reads it, and a ``.json`` with scores and provenance beside it.

        Args:
            path: ends in ``.pt``; its folder is made where it is missing.

        Raises:
            KvwError: another ending, or the system refuses the folder or the file.
            StorageError: the storage is full, broken or gone.
        """
        path = Path(path)
        if path.suffix != ".pt":
            raise KvwError(f"path: expected a name in .pt; got {path.name!r}; task=export writes other formats")
        own = HeldOutFigures(self.heldout, self.word_errors, self.quality, self.same_speaker)
        facts = {"scores": scores_of(self.scored), **facts_of(own)}
        with _system_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            save_voice(path, self.voice, {**self.provenance, **facts})
        return path

    def __repr__(self) -> str:
        pairs = [
            ("held-out similarity", np.mean(self.heldout), np.mean(self.stock_heldout), "{:.3f}"),
            ("by CAM++", self.same_speaker, self.stock_same_speaker, "{:.3f}"),
            ("score", self.scored.score, self.stock_scored.score, "{:.2f}"),
            ("word errors", self.word_errors, self.stock_word_errors, "{:.1f} %"),
            ("quality", self.quality, self.stock_quality, "{:.2f}"),
        ]
        figures = [
            f"{name} {form.format(own)}, {self.stock_name} {form.format(stock)}"
            for name, own, stock, form in pairs
            if own is not None and stock is not None
        ]
        told = "" if self.verdict == IMPROVED else f"; {self.verdict}"
        work = f"{self.candidates} candidates in {duration(self.seconds)}, {self.synthesiser} voice"
        return f"Result: {'; '.join(figures)}{told}; {work}"


def demo() -> Path:
    """The demo recording, whose words kvw knows."""
    return DEMO


def evolve(
    recording: str | Path | Sequence[str | Path],
    text: str | None = None,
    *,
    strategy: str = "quick",
    space: str | None = None,
    synth: str = "auto",
    step_limit: int | None = None,
    seed: int = 0,
    language: str = "a",
    voices: str | Path = "voices",
    outputs: str | Path | None = None,
    overrides: Sequence[str] = (),
) -> Result:
    """Evolves a voice that sounds like a recording.

    Args:
        recording: an audio or video file of one speaker, a folder of them, or several files.
        text: the words to speak, best those of the recording; None is a text of the language's own.
        strategy: name of a preset, such as ``quick``, or of a strategy, such as ``genetic``.
        space: name of the space; None is the strategy's own. A preset has its own.
        synth: ``kokoro``; ``embedded``, which needs no download; ``auto``: Kokoro where it can be had.
        step_limit: candidates to evaluate; None is the preset's, or 10,000.
        seed: equal seeds give equal voices, bit for bit, on one machine.
        language: Kokoro's letter.
        voices: folder or pack of stock voices.
        outputs: a folder for the run, with its record, audio and report, as the command line leaves it; None writes
            nothing.
        overrides: further settings, as on the command line: ``["strategy.sigma=0.3", "executor=auto"]``. Those
            of an executor start processes, and need ``if __name__ == "__main__":`` in a script.

    Raises:
        KvwError: bad input; or no candidate could be scored.
        StorageError: ``outputs`` is full, broken or gone.
    """
    recordings = [recording] if isinstance(recording, (str, Path)) else recording
    if not (isinstance(recordings, (list, tuple)) and all(isinstance(path, (str, Path)) for path in recordings)):
        raise KvwError(f"recording: expected a path or a list of paths; got {type(recording).__name__}")
    if isinstance(overrides, str) or not all(isinstance(override, str) for override in overrides):
        raise KvwError(f"overrides: expected a list of key=value; got {shortened(repr(overrides))}")
    for override in overrides:
        if (key := override.lstrip("+~").partition("=")[0]) in NO_SEARCH:
            raise KvwError(f"overrides: expected settings of a search; got {key}; use the command line for it")
    _expect(str, strategy=strategy, synth=synth, language=language)
    _expect((str, type(None)), text=text, space=space)
    _expect((str, Path), voices=voices)
    _expect((str, Path, type(None)), outputs=outputs)
    files = [str(path) for path in recordings]
    chosen = "experiment" if strategy in options("experiment") else "strategy"
    given = {
        chosen: strategy,
        "space": space,
        "synth": synth,
        "step_limit": step_limit,
        "seed": seed,
        "language": language,
    }
    alone = () if any(override.startswith("executor") for override in overrides) else ALONE
    free = {"target_text": text, "voice_folder": str(voices)}
    user_plugins()
    invocation = composed(
        *(f"{key}={value}" for key, value in given.items() if value is not None),
        *alone,
        *(f"{key}={quote(value)}" for key, value in free.items() if value is not None),
        *([] if files == [str(DEMO)] else [f"target_audio=[{','.join(map(quote, files))}]"]),
        *overrides,
    )
    with _globals_kept(), _system_errors():
        inputs = read_inputs(invocation.cfg)
        if outputs is not None:
            folder = Path(outputs)
            folder.mkdir(parents=True, exist_ok=True)
            outcome = new_run(replace(invocation, outputs=folder, folder=folder), inputs)
            assert outcome is not None, "dry_run is refused above"
        else:
            with new_search(invocation, inputs) as ready:
                examiner, result, facts = ready.examiner(), ready.search(), ready.provenance()
                facts["base_voices"] = base_voices(facts["base_voices"], result.top)
                outcome = judge(result, examiner, facts)
    return _result(outcome)


def speak(
    voice: Result | Voice | str | Path,
    text: str,
    *,
    synth: str = "auto",
    language: str = "a",
    voices: str | Path = "voices",
    speed: float = 1.0,
    seed: int = 0,
) -> Wave:
    """Speaks a text of any length.

    Args:
        voice: a result; an array of Kokoro's, float32 ``(510, 1, 256)``; a voice's file or name; or a blend of several,
            such as ``af_bella(2)+am_adam(1)``.
        text: what to say; an empty line ends a paragraph.
        synth: ``kokoro``; ``embedded``; ``auto``: the voice's own.
        language: Kokoro's letter.
        voices: folder or pack of stock voices, for names.
        speed: factor on the rate of speech, in [0.5, 2].
        seed: of the synthesiser's noise.

    Returns:
        float32 ``(samples,)``, mono, 24 kHz.

    Raises:
        KvwError: there is no such voice, its synthesiser is missing, or nothing in the text can be pronounced.
    """
    _expect(str, text=text, synth=synth, language=language)
    _expect((str, Path), voices=voices)
    _expect(int, seed=seed)
    _expect((int, float), speed=speed)
    check_speed(speed)
    if isinstance(voice, np.ndarray) and voice.shape != VOICE_SHAPE:
        raise KvwError(f"voice: expected an array of shape {VOICE_SHAPE}; got {voice.shape}")
    cfg = composed(f"synth={synth}", f"language={language}", f"voice_folder={quote(str(voices))}").cfg
    if isinstance(voice, Result):
        owner, numbers = voice.synthesiser, voice.voice
    elif isinstance(voice, np.ndarray):
        owner, numbers = (EMBEDDED if synth == EMBEDDED else KOKORO), voice.astype(np.float32)
    else:
        named = resolve(str(voice), Path(cfg.voices_folder), select.embedded_voices)
        owner, numbers = named.synthesizer, named.voice
    return narrate(synthesizer(cfg, owner), numbers, text, seed, speed)


def _expect(kinds: type | tuple[type, ...], **given: object) -> None:
    """Refuses an argument of another type than one of ``kinds``."""
    for name, value in given.items():
        if not isinstance(value, kinds):
            names = " or ".join(kind.__name__ for kind in (kinds if isinstance(kinds, tuple) else (kinds,)))
            raise KvwError(f"{name}: expected {names}; got {shortened(repr(value))}")


@contextmanager
def _system_errors() -> Iterator[None]:
    """Says in one line, as the command line does, which file or folder the system refuses."""
    try:
        yield
    except OSError as error:
        raise from_os_error(error) from error


def _result(outcome: Outcome) -> Result:
    best, stock, result = outcome.best, outcome.result.baseline, outcome.result
    theirs, *_, own = outcome.heldout.values()
    return Result(
        best.voice,
        str(outcome.provenance["synthesiser"]),
        best.evaluation,
        own.similarities,
        own.word_errors,
        own.quality,
        own.same_speaker,
        outcome.verdict,
        outcome.clear and outcome.clear[0].voice,
        stock.name,
        stock.evaluation,
        theirs.similarities,
        theirs.word_errors,
        theirs.quality,
        theirs.same_speaker,
        result.archive.steps,
        result.seconds,
        outcome.provenance,
        outcome.folder,
    )


@contextmanager
def _globals_kept() -> Iterator[None]:
    """Gives the caller's random generators and numbers of threads back at the end."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - what libraries draw from
    cpu, threads = torch.get_rng_state(), torch.get_num_threads()
    try:
        with threadpool_limits():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        torch.set_rng_state(cpu)
        torch.set_num_threads(threads)

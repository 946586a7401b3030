"""What the web page can do, without the page: :mod:`kvw.web.page` shows it.

A request names things by labels that this module gave out, by numbers, and by uploads; it never names a path.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from kvw import audio, export, mix, quality, speak, target, texts, voices
from kvw import folder as folders
from kvw.cli import CONF, quote
from kvw.config import maker, pick_device, plain
from kvw.listing import label as label_of
from kvw.manual import gathered, summary
from kvw.places import PACKS, SINGLE
from kvw.report import jury_of, page
from kvw.runs import Run
from kvw.types import KvwError
from kvw.web.jobs import DONE, Job, Queue

log = logging.getLogger(__name__)

MOST_RUNS = 100
"""Runs that are listed, the newest: each is opened to be."""

MOST_SPOKEN = 3000
"""Characters of a text that the page speaks, three minutes of it."""

FORMATS = (*SINGLE, *PACKS)
"""Formats to download a voice in."""

FORMS_OWN = frozenset(
    {
        *("experiment", "strategy", "space", "language", "target_audio", "target_text", "minutes", "step_limit"),
        *("task", "task.port", "resume", "run", "hydra.run.dir"),
    }
)
"""Keys that the page's form decides; others of the page's own command line are those of its searches too."""


@dataclass
class Curve:
    """How the best score of a search grew, as far as it was read.

    Attributes:
        points: of each improvement: candidates by then, and its score.
        last: the last candidate's step; -1 where there is none.
        seconds: of audio that was synthesised.
        stopped: candidates that a gate stopped.
    """

    points: list[tuple[int, float]]
    last: int = -1
    seconds: float = 0.0
    stopped: int = 0

    def read(self, run: Run) -> None:
        """Reads the candidates that came since."""
        for one in run.candidates(self.last):
            seen = one.evaluation
            self.last = one.step
            self.seconds += seen.synthesised
            self.stopped += seen.status == "stopped"
            best = self.points[-1][1] if self.points else 0.0
            if seen.complete and seen.score > best:
                self.points.append((one.step + 1, seen.score))


class Studio:
    """What the page can do.

    Args:
        cfg: the config that the page was started with.
        outputs: where runs are.
        queue: of searches.
        shelf: the folder of everything that the page serves, and of its uploads.
        given: what the page's own command line says, as ``key=value``.

    Attributes:
        presets: by name, the argument of a search that chooses it, and what it is.
        languages: Kokoro's letters by their names.
    """

    def __init__(self, cfg: DictConfig, outputs: Path, queue: Queue, shelf: Path, given: Sequence[str]) -> None:
        self.cfg, self.outputs, self.queue, self.shelf = cfg, outputs, queue, shelf.resolve()
        self._given = [one for one in given if one.partition("=")[0].lstrip("+") not in FORMS_OWN]
        choices = gathered([CONF, Path.cwd() / "conf"])
        self.presets = {
            name: (f"{group}={name}", summary(path))
            for group in ("strategy", "experiment")
            for name, path in choices[group].items()
        }
        self.languages = {summary(path).rstrip("."): name for name, path in choices["language"].items()}
        self._curves: dict[Path, Curve] = {}
        self._models = threading.Lock()  # one at a time: they have all cores
        self._speaker = cache(partial(speak.synthesizer, cfg))
        self._encoder = cache(partial(encoder_of, cfg))

    # a new search

    def check(self, clip: str) -> str:
        """What a recording is like, and what should be mended, a line each.

        Raises:
            KvwError: it can't be a target.
        """
        path = self._uploaded(clip)
        with named(path):
            heard = target.read(str(path), None)
            with self._models:
                doubts = quality.doubts(self._encoder(), heard.recordings)
            lines = [heard.summary, f"Held out to judge by: {heard.heldout_note}", *heard.notes, *doubts]
            return "\n".join(lines).replace(str(path), path.name)

    def transcribe(self, clip: str) -> tuple[str, str | None]:
        """The words of a recording, and Kokoro's letter for their language, or None.

        Raises:
            KvwError: it can't be read, no words are heard, or there is no transcriber.
        """
        path = self._uploaded(clip)
        make = maker(plain(self.cfg.transcriber), "transcriber")
        with named(path), self._models, tempfile.TemporaryDirectory() as folder:
            return texts.words_of([path], Path(folder), make)

    def enqueue(
        self, clip: str | None, title: str, words: str, language: str, preset: str, minutes: float, candidates: float
    ) -> Job:
        """Puts a search at the end of the queue.

        Args:
            clip: an upload; None is the demo.
            title: for people, and in names of files; may be empty.
            words: that are spoken; empty is the language's own text, or the demo's.
            language: of :attr:`languages`.
            preset: of :attr:`presets`.
            minutes: to search; 0 is no limit.
            candidates: to evaluate; 0 leaves it to the preset.

        Raises:
            KvwError: the recording can't be a target, or a value is none that the page offers.
        """
        if preset not in self.presets or language not in self.languages:
            raise KvwError(f"expected a preset and a language of the page's; got {preset!a:.60}, {language!a:.60}")
        if not (0 <= minutes < 1e6 and 0 <= candidates <= 1_000_000):
            raise KvwError(f"expected minutes and candidates of 0 or more; got {minutes:g}, {candidates:g}")
        words = " ".join(words.split())
        if len(words) > MOST_SPOKEN:
            raise KvwError(f"words: expected {MOST_SPOKEN} characters at most; got {len(words)}; leave the rest out")
        files: dict[str, bytes] = {}
        stem = voices.safe_stem(title.strip()[:60] or (Path(clip).stem if clip else "demo"))
        own = [self.presets[preset][0], f"language={self.languages[language]}"]
        if clip:
            path = self._uploaded(clip)
            with named(path):
                target.read(str(path), None)
            ending = path.suffix.lower() if re.fullmatch(r"\.\w{1,5}", path.suffix, re.ASCII) else ""
            files[f"{stem}{ending}"] = path.read_bytes()
            own.append(f"target_audio={{folder}}/{stem}{ending}")
        if words:  # in a file: they may end as the path of one does
            files["words.txt"] = words.encode()
            own.append("target_text={folder}/words.txt")
        own += [f"minutes={minutes:g}"] if minutes else []
        own += [f"step_limit={int(candidates)}"] if candidates else []
        return self.queue.add(
            title.strip()[:60] or stem,
            files,
            lambda folder: [
                *self._given,
                *(one.replace("{folder}", str(folder)) for one in own),
                f"hydra.run.dir={quote(str(folder))}",
            ],
        )

    # searches

    def curve(self, run: Run) -> Curve:
        """How a search has gone so far."""
        found = self._curves.setdefault(run.folder, Curve([]))
        found.read(run)
        return found

    def best(self, job: Job) -> Path | None:
        """The best candidate so far of a job's run, speaking the target text; None before there is one."""
        path = job.run / "best.wav" if job.run else None
        return self.served(path) if path and path.is_file() else None

    def recording(self, job: Job) -> Path | None:
        """The recording that a job's run searches for, as it hears it; None before there is a run."""
        found = sorted(job.run.glob("target*.wav")) if job.run else []
        return self.served(found[0]) if found else None

    # what runs have found

    def runs(self) -> dict[str, Run]:
        """The newest runs that have a best voice, by label."""
        found: dict[str, Run] = {}
        titles = {job.run: f"{job.number}. {job.title}" for job in self.queue.jobs}
        for folder in folders.below(self.outputs)[:MOST_RUNS]:
            if (folder / "best.pt").is_file():
                try:
                    run = Run(folder)
                except (KvwError, OSError):  # task=runs says what is wrong with it
                    continue
                found[titles.get(folder.absolute()) or label_of(run, self.outputs)] = run
        return found

    def report(self, label: str) -> str:
        """The key of a run's report, for :meth:`written`.

        Raises:
            KvwError: there is no such run.
        """
        return self._key(self._run(label))

    def written(self, key: str) -> str:
        """The report of a run; one that has none, or goes on, gets one of what there is by now.

        Raises:
            KvwError: there is no such run, or its record can't be read.
        """
        run = next((run for run in self.runs().values() if self._key(run) == key), None)
        if not run:
            raise KvwError("expected the report of a run; there is none of that name")
        path = run.folder / folders.REPORT
        if run.status == DONE and path.is_file():
            return path.read_text("utf-8")
        return page.of_one(run, jury_of(None))

    def formats(self, label: str) -> list[str]:
        """The formats of :data:`FORMATS` that a run's voice can have: those of Kokoro's runtimes are Kokoro's alone.

        Raises:
            KvwError: there is no such run, or its best voice is a bad one.
        """
        owner = voices.synthesizer_of(self._run(label).folder / "best.pt")
        return [*FORMATS] if owner == voices.KOKORO else [export.ANY_OWNER]

    def export(self, label: str, formats: Sequence[str], name: str, gender: str) -> list[Path]:
        """Writes the best voice of a run, for Kokoro's runtimes.

        Args:
            label: of the run.
            formats: some of :data:`FORMATS`.
            name: of the voice; may be empty.
            gender: ``f``, ``m``, or empty to hear it.

        Raises:
            KvwError: as :func:`kvw.export.export`.
        """
        run = self._run(label)
        cfg = self.cfg.copy()
        OmegaConf.set_struct(cfg, False)
        cfg.test_voice, cfg.export_bin = str(run.folder / "best.pt").replace("${", r"\${"), False
        out = Path(tempfile.mkdtemp(dir=self.shelf))
        with self._models:
            export.export(
                cfg, formats=list(formats), name=name.strip() or None, gender=gender or None, out=str(out), replace=True
            )
        return sorted(path for path in out.rglob("*") if path.is_file())

    # voices

    def voices(self) -> dict[str, str]:
        """Every voice that the page knows: what :func:`kvw.mix.read` takes, by label."""
        found = {label: str(run.folder / "best.pt") for label, run in self.runs().items()}
        found |= {f"uploaded: {path.name}": str(path) for path in voices.single_files(self._kept)}
        return found | {name: name for name in self._stock()}

    def take(self, upload: str) -> str:
        """Takes a voice in, and returns its label.

        Raises:
            KvwError: it is no voice.
        """
        path = self._uploaded(upload)
        with named(path):
            voice = voices.load(path)
            owner = voices.synthesizer_of(path)
        self._kept.mkdir(exist_ok=True)
        kept = self._kept / f"{voices.safe_stem(voices.name_of(path))}.pt"
        voices.save(kept, voice, {"synthesiser": owner})
        return f"uploaded: {kept.name}"

    def speak(self, voice: str, text: str, speed: float = 1.0) -> Path:
        """A text in a voice.

        Args:
            voice: a label of :meth:`voices`, or a blend of stock voices as ``af_bella(2)+am_adam(1)``.
            text: of :data:`MOST_SPOKEN` characters at most.
            speed: in [0.5, 2].

        Raises:
            KvwError: there is no such voice, its synthesiser isn't there, or the text can't be spoken.
        """
        if not text.strip() or len(text) > MOST_SPOKEN:
            raise KvwError(f"text: expected words, {MOST_SPOKEN} characters at most; got {len(text.strip())}")
        if not 0.5 <= speed <= 2:
            raise KvwError(f"speed: expected a number from 0.5 to 2; got {speed:g}")
        known = self.voices()
        blended = {re.sub(r"\s*\([^()]*\)\Z", "", term.strip()) for term in voice.split("+")}
        if voice not in known and not blended <= {*self._stock()}:
            raise KvwError(f"voice: expected one of the list, or a blend as af_bella(2)+am_adam(1); got {voice!a:.60}")
        chosen = mix.read(known.get(voice, voice), Path(self.cfg.voices_folder))
        with self._models:
            wave = speak.narrate(self._speaker(chosen.synthesizer), chosen.voice, text, self.cfg.seed, speed)
        path = Path(tempfile.mkdtemp(dir=self.shelf)) / f"{voices.safe_stem(chosen.name)}.wav"
        audio.write(path, wave)
        return path

    def anonymous(self, path: Path) -> Path:
        """The same audio by a name that does not tell whose voice it is."""
        return path.rename(path.with_name("voice.wav"))

    def _stock(self) -> list[str]:
        """Names of the stock voices: Kokoro's, as far as they are there, and the embedded synthesiser's."""
        from kvw.speech.embedded import stock_voices

        folder = Path(self.cfg.voices_folder)
        own = voices.load_pack(folder) if folder.is_file() else map(voices.name_of, voices.single_files(folder))
        return list(dict.fromkeys([*own, *stock_voices()]))

    # files

    def served(self, path: Path) -> Path:
        """A file of a run where the page serves it: a copy, so that nothing else of the run is in reach."""
        content = path.read_bytes()
        copy = self.shelf / hashlib.sha256(content).hexdigest()[:32] / path.name
        if not copy.is_file():
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, copy)
        return copy

    @property
    def _kept(self) -> Path:
        return self.queue.folder / "voices"

    def _uploaded(self, name: str) -> Path:
        """The file that was uploaded as ``name``.

        Raises:
            KvwError: it is not there, or lies elsewhere.
        """
        path = Path(name).resolve()
        if not path.is_relative_to(self.shelf) or not path.is_file():
            raise KvwError("expected a file that was uploaded; it is not there any more; choose it again")
        return path

    def _run(self, label: str) -> Run:
        found = self.runs().get(label)
        if not found:
            raise KvwError(f"run: expected one of the list; got {label!a:.80}")
        return found

    def _key(self, run: Run) -> str:
        return hashlib.sha256(str(run.folder.absolute()).encode(errors="surrogateescape")).hexdigest()[:16]


def encoder_of(cfg: DictConfig) -> quality.Encoder:
    """The speaker encoder; to load it takes seconds."""
    from kvw.speaker import SpeakerEncoder

    return SpeakerEncoder(pick_device(cfg.device))


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Lets what goes wrong with an upload call it by its name, not by where it lies."""
    try:
        yield
    except KvwError as error:
        raise KvwError(str(error).replace(str(path), path.name), error.code) from error

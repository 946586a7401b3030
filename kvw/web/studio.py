"""What the web page can do, without the page: :mod:`kvw.web.page` shows it.

A request names things by labels that this module gave out, by numbers, and by uploads; it never names a path.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from kvw import audio, export, mix, quality, speak, target, texts, voices
from kvw import folder as folders
from kvw.cli import CONF
from kvw.config import maker, pick_device, plain
from kvw.disk import write_whole
from kvw.inputs import DEMO
from kvw.listing import label as label_of
from kvw.manual import gathered, summary
from kvw.places import PACKS, SINGLE
from kvw.report import figures, jury_of, page
from kvw.runs import Run
from kvw.types import KvwError
from kvw.web.jobs import WORDS, Job, Queue

MOST_RUNS = 100
"""Runs that are listed, the newest: each is opened to be."""

MOST_SPOKEN = 3000
"""Characters of a text that the page speaks, three minutes of it."""

FORMATS = (*SINGLE, *PACKS)
"""Formats to download a voice in."""

MOST_BLENDED = 400
"""Characters of a voice's name or blend."""

DRAWN_SECONDS = 10.0
"""Between two drawings of a curve that has not risen: each takes as long as half a candidate."""

MADE_SECONDS = 3600.0
"""In which what was spoken or exported can be heard or fetched."""


@dataclass
class Curve:
    """How the best score of a search grew, as far as it was read.

    Attributes:
        points: of each improvement: candidates by then, and its score.
        last: the last candidate's step; -1 where there is none.
        seconds: of audio that was synthesised.
        stopped: candidates that a gate stopped.
        drawn: a PNG of it as it was with ``drawn_points`` and ``drawn_last``, at ``drawn_at`` by the monotonic clock.
    """

    points: list[tuple[int, float]] = field(default_factory=list)
    last: int = -1
    seconds: float = 0.0
    stopped: int = 0
    drawn: bytes = b""
    drawn_points: int = 0
    drawn_last: int = -1
    drawn_at: float = 0.0

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

    def draw(self, stock: float | None) -> bytes:
        """The curve as a PNG, drawn anew at an improvement or after :data:`DRAWN_SECONDS`; empty where there is none.

        Args:
            stock: the best stock voice's score.
        """
        now = time.monotonic()
        late = self.last > self.drawn_last and now - self.drawn_at > DRAWN_SECONDS
        if len(self.points) > self.drawn_points or late:
            self.drawn_points, self.drawn_last, self.drawn_at = len(self.points), self.last, now
            self.drawn = figures.growth(self.points, self.last + 1, stock)
        return self.drawn


class Studio:
    """What the page can do.

    Args:
        cfg: the config that the page was started with.
        outputs: where runs are.
        queue: of searches.
        shelf: the folder of everything that the page serves, and of its uploads.

    Attributes:
        presets: by name, the argument of a search that chooses it, and what it is.
        languages: Kokoro's letters by their names.
    """

    def __init__(self, cfg: DictConfig, outputs: Path, queue: Queue, shelf: Path) -> None:
        self.cfg, self.outputs, self.queue, self.shelf = cfg, outputs, queue, shelf.resolve()
        choices = gathered([CONF, Path.cwd() / "conf"])
        self.presets = {
            name: (f"{group}={name}", summary(path))
            for group in ("strategy", "experiment")
            for name, path in choices[group].items()
        }
        self.languages = {summary(path).rstrip("."): name for name, path in choices["language"].items()}
        self._curves: dict[Path, Curve] = {}
        self._reading = threading.Lock()
        self._models = threading.Lock()  # one at a time: they have all cores
        self._copies: dict[Path, list[Path]] = {}
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

    def demo(self) -> tuple[str, str]:
        """The demo recording, as if it had been uploaded, and its words."""
        return str(self.served(DEMO)), DEMO.with_suffix(".txt").read_text("utf-8").strip()

    def enqueue(
        self,
        clip: str | None,
        title: str,
        words: str,
        language: str,
        preset: str,
        minutes: float | None,
        candidates: float | None,
    ) -> Job:
        """Puts a search at the end of the queue.

        Args:
            clip: an upload.
            title: for people, and in names of files; may be empty.
            words: that are spoken; empty is the language's own text.
            language: of :attr:`languages`.
            preset: of :attr:`presets`.
            minutes: to search; 0 or None is no limit.
            candidates: to evaluate; 0 or None leaves it to the preset.

        Raises:
            KvwError: the recording can't be a target, or a value is none that the page offers.
        """
        if not clip:
            raise KvwError("expected a recording; drop one, or take the demo")
        if preset not in self.presets or language not in self.languages:
            raise KvwError(f"expected a preset and a language of the page's; got {preset!a:.60}, {language!a:.60}")
        minutes, candidates = minutes or 0, candidates or 0
        if not (0 <= minutes < 1e6 and 0 <= candidates <= 1_000_000):
            raise KvwError(f"expected minutes and candidates of 0 or more; got {minutes:g}, {candidates:g}")
        words = " ".join(words.split())
        if len(words) > MOST_SPOKEN:
            raise KvwError(f"words: expected {MOST_SPOKEN} characters at most; got {len(words)}; leave the rest out")
        path = self._uploaded(clip)
        with named(path):
            target.read(str(path), None)
        title = title.strip()[:60] or path.stem
        plainly = re.fullmatch(r"\.\w{1,5}", path.suffix, re.ASCII) and path.suffix.lower() != ".txt"
        name = f"{voices.safe_stem(title)}{path.suffix.lower() if plainly else ''}"
        files = {name: path.read_bytes(), **({WORDS: words.encode()} if words else {})}
        settings = {"clip": name, "minutes": float(minutes), "candidates": int(candidates)}
        search, letter = self.presets[preset][0], self.languages[language]
        return self.queue.add(title, search, files, language=letter, **settings)

    # searches

    def curve(self, run: Run) -> Curve:
        """How a search has gone so far."""
        with self._reading:
            found = self._curves.setdefault(run.folder, Curve())
            found.read(run)
            return found

    def best(self, run: Run) -> Path | None:
        """The best candidate so far, speaking the target text; None before there is one."""
        path = run.folder / "best.wav"
        return self.served(path) if path.is_file() else None

    def recording(self, run: Run) -> Path | None:
        """The first recording that a run searches for, as it hears it; None where it is gone."""
        found = sorted(run.folder.glob("target*.wav"))
        return self.served(found[0]) if found else None

    # what runs have found

    def runs(self) -> dict[str, Run]:
        """The newest runs that have a best voice, by label."""
        found: dict[str, Run] = {}
        titles = {job.run: f"{job.number}. {job.title}" for job in self.queue.jobs}
        with_voice = (folder for folder in folders.below(self.outputs) if (folder / "best.pt").is_file())
        for folder in itertools.islice(with_voice, MOST_RUNS):
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
        if run.status == "done" and path.is_file():
            return path.read_text("utf-8", "replace")
        with self._models:
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
        if not formats:
            raise KvwError("formats: expected some; got none; choose one")
        cfg = self.cfg.copy()
        OmegaConf.set_struct(cfg, False)
        cfg.test_voice, cfg.export_bin = str(run.folder / "best.pt").replace("${", r"\${"), False
        out = self._fresh()
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
        stem = voices.safe_stem(voices.name_of(path))
        kept = self._kept / f"{stem}.pt"
        if kept.exists() and voices.digest(voices.load(kept)) != voices.digest(voice):  # every run's is called best
            kept = kept.with_stem(f"{stem}-{voices.digest(voice)[:8]}")
        voices.save(kept, voice, {"synthesiser": owner})
        return f"uploaded: {kept.name}"

    def speak(self, voice: str, text: str, speed: float = 1.0, name: str = "") -> Path:
        """A text in a voice.

        Args:
            voice: a label of :meth:`voices`, or a blend of stock voices as ``af_bella(2)+am_adam(1)``.
            text: of :data:`MOST_SPOKEN` characters at most.
            speed: in [0.5, 2].
            name: of the file, without its ending; empty is the voice's.

        Raises:
            KvwError: there is no such voice, its synthesiser isn't there, or the text can't be spoken.
        """
        if not text.strip() or len(text) > MOST_SPOKEN:
            raise KvwError(f"text: expected words, {MOST_SPOKEN} characters at most; got {len(text.strip())}")
        if not 0.5 <= speed <= 2:
            raise KvwError(f"speed: expected a number from 0.5 to 2; got {speed:g}")
        known = self.voices()
        blended = {term.partition("(")[0].strip() for term in voice.split("+")}
        if len(voice) > MOST_BLENDED or (voice not in known and not blended <= {*self._stock()}):
            raise KvwError(f"voice: expected one of the list, or a blend as af_bella(2)+am_adam(1); got {voice!a:.60}")
        chosen = mix.read(known.get(voice, voice), Path(self.cfg.voices_folder))
        with self._models:
            wave = speak.narrate(self._speaker(chosen.synthesizer), chosen.voice, text, self.cfg.seed, speed)
        path = self._fresh() / f"{name or voices.safe_stem(chosen.name)}.wav"
        audio.write(path, wave)
        return path

    def _stock(self) -> list[str]:
        """Names of the stock voices: Kokoro's, as far as they are there, and the embedded synthesiser's."""
        from kvw.speech.embedded import stock_voices

        folder = Path(self.cfg.voices_folder)
        own = voices.load_pack(folder) if folder.is_file() else map(voices.name_of, voices.single_files(folder))
        return list(dict.fromkeys([*own, *stock_voices()]))

    # files

    def served(self, path: Path) -> Path:
        """A file where the page serves it: a copy, so that nothing else beside it is in reach.

        Of a file that changes, the copy before the last one goes: it may still be heard.
        """
        with self._reading:
            if path.is_symlink():  # somebody else's folder could have us show anything
                raise KvwError(f"{path}: expected a file; got a link")
            seen = path.stat()
            key = hashlib.sha256(f"{path.absolute()}\0{seen.st_mtime_ns}\0{seen.st_size}".encode(errors="replace"))
            copy = self.shelf / key.hexdigest()[:32] / path.name
            if not copy.is_file():
                copy.parent.mkdir(exist_ok=True)
                write_whole(copy, path.read_bytes())
                copies = self._copies.setdefault(path, [])
                copies.append(copy.parent)
                if len(copies) > 2:
                    shutil.rmtree(copies.pop(0), ignore_errors=True)
            return copy

    def _fresh(self) -> Path:
        """An empty folder to serve from; those that nobody can want any more go."""
        for old in self.shelf.glob("made-*"):
            if time.time() - old.stat().st_mtime > MADE_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix="made-", dir=self.shelf))

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

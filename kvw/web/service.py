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
from functools import cache, partial
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from kvw.audio.checks import Encoder, speaker_doubts
from kvw.audio.target import read_target
from kvw.audio.write import write_audio
from kvw.cli.help import gathered, summary
from kvw.config.invocation import Invocation
from kvw.config.nodes import maker
from kvw.config.paths import DEMO, conf_folders
from kvw.config.schema import plain
from kvw.errors import KvwError
from kvw.reports import page
from kvw.runs import folders
from kvw.runs.comparison import run_label as label_of
from kvw.runs.reader import Run
from kvw.runtime.environment import pick_device
from kvw.runtime.filenames import safe_stem
from kvw.runtime.files import write_whole
from kvw.speech import select
from kvw.speech.narrate import narrate
from kvw.tasks.destinations import PACKS, SINGLE
from kvw.tasks.export import ANY_OWNER, export
from kvw.tasks.report import jury_of
from kvw.tasks.speak import synthesizer
from kvw.transcription.transcripts import words_of
from kvw.types import KOKORO
from kvw.voices.files import load_pack, load_voice, name_of, save_voice, single_files, synthesizer_of, voice_digest
from kvw.voices.reference import resolve
from kvw.web.curve import Curve
from kvw.web.job import WORDS_FILE, Job
from kvw.web.queue import Queue

MOST_RUNS = 100
"""Runs that are listed, the newest: each is opened to be."""

MOST_SPOKEN = 3000
"""Characters of a text that the page speaks, three minutes of it."""

FORMATS = (*SINGLE, *PACKS)
"""Formats to download a voice in."""

MOST_BLENDED = 400
"""Characters of a voice's name or blend."""

MADE_SECONDS = 3600.0
"""In which what was spoken or exported can be heard or fetched."""


class Service:
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
        choices = gathered(conf_folders())
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
        self._speaker = cache(partial(synthesizer, cfg))
        self._encoder = cache(partial(encoder_of, cfg))

    # a new search

    def check(self, clip: str) -> str:
        """What a recording is like, and what should be mended, a line each.

        Raises:
            KvwError: it can't be a target.
        """
        path = self._uploaded(clip)
        with named(path):
            heard = read_target(str(path), None)
            with self._models:
                doubts = speaker_doubts(self._encoder(), heard.recordings)
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
            return words_of([path], Path(folder), make)

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
            read_target(str(path), None)
        title = title.strip()[:60] or path.stem
        plainly = re.fullmatch(r"\.\w{1,5}", path.suffix, re.ASCII) and path.suffix.lower() != ".txt"
        name = f"{safe_stem(title)}{path.suffix.lower() if plainly else ''}"
        files = {name: path.read_bytes(), **({WORDS_FILE: words.encode()} if words else {})}
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
        owner = synthesizer_of(self._run(label).folder / "best.pt")
        return [*FORMATS] if owner == KOKORO else [ANY_OWNER]

    def export(self, label: str, formats: Sequence[str], name: str, gender: str) -> list[Path]:
        """Writes the best voice of a run, for Kokoro's runtimes.

        Args:
            label: of the run.
            formats: some of :data:`FORMATS`.
            name: of the voice; may be empty.
            gender: ``f``, ``m``, or empty to hear it.

        Raises:
            KvwError: as :func:`kvw.tasks.export.export`.
        """
        run = self._run(label)
        if not formats:
            raise KvwError("formats: expected some; got none; choose one")
        cfg = self.cfg.copy()
        OmegaConf.set_struct(cfg, False)
        cfg.test_voice, cfg.export_bin = str(run.folder / "best.pt").replace("${", r"\${"), False
        out = self._fresh()
        with self._models:
            export(
                Invocation(cfg),
                formats=list(formats),
                name=name.strip() or None,
                gender=gender or None,
                out=str(out),
                replace=True,
            )
        return sorted(path for path in out.rglob("*") if path.is_file())

    # voices

    def voices(self) -> dict[str, str]:
        """Every voice that the page knows: what :func:`kvw.voices.reference.resolve` takes, by label."""
        found = {label: str(run.folder / "best.pt") for label, run in self.runs().items()}
        found |= {f"uploaded: {path.name}": str(path) for path in single_files(self._kept)}
        return found | {name: name for name in self._stock()}

    def take(self, upload: str) -> str:
        """Takes a voice in, and returns its label.

        Raises:
            KvwError: it is no voice.
        """
        path = self._uploaded(upload)
        with named(path):
            voice = load_voice(path)
            owner = synthesizer_of(path)
        self._kept.mkdir(exist_ok=True)
        stem = safe_stem(name_of(path))
        kept = self._kept / f"{stem}.pt"
        if kept.exists() and voice_digest(load_voice(kept)) != voice_digest(voice):  # every run's is called best
            kept = kept.with_stem(f"{stem}-{voice_digest(voice)[:8]}")
        save_voice(kept, voice, {"synthesiser": owner})
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
        chosen = resolve(known.get(voice, voice), Path(self.cfg.voices_folder), select.embedded_voices)
        with self._models:
            wave = narrate(self._speaker(chosen.synthesizer), chosen.voice, text, self.cfg.seed, speed)
        path = self._fresh() / f"{name or safe_stem(chosen.name)}.wav"
        write_audio(path, wave)
        return path

    def _stock(self) -> list[str]:
        """Names of the stock voices: Kokoro's, as far as they are there, and the embedded synthesiser's."""
        folder = Path(self.cfg.voices_folder)
        own = load_pack(folder) if folder.is_file() else map(name_of, single_files(folder))
        return list(dict.fromkeys([*own, *select.embedded_voices()]))

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


def encoder_of(cfg: DictConfig) -> Encoder:
    """The speaker encoder; to load it takes seconds."""
    from kvw.fitness.speaker import SpeakerEncoder

    return SpeakerEncoder(pick_device(cfg.device))


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Lets what goes wrong with an upload call it by its name, not by where it lies."""
    try:
        yield
    except KvwError as error:
        raise KvwError(str(error).replace(str(path), path.name), error.code) from error

"""Everything that the web page can do, without its looks, which are :mod:`kvw.web.page`'s.

A request names a run or a voice by a label that this module gave out, and a search by its number. The only paths in
requests are those of uploads, and :meth:`kvw.web.files.Files.uploaded` checks them.
Above 300 lines, because all tabs share one object, and its methods share locks and labels.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from kvw.atlas.adjust import Change
from kvw.audio.checks import speaker_doubts
from kvw.audio.target import read_target
from kvw.audio.write import write_audio
from kvw.cli.help import gathered, summary
from kvw.config.invocation import Invocation, compose
from kvw.config.nodes import maker
from kvw.config.paths import DEMO, conf_folders
from kvw.config.schema import plain
from kvw.errors import KvwError
from kvw.reports import page
from kvw.runs import folders
from kvw.runs.comparison import run_label as label_of
from kvw.runs.front import BEST, Kept, front
from kvw.runs.reader import Run
from kvw.runtime.filenames import safe_stem
from kvw.runtime.files import write_whole
from kvw.speech import select
from kvw.speech.narrate import check_speed, narrate
from kvw.tasks.adjust import Changed, facts_of_change
from kvw.tasks.destinations import PACKS, SINGLE
from kvw.tasks.export import ANY_OWNER, EXPORTED, export
from kvw.tasks.listen import FOLDER, HEARD, KEYS, QUESTION
from kvw.tasks.predict import Atlas, first_voice
from kvw.tasks.report import jury_of
from kvw.text import escape_interpolation
from kvw.transcription.transcripts import words_of
from kvw.types import KOKORO, Voice
from kvw.voices.files import load_pack, load_voice, name_of, save_voice, single_files, synthesizer_of, voice_digest
from kvw.voices.names import STOCK
from kvw.voices.reference import NamedVoice, resolve
from kvw.web.curve import Curve
from kvw.web.files import Files, shown_by_name
from kvw.web.job import ANSWER_FILE, RUNNING, START_FILE, WORDS_FILE, Job
from kvw.web.models import Models
from kvw.web.queue import Queue
from kvw.web.stock_speech import StockSpeech

MOST_RUNS = 100
"""At most so many runs are listed, the newest: to list a run, its record is opened."""

MOST_SPOKEN = 3000
"""Characters of a text that the page speaks, at most: three minutes of speech."""

MOST_FIRST = 120
"""Characters of the words that a predicted voice says, at most: they are spoken while somebody waits."""

FORMATS = (*SINGLE, *PACKS)
"""Formats in which a voice can be downloaded."""

MOST_BLENDED = 400
"""Characters of a voice's name or blend, at most."""

MOST_CHANGED = 8
"""Changed voices that are remembered, at most."""

UNCHANGED = Change()


class Service:
    """What the page can do.

    Args:
        cfg: the config that the page was started with.
        outputs: where runs are.
        queue: of searches.
        files: uploads, and what the page serves.

    Attributes:
        presets: the kinds of search, by name: the argument that chooses the preset, and its summary.
        languages: Kokoro's letters of languages, by the language's name.
        models: what speaks and listens.
        stock: what the best stock voice of a run says.
    """

    def __init__(self, cfg: DictConfig, outputs: Path, queue: Queue, files: Files) -> None:
        self.cfg, self.outputs, self.queue, self.files = cfg, outputs, queue, files
        choices = gathered(conf_folders())
        self.presets = {
            name: (f"{group}={name}", summary(path))
            for group in ("strategy", "experiment")
            for name, path in choices[group].items()
        }
        self.languages = {summary(path).rstrip("."): name for name, path in choices["language"].items()}
        self._curves: dict[Path, Curve] = {}
        self._reading = threading.Lock()  # of curves
        self._answering = threading.Lock()
        self.models = Models(cfg)
        self._changed: dict[tuple[str, str, Change], Changed] = {}
        self.stock = StockSpeech(self.models, Path(cfg.voices_folder), files)

    # a new search

    def check(self, clip: str) -> str:
        """A summary of a recording, and doubts about it, a line each.

        Raises:
            KvwError: the recording can't be a target.
        """
        path = self.files.uploaded(clip)
        with shown_by_name(path):
            target = read_target(str(path), None)
            encoder = self.models.encoder()
            with self.models.at_work:
                doubts = speaker_doubts(encoder, target.recordings)
            lines = [target.summary, f"Held out to judge by: {target.heldout_note}", *target.notes, *doubts]
            return "\n".join(lines).replace(str(path), path.name)

    def first_voice(self, clip: str, words: str, language: str) -> Path | None:
        """Speaks in the voice that an atlas predicts for a recording, before any search, and returns the WAV.

        Args:
            clip: the path of an upload.
            words: what to say; where it is empty or longer than :data:`MOST_FIRST`, a sentence of the language's own.
            language: of :attr:`languages`.

        Returns:
            The speech; None where there is no atlas of the synthesiser's model.

        Raises:
            KvwError: the recording can't be a target, the page has no such language, or what speaks it is missing.
        """
        path, words = self.files.uploaded(clip), " ".join(words.split())
        if language not in self.languages:
            raise KvwError(f"expected a language of the page's; got {language!a:.60}")
        letter = self.languages[language]
        with shown_by_name(path):
            target = read_target(str(path), None)
            owner, encoder = self.models.searchers(), self.models.encoder()
            speaker = self.models.speaker(owner, letter)
            with self.models.at_work:
                atlas = Atlas(self.cfg.atlas.file, lambda: (speaker, encoder), target)
                voice = first_voice(atlas, self.models.bank(owner))
                if voice is None:
                    return None
                text = words if 0 < len(words) <= MOST_FIRST else self._sentence(letter)
                wave = narrate(speaker, voice, text, self.cfg.seed)
        spoken = self.files.fresh_folder() / f"{safe_stem(path.stem)}-predicted.wav"
        write_audio(spoken, wave)
        return spoken

    def _sentence(self, letter: str) -> str:
        """A sentence of two or three seconds in a language; whoever composes a config is alone: hold the models."""
        own = self.cfg.language if letter == self.cfg.language.letter else compose(f"language={letter}").cfg.language
        return str(own.other_texts[0])

    def transcribe(self, clip: str) -> tuple[str, str | None]:
        """The words of a recording, and Kokoro's letter for their language, or None.

        Raises:
            KvwError: the recording can't be read, no words are heard, or there is no transcriber.
        """
        path = self.files.uploaded(clip)
        make = maker(plain(self.cfg.transcriber), "transcriber")
        with shown_by_name(path), self.models.at_work, tempfile.TemporaryDirectory() as folder:
            return words_of([path], Path(folder), make)

    def demo(self) -> tuple[str, str]:
        """The demo recording as a served file, which can be used like an upload, and its words."""
        return str(self.files.served(DEMO)), DEMO.with_suffix(".txt").read_text("utf-8").strip()

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
            clip: the path of an upload.
            title: shown on the page, and part of file names; may be empty.
            words: the words of the recording; empty for the language's own text.
            language: of :attr:`languages`.
            preset: of :attr:`presets`.
            minutes: limit of the search; 0 or None for no limit.
            candidates: limit of the search; 0 or None for the preset's own.

        Raises:
            KvwError: the recording can't be a target, or the page does not offer a value.
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
        path = self.files.uploaded(clip)
        with shown_by_name(path):
            read_target(str(path), None)
        title = title.strip()[:60] or path.stem
        has_suffix = re.fullmatch(r"\.\w{1,5}", path.suffix, re.ASCII) and path.suffix.lower() != ".txt"
        name = f"{safe_stem(title)}{path.suffix.lower() if has_suffix else ''}"
        files = {name: path.read_bytes(), **({WORDS_FILE: words.encode()} if words else {})}
        settings = {"clip": name, "minutes": float(minutes), "candidates": int(candidates)}
        search, letter = self.presets[preset][0], self.languages[language]
        return self.queue.add(title, search, files, language=letter, **settings)

    # searches

    def curve(self, run: Run) -> Curve:
        """How a search has gone so far."""
        with self._reading:
            curve = self._curves.setdefault(run.folder, Curve())
            curve.read(run)
            return curve

    def best(self, run: Run) -> Path | None:
        """The speech of the best candidate so far, on the target text; None before there is one."""
        path = run.folder / "best.wav"
        return self.files.served(path) if path.is_file() else None

    def recording(self, run: Run) -> Path | None:
        """The first of the target's recordings, as the search hears it; None where the file is gone."""
        path = clip_of(run)
        return self.files.served(path) if path else None

    def question(self, number: int | None) -> tuple[int, Path, Path] | None:
        """What a search by ear waits for: the question's number, and the speech of the two voices; None for nothing."""
        job = next((job for job in self.queue.jobs if job.number == number and job.state == RUNNING), None)
        if not job or (job.folder / ANSWER_FILE).exists() or not (run := job.run):
            return None
        folder = run / FOLDER
        try:
            asked = int(json.loads((folder / QUESTION).read_bytes()))
            first, second = (self.files.served(folder / name) for name in HEARD)
        except (OSError, ValueError, TypeError):  # nothing is asked, or it is being written
            return None
        return asked, first, second

    def answer(self, number: int, asked: int, key: str) -> None:
        """Answers a question of a search by ear.

        Args:
            number: of the search.
            asked: number of the question.
            key: of :data:`kvw.tasks.listen.KEYS`.

        Raises:
            KvwError: the search does not wait for that answer.
        """
        with self._answering:
            question = self.question(number)
            if not question or question[0] != asked or key not in KEYS:
                raise KvwError("expected an answer to what the search asks now; listen to the two voices again")
            job = next(job for job in self.queue.jobs if job.number == number)
            write_whole(job.folder / ANSWER_FILE, f"{asked} {key}".encode())

    def steer(self, label: str, file: str) -> Job:
        """Puts a search by ear at the end of the queue, which begins at a voice of a run.

        Args:
            label: of the run.
            file: of the voice, as :meth:`front` names it.

        Raises:
            KvwError: there is no such run or voice, its recording is gone, or its language is not one of Kokoro's.
        """
        run, (voice, _) = self._run(label), self.picked(label, file)
        clip, language = clip_of(run), str(run.about.get("language"))
        if not clip or language not in self.languages.values():
            raise KvwError(f"{label}: expected the run's recording and language; they are gone; begin a new search")
        files = {clip.name: clip.read_bytes(), START_FILE: voice.path.read_bytes()}
        files |= {WORDS_FILE: str(run.facts["texts"][0]).encode()}
        if (facts := voice.path.with_suffix(".json")).is_file():  # whose voice it is
            files[Path(START_FILE).with_suffix(".json").name] = facts.read_bytes()
        title = f"{run.about.get('target', 'voice')} by ear"[:60]
        return self.queue.add(title, "strategy=by_ear", files, language=language, clip=clip.name)

    # results

    def runs(self) -> dict[str, Run]:
        """The newest runs that have a best voice, by label."""
        runs: dict[str, Run] = {}
        titles = {job.run: f"{job.number}. {job.title}" for job in self.queue.jobs}
        with_voice = (folder for folder in folders.below(self.outputs) if (folder / "best.pt").is_file())
        for folder in itertools.islice(with_voice, MOST_RUNS):
            try:
                run = Run(folder)
            except (KvwError, OSError):  # damaged; task=runs says how
                continue
            runs[titles.get(folder.absolute()) or label_of(run, self.outputs)] = run
        return runs

    def report_key(self, label: str) -> str:
        """The key of a run's report, for :meth:`report_page`.

        Raises:
            KvwError: there is no such run.
        """
        return report_key(self._run(label))

    def report_page(self, key: str) -> str:
        """The report of a run, as HTML; made now where the run is not done or has no report.

        Raises:
            KvwError: there is no such run, or the run's record can't be read.
        """
        run = next((run for run in self.runs().values() if report_key(run) == key), None)
        if not run:
            raise KvwError("expected the report of a run; there is none of that name")
        path = run.folder / folders.REPORT
        if run.status == "done" and path.is_file():
            return path.read_text("utf-8", "replace")
        with self.models.at_work:
            return page.of_one(run, jury_of(None))

    def formats(self, label: str) -> list[str]:
        """The formats of :data:`FORMATS` that a run's voice can have: Kokoro's runtimes take voices of Kokoro alone.

        Raises:
            KvwError: there is no such run, or its best voice can't be read.
        """
        owner = synthesizer_of(self._run(label).folder / "best.pt")
        return [*FORMATS] if owner == KOKORO else [ANY_OWNER]

    def front(self, label: str) -> dict[str, Kept]:
        """The voices of a run to choose among, the clearest first and the nearest last, by the names of their files.

        Raises:
            KvwError: there is no such run.
        """
        folder = self._run(label).folder
        return {voice.path.relative_to(folder).as_posix(): voice for voice in front(folder)}

    def picked(self, label: str, file: str) -> tuple[Kept, Path | None]:
        """A voice of :meth:`front`, and its speech on the target text, or None where that is gone.

        Raises:
            KvwError: there is no such run, or no such voice of it.
        """
        voice = self.front(label).get(file)
        if not voice:
            raise KvwError(f"voice: expected one that the run kept; got {file!a:.80}; open the run again")
        speech = voice.path.with_suffix(".wav")
        return voice, self.files.served(speech) if speech.is_file() else None

    def export(self, label: str, formats: Sequence[str], name: str, gender: str, file: str = BEST) -> list[Path]:
        """Writes a voice of a run in further formats, and returns the files.

        Args:
            label: of the run.
            formats: some of :data:`FORMATS`.
            name: of the voice; may be empty.
            gender: ``f``, ``m``, or empty to tell it by the voice's pitch.
            file: of the voice, as :meth:`front` names it; by default the result.

        Raises:
            KvwError: there is no such voice; and as :func:`kvw.tasks.export.export`.
        """
        out = self.files.fresh_folder()
        self._export(label, formats, name, gender, file, out, replace=True)
        return sorted(path for path in out.rglob("*") if path.is_file())

    def give(self, label: str, name: str, gender: str, file: str = BEST) -> str:
        """Writes a voice of a run where ``task=serve`` of this folder finds it, and returns the name that it has there.

        Args:
            label: of the run.
            name: of the voice; may be empty.
            gender: as for :meth:`export`.
            file: of the voice, as :meth:`front` names it.

        Raises:
            KvwError: there is no such voice; another one has that name; and as :func:`kvw.tasks.export.export`.
        """
        form = "pt" if synthesizer_of(self._run(label).folder / BEST) == KOKORO else ANY_OWNER
        voice = self.export(label, [form], name, gender, file)[0]  # under the name that it gets there, too
        self._export(label, [form], name, gender, file, EXPORTED, replace=False)
        return name_of(voice)

    def _export(
        self, label: str, formats: Sequence[str], name: str, gender: str, file: str, out: Path, *, replace: bool
    ) -> None:
        path = self._run(label).folder / BEST
        if file != BEST:
            voice, _ = self.picked(label, file)
            path = voice.path
            if not name.strip() and voice.step is not None:
                name = f"step_{voice.step}"  # the file's own name is made of figures
        if not formats:
            raise KvwError("formats: expected some; got none; choose one")
        cfg = self.cfg.copy()
        OmegaConf.set_struct(cfg, False)
        cfg.test_voice, cfg.export_bin = escape_interpolation(str(path)), False
        with self.models.at_work:
            export(
                Invocation(cfg),
                formats=list(formats),
                name=name.strip() or None,
                gender=gender or None,
                out=str(out),
                replace=replace,
            )

    # voices

    def voices(self) -> dict[str, str]:
        """Every voice that the page knows, by label: a reference for :func:`kvw.voices.reference.resolve`."""
        voices = {label: str(run.folder / "best.pt") for label, run in self.runs().items()}
        voices |= {f"kept: {path.name}": str(path) for path in single_files(self._kept)}
        return voices | {name: name for name in self._stock()}

    def keep_voice(self, upload: str) -> str:
        """Keeps an uploaded voice beside the queue, and returns the voice's label.

        Raises:
            KvwError: the upload is no voice.
        """
        path = self.files.uploaded(upload)
        with shown_by_name(path):
            voice = load_voice(path)
            owner = synthesizer_of(path)
        return self._keep(name_of(path), voice, {"synthesiser": owner})

    def change(self, voice: str, change: Change) -> tuple[NamedVoice, Changed]:
        """A voice, and the same changed as it is heard; the latest changes are remembered.

        Args:
            voice: as for :meth:`speak`.
            change: to be heard.

        Raises:
            KvwError: there is no such voice, or what speaks it, or the atlas of its model, is missing.
        """
        chosen = self._voice(voice)
        return chosen, self._change(chosen, change)

    def keep_change(self, voice: str, change: Change) -> str:
        """Keeps a changed voice beside the queue, and returns the label that it has then.

        Raises:
            KvwError: as :meth:`change`; or there is no change.
        """
        if not change:
            raise KvwError("expected a change to keep; got none; move a slider")
        chosen, changed = self.change(voice, change)
        return self._keep(f"{chosen.name[:40]}-changed", changed.voice, facts_of_change(chosen, change))

    def speak(self, voice: str, text: str, speed: float = 1.0, name: str = "", change: Change = UNCHANGED) -> Path:
        """Speaks a text, and returns the WAV.

        Args:
            voice: a label of :meth:`voices`, or a blend of stock voices as ``af_bella(2)+am_adam(1)``.
            text: of :data:`MOST_SPOKEN` characters at most.
            speed: in [0.5, 2].
            name: of the file, without its suffix; empty for the voice's name.
            change: of the voice.

        Raises:
            KvwError: there is no such voice, its synthesiser is missing, or the text can't be spoken.
        """
        if not text.strip() or len(text) > MOST_SPOKEN:
            raise KvwError(f"text: expected words, {MOST_SPOKEN} characters at most; got {len(text.strip())}")
        check_speed(speed)
        chosen = self._voice(voice)
        numbers = self._change(chosen, change).voice if change else chosen.voice
        speaker = self.models.speaker(chosen.synthesizer)
        with self.models.at_work:
            wave = narrate(speaker, numbers, text, self.cfg.seed, speed)
        path = self.files.fresh_folder() / f"{name or safe_stem(chosen.name)}.wav"
        write_audio(path, wave)
        return path

    def _voice(self, label: str) -> NamedVoice:
        known = self.voices()
        blended = {term.partition("(")[0].strip() for term in label.split("+")}
        if len(label) > MOST_BLENDED or (label not in known and not blended <= {*self._stock()}):
            raise KvwError(f"voice: expected one of the list, or a blend as af_bella(2)+am_adam(1); got {label!a:.60}")
        return resolve(known.get(label, label), Path(self.cfg.voices_folder), select.embedded_voices)

    def _change(self, chosen: NamedVoice, change: Change) -> Changed:
        self.models.speaker(chosen.synthesizer), self.models.encoder()
        key = chosen.synthesizer, voice_digest(chosen.voice), change
        with self.models.at_work:
            if key not in self._changed:
                self._changed[key] = self.models.changer(chosen.synthesizer)(chosen.voice, change)
                while len(self._changed) > MOST_CHANGED:
                    del self._changed[next(iter(self._changed))]
            return self._changed[key]

    def _keep(self, name: str, voice: Voice, facts: Mapping[str, object]) -> str:
        self._kept.mkdir(exist_ok=True)
        kept, own = self._kept / f"{safe_stem(name)}.pt", (facts["synthesiser"], voice_digest(voice))
        if kept.exists() and (synthesizer_of(kept), voice_digest(load_voice(kept))) != own:
            kept = kept.with_stem(f"{kept.stem}-{own[1][:8]}")  # every run's voice is named best
        if not kept.exists():
            save_voice(kept, voice, facts)
        return f"kept: {kept.name}"

    def _stock(self) -> list[str]:
        """Names of the stock voices: those of the folder, Kokoro's, and the embedded synthesiser's."""
        folder = Path(self.cfg.voices_folder)
        own = load_pack(folder) if folder.is_file() else map(name_of, single_files(folder))
        return list(dict.fromkeys([*own, *sorted(STOCK), *select.embedded_voices()]))

    @property
    def _kept(self) -> Path:
        return self.queue.folder / "voices"

    def _run(self, label: str) -> Run:
        run = self.runs().get(label)
        if not run:
            raise KvwError(f"run: expected one of the list; got {label!a:.80}")
        return run


def report_key(run: Run) -> str:
    """The key that stands for a run in the address of its report."""
    return hashlib.sha256(str(run.folder.absolute()).encode(errors="surrogateescape")).hexdigest()[:16]


def clip_of(run: Run) -> Path | None:
    """The first of the target's recordings, as a run's search hears it; None where the file is gone."""
    return min(run.folder.glob("target*.wav"), default=None)

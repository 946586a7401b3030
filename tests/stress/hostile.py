"""What a stranger may send: voices, packs, configs and names, each with what has to become of it.

``voices``, ``configs`` and ``names`` try a corpus and give a :class:`Row` for each thing in it. An execution is an
audit event of :data:`ACTS`, or of writing outside the folder that the thing belongs to; Python's audit hooks see both.
Above 300 lines, because the three scenarios share the hooks and the verdict.
"""

# ruff: noqa: RUF005 - long lists, by the kind of thing
from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kvw.errors import KvwError
from tests.support.hostile.configs import GOOD_NODES, LIVE, nodes, saved_configs
from tests.support.hostile.names import NAMES, is_taken_by_windows

ACTS = (
    ("exec", "compile", "import", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.Popen")
    + ("socket.", "urllib.", "ctypes.", "marshal.", "pickle.find_class", "sqlite3.", "webbrowser.", "os.putenv")
    + ("os.chmod", "os.kill", "os.link", "os.symlink", "shutil.", "code.__new__")
)
"""Audit events, or what they begin with, that no voice, config or name may cause."""

WRITES = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate")
"""Audit events that change what is at the path that they name first."""

OURS = ("kvw", "strategies")


@dataclass(frozen=True)
class Row:
    """What became of one thing.

    Attributes:
        name: of the thing.
        expected: ``refused``, ``loaded`` or ``inside`` (written, and nowhere else).
        verdict: what became of it; where that is none of these, what went wrong.
        executions: events that it must not have caused.
    """

    name: str
    expected: str
    verdict: str
    executions: int


class Watch:
    """Events that must not happen."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = None if folder is None else str(folder.resolve())
        self.events: list[str] = []

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        own = event == "import" and str(args[0]).startswith(OURS)
        if event in ("compile", "exec"):  # typing evaluates the annotations of what is ours
            own = sys._getframe(2).f_globals.get("__name__") == "typing"
        if event.startswith(ACTS) and not own:
            self.events.append(f"{event} {args[:1]!a:.80}")
        writes = event in WRITES or (
            event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        )
        if writes and not self.inside(args[0]):
            self.events.append(f"{event} {args[0]!a:.80}")

    def inside(self, path: Any) -> bool:
        """Whether a path is in the folder."""
        if self.folder is None or not isinstance(path, (str, bytes, os.PathLike)):
            return False
        known = os.path.realpath(os.fsdecode(path))
        return known == self.folder or known.startswith(self.folder + os.sep)


_watches: list[Watch] = []


def _listen(event: str, args: tuple[Any, ...]) -> None:
    for watch in list(_watches):
        watch(event, args)


_listening: list[bool] = []


@contextmanager
def watched(folder: Path | None = None) -> Iterator[list[str]]:
    """The events meanwhile that must not happen; writing is one anywhere but in ``folder``."""
    if not _listening:
        sys.addaudithook(_listen)  # for good: Python has no way to take one off
        _listening.append(True)
    watch = Watch(folder)
    _watches.append(watch)
    try:
        yield watch.events
    finally:
        _watches.remove(watch)


def tried(name: str, expected: str, done: str, action: Callable[[], object], folder: Path | None = None) -> Row:
    """A row for ``action``: ``done`` if it succeeds, ``refused`` if it raises a KvwError of printable lines."""
    with watched(folder) as events:
        try:
            action()
            verdict = done
        except KvwError as error:
            good = all(line.isprintable() and len(line) < 3000 for line in str(error).split("\n"))
            verdict = "refused" if good else f"refused in an odd line: {error!a:.200}"
        except Exception as error:
            verdict = f"{type(error).__name__}: {error!a:.200}"
    return Row(name, expected, verdict if not events else f"{verdict}; {events[0]}", len(events))


def warm_up() -> None:
    """Imports what good files, configs and names may need: an import that is seen later is a bad one's doing."""
    import kvw
    from kvw.testing import strategies

    heavy = ("kvw.web", "kvw.executors.ray")  # gradio and ray take 20 s, and no hostile name is theirs
    for module in pkgutil.walk_packages(kvw.__path__, "kvw."):
        if not module.name.endswith("__main__") and not module.name.startswith(heavy):
            with suppress(ImportError):  # an optional package
                importlib.import_module(module.name)
    for name in strategies():
        importlib.import_module(f"strategies.{name}")


# Voices and packs


def voices(folder: Path) -> list[Row]:
    """Hostile voices, packs and records of voices, and some that are sound; files are made in ``folder``."""
    from kvw.voices.files import facts_of, load_pack
    from tests.support.hostile.odd_files import RECORDS, oddities, sound
    from tests.support.hostile.packs import packs
    from tests.support.hostile.voices import ATTACKS, torch_zips

    warm_up()
    marker = folder / "marker"
    for encoding in ("cp437", "raw_unicode_escape"):  # zipfile and pickletools import them when they meet a text
        b"a".decode(encoding)
    files = {f"pt, {name}": (".pt", make()) for name, make in ATTACKS.items()}
    files |= {f"pt, {name}": (".pt", content) for name, content in torch_zips(marker).items()} | packs()
    rows = []
    for number, (name, (ending, content)) in enumerate([*files.items(), *sound().items()]):
        path = folder / f"{number}{ending}"
        path.write_bytes(content)
        expected = "refused" if number < len(files) else "loaded"
        rows.append(tried(name, expected, "loaded", lambda path=path: load_pack(path)))
        path.unlink()
    for name, path in oddities(folder).items():
        rows.append(tried(name, "refused", "loaded", lambda path=path: load_pack(path)))
    for name, content in RECORDS.items():
        (folder / "record.json").write_bytes(content)
        action = lambda: facts_of(folder / "record.pt")  # noqa: E731
        rows.append(tried(f"record, {name}", "refused", "loaded", action))
    return [*rows, Row("the payloads", "none ran", "ran" if marker.exists() else "none ran", 0)]


# Configs


def saved_config() -> dict[str, Any]:
    """The default config, as it is saved."""
    from kvw.config.invocation import compose
    from kvw.config.schema import plain

    return dict(plain(compose().cfg))


def configs() -> list[Row]:
    """Hostile config nodes and saved configs, and some that are sound."""
    from kvw.config.nodes import bound, maker
    from kvw.config.saved import restored_config
    from kvw.config.schema import plain

    warm_up()
    good = saved_config()
    rows = []

    def use(where: str, node: Any) -> None:
        (bound if where == "task" else maker)(node, where)

    for expected, corpus in (("refused", nodes()), ("loaded", GOOD_NODES)):
        for name, (where, node) in corpus.items():
            rows.append(tried(name, expected, "loaded", lambda where=where, node=node: use(where, node)))
    for name, config in saved_configs(good).items():
        rows.append(tried(f"saved, {name}", "refused", "loaded", lambda config=config: restored_config(config)))
    for text in LIVE:
        same = {**good, "target_text": text, "other_text": text, "target_audio": [text], "stages": {text: [text]}}

        def come_back(same: dict[str, Any] = same, text: str = text) -> None:
            cfg = restored_config(same)
            assert plain(cfg) == same and cfg.target_text == text and plain(cfg.stages) == same["stages"]

        rows.append(tried(f"saved, the text {text!a}", "loaded", "loaded", come_back))
    return rows


# Names


def written(folder: Path) -> list[Path]:
    """Every file in a folder."""
    return [path for path in folder.rglob("*") if not path.is_dir()]


def names(folder: Path, given: Sequence[str] = NAMES) -> list[Row]:
    """What becomes of names, wherever kvw makes files of them; everything is written below ``folder``."""
    warm_up()
    corpus = list(given)
    rows = []
    for number, name in enumerate(corpus):
        inner = folder / str(number) / "inner"
        inner.mkdir(parents=True)
        rows.append(
            tried(f"{name!a:.60}", "inside", "inside", lambda name=name, inner=inner: save_all(name, inner), inner)
        )
        stray = [path for path in written(inner.parent) if inner not in path.parents]
        odd = [path.name for path in written(inner) if not is_taken_by_windows(path.name)]
        if stray or odd:
            rows[-1] = Row(rows[-1].name, "inside", f"strayed {stray!a}, odd {odd!a}", len(stray))
    (folder / "spoken").mkdir()
    rows.append(tried("all in task=speak", "inside", "inside", lambda: speak_all(corpus, folder / "spoken"), folder))
    odd = [path.name for path in written(folder / "spoken") if not is_taken_by_windows(path.name)]
    spoken = {path.name.casefold() for path in written(folder / "spoken")}
    if odd or len(spoken) != len(corpus):
        rows.append(Row("all in task=speak", "inside", f"{len(spoken)} of {len(corpus)} files, odd {odd!a}", 0))
    return rows


def save_all(name: str, folder: Path) -> None:
    """Writes a file for ``name`` wherever kvw would: a recording's text, an exported voice, a run, its output."""
    from omegaconf import OmegaConf

    from kvw.config.inputs import check_numbers
    from kvw.config.problems import Problems
    from kvw.runs import folders
    from kvw.runtime.filenames import safe_stem
    from kvw.runtime.files import write_whole
    from kvw.tasks.destinations import FolderDestination
    from kvw.tasks.export import Namer
    from kvw.tasks.speak import speak
    from kvw.transcription.transcripts import transcript_path, write_transcript
    from kvw.transcription.whisper import Transcript
    from kvw.types import EMBEDDED, KOKORO
    from kvw.voices.reference import NamedVoice

    for digest in ("0" * 64, "1" * 64):  # two recordings of one name
        write_transcript(transcript_path(name, digest, folder), Transcript("words", "en"), name, digest)
    stem = safe_stem(name)
    run = folders.new_folder(folder / "outputs", f"10-00-00-{stem}-random_walk-0")
    cfg = OmegaConf.create(
        {"output_name": "out.wav", "language": {"letter": "a", "target_text": "x"}, "target_text": "x"}
    )
    cfg.update(
        seed=0,
        device="cpu",
        population_limit=1,
        shortlist=None,
        start_voices=None,
        atlas={"samples": 1},
        step_limit=1,
        patience=None,
        minutes=None,
        stop_score=None,
        keep="all",
    )
    cfg.output_name = f"{name}.wav" if "???" not in name and "${" not in name else "out.wav"
    problems = Problems()
    check_numbers(cfg, problems)
    begin = "out" if problems.lines else Path(cfg.output_name).stem
    write_whole(run / f"{begin}_123_100.00_1.00_{stem}.wav", b"")
    exported = Namer(cfg, None, "f")(NamedVoice(name, VOICE, KOKORO, ()))
    given = Namer(cfg, name or None, "m")(NamedVoice("x", VOICE, KOKORO, ()))
    place = FolderDestination(folder / "exported", "kokoro_js")
    for label in {exported, given, f"{exported}.{EMBEDDED}"}:
        write_whole(place._file(label), b"")
    if not {"/", "\\"} & set(name):  # a path is the user's own to choose
        with suppress(KvwError):
            cfg.output_name = str(folder / "spoken" / cfg.output_name)
            spoken(cfg, ["one"], speak)


VOICE: Any = None
"""Nobody looks at it here."""


def speak_all(corpus: Sequence[str], folder: Path) -> None:
    """Speaks in voices of these names, in one go."""
    from omegaconf import OmegaConf

    from kvw.tasks.speak import speak

    cfg = OmegaConf.create(
        {"target_text": "x", "output_name": str(folder / "out.wav"), "seed": 0, "language": {"letter": "a"}}
    )
    spoken(cfg, corpus, speak)


def spoken(cfg: Any, corpus: Sequence[str], speak: Callable[..., float]) -> None:
    """``task=speak`` with voices of these names, and silence for speech."""
    from unittest import mock

    import numpy as np

    from kvw.config.invocation import Invocation
    from kvw.voices.reference import NamedVoice

    found = [NamedVoice(name, VOICE, "kokoro", ()) for name in corpus]
    wave = np.full(100, 0.1, np.float32)
    with (
        mock.patch("kvw.tasks.speak.chosen_voices", return_value=found),
        mock.patch("kvw.tasks.speak.synthesizer"),
        mock.patch("kvw.tasks.speak.narrate", return_value=wave),
    ):
        speak(Invocation(cfg), speed=1.0)

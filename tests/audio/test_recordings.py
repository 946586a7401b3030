"""Recordings that can be a target, those of a folder, and cuts at a pause."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from kvw.audio.checks import measure
from kvw.audio.recordings import by_speaker, hold_out, in_folder, read_recording, split_at_pause
from kvw.config.paths import DEMO
from kvw.errors import KvwError
from kvw.types import SAMPLE_RATE
from tests.conftest import SHARED
from tests.support.recordings import refused, save, speech, tone

REAL_TARGETS = sorted((SHARED / "targets").glob("*.*"))


def test_a_folder_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, "folder")


@pytest.mark.parametrize("kind", ["s16.wav", "float.wav", "flac", "mp3", "m4a"])
def test_silence_is_refused(tmp_path: Path, kind: str) -> None:
    refused(save(tmp_path / f"a.{kind}", np.zeros((5 * 48_000, 1), np.float32), 48_000), "silence")


def test_too_little_speech_is_refused(tmp_path: Path) -> None:
    wave, rate = speech()
    short = np.concatenate([wave[: round(2.5 * rate)], np.zeros(10 * rate, np.float32)])
    refused(save(tmp_path / "a.s16.wav", short, rate), "at least 3 s of speech", "12.5 s")


def test_an_offset_of_a_sound_card_is_taken_out(tmp_path: Path, demo: np.ndarray) -> None:
    soundfile.write(tmp_path / "a.wav", np.clip(demo + 0.05, -1, 1), SAMPLE_RATE, "FLOAT")
    read = read_recording(tmp_path / "a.wav")
    assert abs(read.mean()) < 1e-6
    assert measure(read).snr == pytest.approx(measure(demo).snr, abs=3)  # 7 dB with the offset


def test_a_constant_is_not_speech(tmp_path: Path) -> None:
    refused(save(tmp_path / "a.float.wav", np.full((5 * 48_000, 1), 0.5, np.float32), 48_000), "speech")


@pytest.mark.parametrize("level", [0.003, 0.05, 1.0, 100.0])
def test_speech_is_found_at_any_level(tmp_path: Path, level: float) -> None:
    wave, rate = speech()
    read_recording(save(tmp_path / "a.float.wav", wave * level, rate))


@pytest.mark.parametrize("kind", ["u8.wav", "flac", "ogg", "opus", "mp3", "m4a", "webm", "mp4"])
def test_the_demo_speaker_passes_in_every_format(tmp_path: Path, kind: str) -> None:
    wave, rate = speech()
    got = read_recording(save(tmp_path / f"a.{kind}", wave, rate))
    assert len(got) / SAMPLE_RATE == pytest.approx(len(wave) / rate, rel=0.02)


def test_the_demo_clip_is_16_to_19_seconds_with_its_words_beside_it() -> None:
    assert 16 <= len(read_recording(DEMO)) / SAMPLE_RATE <= 19
    assert DEMO.stat().st_size < 500_000
    assert 200 <= len(DEMO.with_suffix(".txt").read_text(encoding="utf-8").strip()) <= 400


@pytest.mark.skipif(not REAL_TARGETS, reason="no recordings in ../shared/data/targets")
@pytest.mark.parametrize("path", REAL_TARGETS, ids=lambda path: path.name)
def test_every_real_recording_is_a_target(path: Path) -> None:
    wave = read_recording(path)
    assert np.abs(wave).max() <= 1
    assert len(wave) / SAMPLE_RATE == pytest.approx(soundfile.info(path).duration, rel=0.02)


def test_a_folder_has_its_recordings_by_name_and_the_rest_apart(tmp_path: Path) -> None:
    for name in ("b.WAV", "a.mp3", "c.opus", ".d.wav", "e.txt", "f", "g.wav.part"):
        (tmp_path / name).touch()
    (tmp_path / "h.wav").mkdir()
    files, others = in_folder(tmp_path)
    assert [path.name for path in files] == ["a.mp3", "b.WAV", "c.opus"]
    assert others == [".d.wav", "e.txt", "f", "g.wav.part", "h.wav"]


def test_a_folder_without_recordings_or_none_at_all_is_refused(tmp_path: Path) -> None:
    (tmp_path / "e.txt").touch()
    refused(tmp_path, "folder of recordings", reader=in_folder)
    for path in (tmp_path / "nowhere", tmp_path / "e.txt"):
        with pytest.raises(KvwError, match="can't be read"):
            in_folder(path)


def test_the_demo_clip_is_split_in_the_pause_before_its_last_sentence() -> None:
    wave = read_recording(DEMO)
    parts = split_at_pause(wave)
    assert parts is not None
    before, after = parts
    np.testing.assert_array_equal(np.concatenate(parts), wave)
    assert 0.65 <= len(before) / len(wave) <= 0.85
    around = np.concatenate([before[-SAMPLE_RATE // 20 :], after[: SAMPLE_RATE // 20]])
    assert np.sqrt(np.mean(around**2)) < 0.01 * np.sqrt(np.mean(wave**2))


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.75, 0.9])
@pytest.mark.parametrize("offset", [-0.05, 0.0, 0.05])
def test_a_split_falls_in_the_pause_wherever_it_is(fraction: float, offset: float) -> None:
    wave = tone(20.0, SAMPLE_RATE)[:, 0] + 0.05
    middle = round((fraction + offset) * len(wave))
    wave[middle - SAMPLE_RATE // 4 : middle + SAMPLE_RATE // 4] = 0
    parts = split_at_pause(wave, fraction)
    assert parts is not None
    assert len(parts[0]) == pytest.approx(middle, abs=SAMPLE_RATE // 4)


def test_of_equally_quiet_places_the_split_takes_the_nearest_to_the_fraction() -> None:
    wave = np.zeros(20 * SAMPLE_RATE, np.float32)
    parts = split_at_pause(wave)
    assert parts is not None
    assert len(parts[0]) == pytest.approx(15 * SAMPLE_RATE, abs=1)


@pytest.mark.parametrize(("seconds", "is_split"), [(0.0, False), (3.0, False), (12.0, False), (12.1, True)])
def test_only_a_clip_above_12_seconds_is_split(seconds: float, is_split: bool) -> None:
    assert (split_at_pause(tone(seconds, SAMPLE_RATE)[:, 0]) is not None) == is_split


def test_the_parts_of_a_split_are_copies() -> None:
    wave = tone(20.0, SAMPLE_RATE)[:, 0]
    parts = split_at_pause(wave)
    assert parts is not None
    assert not any(np.shares_memory(part, wave) for part in parts)


@pytest.mark.parametrize("fraction", [0.0, 0.05, 0.95, 1.0, float("nan")])
def test_a_fraction_too_near_an_end_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="fraction"):
        split_at_pause(np.zeros(20 * SAMPLE_RATE, np.float32), fraction)


def test_a_clip_whose_end_is_silent_is_not_split(demo: np.ndarray) -> None:
    silence = np.zeros(6 * SAMPLE_RATE, np.float32)
    assert hold_out(demo) is not None
    assert hold_out(np.concatenate([demo[: 12 * SAMPLE_RATE], silence])) is None
    assert hold_out(np.concatenate([np.zeros(24 * SAMPLE_RATE, np.float32), demo[: 8 * SAMPLE_RATE]])) is None


def test_a_folder_in_a_folder_is_a_speaker_and_so_are_files_of_one_name_up_to_the_first_dash(tmp_path: Path) -> None:
    for name in ("b-2.wav", "b-1-x.flac", "lone.mp3", "notes.txt", ".hidden.wav", "anna/2.wav", "anna/1.ogg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "nobody").mkdir()
    found = {name: [path.name for path in paths] for name, paths in by_speaker(tmp_path).items()}
    assert found == {"nobody": [], "anna": ["1.ogg", "2.wav"], "b": ["b-1-x.flac", "b-2.wav"], "lone": ["lone.mp3"]}


def test_a_folder_of_speakers_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KvwError, match="recordings, or a folder of them for each speaker; got none"):
        by_speaker(tmp_path)
    with pytest.raises(KvwError, match="check the path"):
        by_speaker(tmp_path / "nowhere")

"""Files that were cut short, or whose headers promise more than they hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvw.audio.decode import decode_file
from kvw.types import SAMPLE_RATE
from tests.support.recordings import assert_is_tone, claim_bytes, claim_samples, halve, refused, save, speech, tone


def test_a_wav_written_to_a_pipe_does_not_know_its_size_and_is_read(tmp_path: Path) -> None:
    for size in (0, 0x7FFFF000, 0xFFFFFFFF):
        path = claim_bytes(save(tmp_path / "a.s16.wav", tone(), 48_000), size)
        assert_is_tone(decode_file(path))


def test_a_flac_written_to_a_pipe_does_not_know_its_length_and_is_read(tmp_path: Path) -> None:
    assert_is_tone(decode_file(claim_samples(save(tmp_path / "a.flac", tone(), 48_000), 0)))


CUT = [
    "u8.wav",
    "s16.wav",
    "s24.wav",
    "float.wav",
    "aiff",
    "flac",
    "ogg",
    "opus",
    "mp3",
    "m4a",
    "webm",
    "mka",
    "mp4",
    "mkv",
]


@pytest.mark.parametrize("kind", CUT)
def test_a_file_cut_in_half_is_refused(tmp_path: Path, kind: str) -> None:
    wave, rate = speech()
    refused(halve(save(tmp_path / f"a.{kind}", wave, rate)), "cut short")


def test_an_m4a_whose_index_comes_first_is_refused_when_cut_in_half(tmp_path: Path) -> None:
    wave, rate = speech()
    path = save(tmp_path / "a.m4a", wave, rate, {"movflags": "faststart"})
    assert len(decode_file(path)) / SAMPLE_RATE == pytest.approx(len(wave) / rate, rel=0.02)
    refused(halve(path), "cut short")


def test_an_mp3_with_a_cover_before_its_sound_is_refused_when_cut_in_half(tmp_path: Path) -> None:
    wave, rate = speech()
    path = save(tmp_path / "a.mp3", wave, rate)
    cover = b"ID3\x03\x00\x00\x00\x00\x20\x00" + b"\0" * 4096
    path.write_bytes(cover + path.read_bytes())
    assert len(decode_file(path)) / SAMPLE_RATE == pytest.approx(len(wave) / rate, rel=0.02)
    refused(halve(path), "cut short")


def test_a_file_cut_by_less_than_2_percent_is_read(tmp_path: Path) -> None:
    path = save(tmp_path / "a.s16.wav", tone(10.0), 48_000)
    path.write_bytes(path.read_bytes()[:-10_000])
    assert_is_tone(decode_file(path), 9.9)


def test_a_wav_whose_header_promises_more_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    refused(claim_bytes(save(tmp_path / "a.s16.wav", tone(), 48_000), 10_000_000), "cut short")


def test_a_flac_whose_header_promises_more_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    refused(claim_samples(save(tmp_path / "a.flac", tone(), 48_000), 400_000), "cut short")


@pytest.mark.parametrize("kind", ["flac", "ogg", "opus"])
@pytest.mark.parametrize("at", [0.1, 0.5])
def test_a_file_with_a_hole_in_its_middle_is_refused(tmp_path: Path, kind: str, at: float) -> None:
    wave, rate = speech()
    path = save(tmp_path / f"a.{kind}", wave, rate)
    content = bytearray(path.read_bytes())
    where, size = round(at * len(content)), len(content) // 10
    content[where : where + size] = bytes(size)
    path.write_bytes(content)
    refused(path, "damaged")

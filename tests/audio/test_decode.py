"""Every format, rate and channel count is decoded, and what is no audio is refused in one line."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from kvw.audio.decode import decode_file
from kvw.errors import KvwError
from kvw.types import SAMPLE_RATE
from tests.support.recordings import (
    BY_PYAV,
    BY_SOUNDFILE,
    assert_is_tone,
    beside,
    claim_samples,
    refused,
    save,
    speech,
    tone,
)


@pytest.mark.parametrize("kind", dict.fromkeys([*BY_SOUNDFILE, *BY_PYAV]))
def test_every_format_comes_back_with_its_length_pitch_and_level(tmp_path: Path, kind: str) -> None:
    assert_is_tone(decode_file(save(tmp_path / f"a.{kind}", tone(), 48_000)))


@pytest.mark.parametrize("kind", ["m4a", "webm", "mp4", "mp3"])
def test_stereo_of_lossy_formats_is_mixed_to_mono(tmp_path: Path, kind: str) -> None:
    assert_is_tone(decode_file(save(tmp_path / f"a.{kind}", tone(channels=2), 48_000)))


@pytest.mark.parametrize(
    ("kind", "codec", "tracks"),
    [
        ("wmv", "wmav2", ["picture", "sound"]),
        ("wmv", "wmav2", ["sound", "picture"]),
        ("mka", "libopus", ["sound", "attachment"]),
    ],
)
def test_tracks_beside_the_sound_change_no_sample_of_it(tmp_path: Path, kind: str, codec: str, tracks: list) -> None:
    wave = tone()[:, 0]
    alone = decode_file(beside(tmp_path / f"alone.{kind}", wave, 48_000, codec, "sound"))
    assert_is_tone(alone)
    assert np.array_equal(decode_file(beside(tmp_path / f"among.{kind}", wave, 48_000, codec, *tracks)), alone)


def test_the_first_sound_track_that_is_not_silent_is_heard_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wave, silence = tone()[:, 0], np.zeros(4 * 48_000, np.float32)
    alone = decode_file(beside(tmp_path / "alone.mka", wave, 48_000, "libopus", "sound"))
    path = beside(tmp_path / "second.mka", wave, 48_000, "libopus", silence, "sound")
    assert np.array_equal(decode_file(path), alone)
    assert "sound track 2 of 2 is heard; those before it are silent" in caplog.text
    refused(beside(tmp_path / "none.mka", silence, 48_000, "libopus", "sound", "sound"), "silence")


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000])
def test_every_rate_becomes_24_khz(tmp_path: Path, rate: int) -> None:
    wave = decode_file(save(tmp_path / "a.s16.wav", tone(rate=rate), rate))
    assert len(wave) == 4 * SAMPLE_RATE
    assert_is_tone(wave)


@pytest.mark.parametrize("kind", ["s16.wav", "float.wav", "flac"])
@pytest.mark.parametrize("channels", [1, 2, 3, 8])
def test_every_channel_count_is_averaged(tmp_path: Path, kind: str, channels: int) -> None:
    wave = tone(channels=channels)
    wave[:, 1:] = 0
    assert_is_tone(decode_file(save(tmp_path / f"a.{kind}", wave, 48_000)), level=0.4 / channels)


def test_a_file_at_24_khz_is_only_decoded(tmp_path: Path) -> None:
    wave = tone(rate=SAMPLE_RATE)
    got = decode_file(save(tmp_path / "a.float.wav", wave, SAMPLE_RATE))
    assert np.abs(got - wave[:, 0]).max() < 1e-3


def test_a_recording_above_full_scale_is_scaled_down_to_it(tmp_path: Path) -> None:
    wave = decode_file(save(tmp_path / "a.float.wav", tone() * 32768, 48_000))
    assert_is_tone(wave, level=1.0)
    assert np.abs(wave).max() <= 1


@pytest.mark.parametrize(
    "name", ["a b", "my clip (1)", "[draft] #2 %20", 'it\'s "this"', "日本語 é", "C:x|y", "http:", "-i"]
)
@pytest.mark.parametrize("kind", ["s16.wav", "m4a"])
def test_any_file_name_works(tmp_path: Path, name: str, kind: str) -> None:
    path = save(tmp_path / f"a.{kind}", tone(), 48_000)
    assert_is_tone(decode_file(path.rename(tmp_path / f"{name}.{kind}")))


def test_the_name_does_not_decide_the_format(tmp_path: Path) -> None:
    for name in ("a.mp3", "a.raw", "a.txt", "a"):
        path = save(tmp_path / "a.s16.wav", tone(), 48_000).rename(tmp_path / name)
        assert_is_tone(decode_file(path))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "gone.wav", "there is none")


def test_a_path_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused(tmp_path / "file" / "a.wav", "there is none")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    refused(tmp_path / "pipe.wav", "pipe")


def test_a_line_break_in_a_name_stays_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(KvwError) as caught:
        decode_file(tmp_path / "two\nlines.wav")
    assert "two?lines.wav" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"These are words, not sound.\n" * 50, "known format"),
        (b"\xff", "known format"),
        (b"\xff\xfb", "known format"),
        (b"ID3", "known format"),
        (b"OggS", "cut short"),
        (b"RIFF", "cut short"),
        (b"RIFF\x24\x00\x00\x00WAVE", "expected"),
        (b"fLaC", "expected"),
        (b"\0" * 5000, "known format"),
        (b"#EXTM3U\n#EXTINF:10,\nhttp://localhost/a.wav\n", "known format"),
        (b"ffconcat version 1.0\nfile other.wav\n", "known format"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n", "git lfs pull"),
    ],
)
@pytest.mark.parametrize("suffix", ["wav", "mp3", "m4a"])
def test_what_is_not_audio_is_refused(tmp_path: Path, content: bytes, word: str, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    refused(path, word)


def test_a_wav_in_the_other_byte_order_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, *speech(), "PCM_16", "BIG")
    assert path.read_bytes().startswith(b"RIFX")
    refused(path, "other order (RIFX)")


def test_a_list_of_other_files_does_not_open_them(tmp_path: Path) -> None:
    save(tmp_path / "other.s16.wav", tone(), 48_000)
    (tmp_path / "list.wav").write_text("ffconcat version 1.0\nfile other.s16.wav\n")
    refused(tmp_path / "list.wav", "known format")


def test_a_video_without_sound_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "mute.mp4"), "w") as container:
        picture = container.add_stream("mpeg4", rate=10)
        picture.width = picture.height = 64
        picture.pix_fmt = "yuv420p"
        container.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        container.mux(picture.encode(None))
    refused(tmp_path / "mute.mp4", "without any")


def test_a_wav_without_samples_is_refused(tmp_path: Path) -> None:
    refused(save(tmp_path / "a.s16.wav", np.zeros((0, 1), np.float32), 48_000), "holds none")


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(["s16.wav", "flac", "ogg", "mp3", "m4a", "webm"]), changes=st.data())
def test_any_damage_gives_audio_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, kind: str, changes: st.DataObject
) -> None:
    path = save(tmp_path_factory.mktemp("damage") / f"a.{kind}", tone(1.0), 48_000)
    content = bytearray(path.read_bytes())
    for _ in range(changes.draw(st.integers(1, 8))):
        content[changes.draw(st.integers(0, len(content) - 1))] = changes.draw(st.integers(0, 255))
    path.write_bytes(content[: changes.draw(st.integers(0, len(content)))])
    try:
        wave = decode_file(path)
    except KvwError as error:
        assert str(error).isprintable()
    else:
        assert np.isfinite(wave).all() and np.abs(wave).max() <= 1


def test_three_hours_in_a_small_flac_are_refused_from_the_header(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 8_000, 1, "PCM_16") as file:
        for _ in range(180):
            file.write(np.zeros(60 * 8_000, np.int16))
    refused(path, "10 min", "180.0 min")


@pytest.mark.parametrize("samples", [0, 1_000])
def test_an_over_long_flac_whose_header_lies_is_refused_while_decoding(tmp_path: Path, samples: int) -> None:
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 8_000, 1, "PCM_16") as file:
        for _ in range(11):
            file.write(np.zeros(60 * 8_000, np.int16))
    refused(claim_samples(path, samples), "10 min")


def test_an_over_long_mp3_is_refused_while_decoding(tmp_path: Path) -> None:
    refused(save(tmp_path / "long.mp3", np.zeros(601 * 8_000, np.float32), 8_000), "10 min")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["float.wav", "double.wav"])
def test_samples_that_are_not_finite_are_refused(tmp_path: Path, kind: str, value: float) -> None:
    wave, rate = speech()
    wave[len(wave) // 2] = value
    refused(save(tmp_path / f"a.{kind}", wave, rate), "finite")


@pytest.mark.filterwarnings("error")
def test_samples_too_large_for_float32_are_refused_without_a_warning(tmp_path: Path) -> None:
    wave, rate = speech()
    huge = wave.astype(np.float64)
    huge[100] = 1e300
    refused(save(tmp_path / "a.double.wav", huge, rate), "finite")


@pytest.mark.parametrize("channels", [65, 1024])
def test_more_channels_than_a_recorder_writes_are_refused(tmp_path: Path, channels: int) -> None:
    refused(save(tmp_path / "a.s16.wav", tone(0.5, 8_000, channels), 8_000), "1 to 64 channels")

"""Every file here is made by the test that reads it, by soundfile or PyAV; the speech is the packaged demo clip."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from kvw.audio.decode import decode_file
from kvw.audio.recordings import hold_out, in_folder, read_recording, split_at_pause
from kvw.audio.vad import FRAME, speech_frames
from kvw.audio.write import write_audio
from kvw.config.paths import DEMO
from kvw.errors import EXIT_BAD_INPUT, KvwError
from kvw.types import SAMPLE_RATE
from tests.conftest import SHARED

REAL_TARGETS = sorted((SHARED / "targets").glob("*.*"))

# suffix: soundfile's format and subtype
BY_SOUNDFILE = {
    "u8.wav": ("WAV", "PCM_U8"),
    "s16.wav": ("WAV", "PCM_16"),
    "s24.wav": ("WAV", "PCM_24"),
    "s32.wav": ("WAV", "PCM_32"),
    "float.wav": ("WAV", "FLOAT"),
    "double.wav": ("WAV", "DOUBLE"),
    "extensible.wav": ("WAVEX", "PCM_16"),
    "ulaw.wav": ("WAV", "ULAW"),
    "aiff": ("AIFF", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "s24.flac": ("FLAC", "PCM_24"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
# suffix: FFmpeg's container and codec, and the length of a video stream beside the sound in s
BY_PYAV = {
    "m4a": ("ipod", "aac", 0),
    "aac": ("adts", "aac", 0),
    "webm": ("webm", "libopus", 0),
    "mka": ("matroska", "aac", 0),
    "mp3": ("mp3", "libmp3lame", 0),
    "mp4": ("mp4", "aac", 4),
    "mov": ("mov", "aac", 6),
    "mkv": ("matroska", "aac", 6),
}


def tone(seconds: float = 4.0, rate: int = 48_000, channels: int = 1) -> np.ndarray:
    """440 Hz in bursts of 0.4 s every 0.5 s, float32 ``(samples, channels)``."""
    time = np.arange(round(seconds * rate)) / rate
    wave = 0.4 * np.sin(2 * np.pi * 440 * time) * (time % 0.5 < 0.4)
    return np.repeat(wave.astype(np.float32)[:, None], channels, axis=1)


def speech() -> tuple[np.ndarray, int]:
    return soundfile.read(DEMO, dtype="float32")


def save(path: Path, wave: np.ndarray, rate: int, options: dict[str, str] | None = None) -> Path:
    """Writes float32 ``(samples, channels)`` in the format that the name says, with PyAV where soundfile has none."""
    kind = path.name.split(".", 1)[1]
    if kind in BY_SOUNDFILE:
        form, subtype = BY_SOUNDFILE[kind]
        soundfile.write(path, wave, rate, format=form, subtype=subtype)
        return path
    form, codec, video_seconds = BY_PYAV[kind]
    with av.open(str(path), "w", format=form, options=options or {}) as container:
        layout = "mono" if wave.ndim == 1 or wave.shape[1] == 1 else "stereo"
        sound = container.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(np.atleast_2d(wave.T)), format="fltp", layout=layout)
        frame.sample_rate = rate
        picture = container.add_stream("mpeg4", rate=10) if video_seconds else None
        if picture:
            picture.width = picture.height = 64
            picture.pix_fmt = "yuv420p"
        resampler = av.AudioResampler(sound.format, layout, rate, frame_size=sound.frame_size or 1024)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(sound.encode(piece))
        container.mux(sound.encode(None))
        if picture:
            for number in range(10 * video_seconds):
                image = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number, np.uint8), format="rgb24")
                image.pts, image.time_base = number, Fraction(1, 10)
                container.mux(picture.encode(image))
            container.mux(picture.encode(None))
    return path


def halve(path: Path) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def pitch(wave: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return float(np.argmax(spectrum) * SAMPLE_RATE / len(wave))


def refused(path: Path, *words: str, reader: Callable[[Path], object] = read_recording) -> None:
    with pytest.raises(KvwError) as caught:
        reader(path)
    message = str(caught.value)
    assert caught.value.code == EXIT_BAD_INPUT
    assert message.isprintable(), "one line"
    assert path.name in message
    for word in ("expected", *words):
        assert word in message


def assert_is_tone(wave: np.ndarray, seconds: float = 4.0, level: float = 0.4) -> None:
    assert wave.dtype == np.float32 and wave.ndim == 1
    assert len(wave) / SAMPLE_RATE == pytest.approx(seconds, rel=0.02)
    assert pitch(wave) == pytest.approx(440, abs=5)
    assert np.abs(wave).max() == pytest.approx(level, rel=0.25)


@pytest.mark.parametrize("kind", dict.fromkeys([*BY_SOUNDFILE, *BY_PYAV]))
def test_every_format_comes_back_with_its_length_pitch_and_level(tmp_path: Path, kind: str) -> None:
    assert_is_tone(decode_file(save(tmp_path / f"a.{kind}", tone(), 48_000)))


@pytest.mark.parametrize("kind", ["m4a", "webm", "mp4", "mp3"])
def test_stereo_of_lossy_formats_is_mixed_to_mono(tmp_path: Path, kind: str) -> None:
    assert_is_tone(decode_file(save(tmp_path / f"a.{kind}", tone(channels=2), 48_000)))


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


def test_a_wav_written_to_a_pipe_does_not_know_its_size_and_is_read(tmp_path: Path) -> None:
    for size in (0, 0x7FFFF000, 0xFFFFFFFF):
        path = lie(save(tmp_path / "a.s16.wav", tone(), 48_000), size)
        assert_is_tone(decode_file(path))


def test_a_flac_written_to_a_pipe_does_not_know_its_length_and_is_read(tmp_path: Path) -> None:
    assert_is_tone(decode_file(lie_flac(save(tmp_path / "a.flac", tone(), 48_000), 0)))


def lie(path: Path, size: int) -> Path:
    """Overwrites the data size of a WAV."""
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", size)
    path.write_bytes(content)
    return path


def lie_flac(path: Path, samples: int) -> Path:
    """Overwrites the count of samples of a FLAC."""
    content = bytearray(path.read_bytes())
    content[22:26] = struct.pack(">I", samples)
    path.write_bytes(content)
    return path


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "gone.wav", "there is none")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, "folder")


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
    ],
)
@pytest.mark.parametrize("suffix", ["wav", "mp3", "m4a"])
def test_what_is_not_audio_is_refused(tmp_path: Path, content: bytes, word: str, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    refused(path, word)


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
    refused(lie(save(tmp_path / "a.s16.wav", tone(), 48_000), 10_000_000), "cut short")


def test_a_flac_whose_header_promises_more_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    refused(lie_flac(save(tmp_path / "a.flac", tone(), 48_000), 400_000), "cut short")


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
    refused(lie_flac(path, samples), "10 min")


def test_an_over_long_mp3_is_refused_while_decoding(tmp_path: Path) -> None:
    refused(save(tmp_path / "long.mp3", np.zeros(601 * 8_000, np.float32), 8_000), "10 min")


@pytest.mark.parametrize("kind", ["s16.wav", "float.wav", "flac", "mp3", "m4a"])
def test_silence_is_refused(tmp_path: Path, kind: str) -> None:
    refused(save(tmp_path / f"a.{kind}", np.zeros((5 * 48_000, 1), np.float32), 48_000), "silence")


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


def test_too_little_speech_is_refused(tmp_path: Path) -> None:
    wave, rate = speech()
    short = np.concatenate([wave[: round(2.5 * rate)], np.zeros(10 * rate, np.float32)])
    refused(save(tmp_path / "a.s16.wav", short, rate), "at least 3 s of speech", "12.5 s")


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


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 10 * FRAME))
def test_there_is_a_verdict_on_speech_for_each_whole_frame(samples: int) -> None:
    wave = np.random.default_rng(0).standard_normal(samples).astype(np.float32)
    assert speech_frames(wave).shape == (samples // FRAME,)


def test_speech_is_heard_where_somebody_speaks() -> None:
    wave = read_recording(DEMO)
    second = np.zeros(SAMPLE_RATE, np.float32)
    spoken = speech_frames(np.concatenate([second, wave[: 4 * SAMPLE_RATE], second]))
    frames = SAMPLE_RATE // FRAME
    assert not spoken[: frames - 1].any() and not spoken[-frames + 10 :].any()
    assert spoken[frames : 4 * frames].mean() > 0.7


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


def test_a_clip_whose_end_is_silent_is_not_split(demo: np.ndarray) -> None:
    silence = np.zeros(6 * SAMPLE_RATE, np.float32)
    assert hold_out(demo) is not None
    assert hold_out(np.concatenate([demo[: 12 * SAMPLE_RATE], silence])) is None
    assert hold_out(np.concatenate([np.zeros(24 * SAMPLE_RATE, np.float32), demo[: 8 * SAMPLE_RATE]])) is None

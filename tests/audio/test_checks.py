"""What is found wrong with recordings: faults, strangers, two speakers in one recording."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from kvw.audio.checks import STRANGER, measure, remarks, speaker_doubts, strangers
from kvw.audio.recordings import read_recording
from kvw.config.paths import DEMO
from kvw.types import SAMPLE_RATE
from tests.support.recordings import part

SPEAKERS = {
    "1688": ("1688-142285-0000.flac", "1688-142285-0001.flac"),
    "1998": ("1998-15444-0000.flac", "1998-15444-0005.flac"),
    "2609": ("2609-156975-0004.flac", "2609-156975-0007.flac"),
    "3331": ("3331-159605-0000.flac", "3331-159605-0008.flac"),
    "lighthouse": ("lighthouse.wav",),
}


FILES = [name for names in SPEAKERS.values() for name in names]


NOISES = ("white", "hum", "talkers")


@pytest.mark.parametrize("name", FILES)
def test_there_is_nothing_to_remark_on_in_a_real_recording_nor_a_doubt(name, shared, encoder):
    recording = {name: read_recording(shared / "targets" / name)}
    assert remarks(recording)[1] == []
    assert speaker_doubts(encoder, recording) == []


def test_there_is_nothing_to_remark_on_in_the_demo_nor_a_doubt(demo, encoder):
    assert remarks({"demo": demo})[1] == speaker_doubts(encoder, {"demo": demo}) == []


@given(gain=st.floats(0.003, 1.0))
@settings(max_examples=20, deadline=None)
def test_the_level_is_the_gain_and_nothing_else_changes_with_it(gain):
    demo = part(read_recording(DEMO), 0, 6)
    one, other = measure(demo), measure((gain * demo).astype(np.float32))
    assert other.level == pytest.approx(one.level + 20 * math.log10(gain), abs=0.5)
    assert other.clipped == pytest.approx(one.clipped, abs=1e-4)
    assert other.speech == pytest.approx(one.speech, abs=0.3)


def noisy(wave, kind, decibels):
    """Speech with noise that is so far below it."""
    time = np.arange(len(wave)) / SAMPLE_RATE
    noise = {
        "white": np.random.default_rng(0).standard_normal(len(wave)),
        "hum": sum(np.sin(2 * np.pi * 50 * harmonic * time) / harmonic for harmonic in (1, 2, 3, 5)),
        "talkers": sum(np.roll(wave, round(shift * SAMPLE_RATE)) for shift in (1.3, 2.9, 4.7, 7.1, 9.3)),
    }[kind]
    scale = 10 ** ((measure(wave).level - decibels) / 20) / np.sqrt(np.mean(noise**2))
    return (0.5 * (wave + scale * noise)).astype(np.float32)


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize("decibels", [5, 10, 15, 20])
def test_the_noise_is_measured_within_two_decibels_and_talkers_within_three(demo, kind, decibels):
    assert measure(noisy(demo, kind, decibels)).snr == pytest.approx(decibels, abs=3 if kind == "talkers" else 2)


def cut_off(wave, share):
    """A recording of which that share of the samples was above full scale; quieter afterwards."""
    limit = np.quantile(np.abs(wave), 1 - share)
    return (0.7 * np.clip(wave / limit, -1, 1)).astype(np.float32)


WORSE = {
    "s of speech or more; got 4": lambda wave: part(wave, 0, 5),
    "recordings of 60 s at most; got 85 s in x; choose": lambda wave: np.tile(wave, 5),
    "speech in 50% of a recording or more; got 45% in x; cut": lambda wave: np.append(wave, np.zeros_like(wave)),
    "speech at -40 dBFS or more; got -45 dBFS in x; raise": lambda wave: np.float32(0.0316) * wave,
    "of the samples near the peak; got 1.2% in x; it sounds cut off": lambda wave: cut_off(wave, 0.003),
    "noise 10 dB below the speech or more; got 5 dB in x; record": lambda wave: noisy(wave, "white", 5),
    "goes above 4 kHz; got -": lambda wave: soxr.resample(soxr.resample(wave, SAMPLE_RATE, 8000), 8000, SAMPLE_RATE),
}


@pytest.mark.parametrize("line", WORSE)
def test_each_fault_is_a_line_with_its_figure_and_what_to_do(demo, line):
    _, lines = remarks({"x": WORSE[line](demo)})
    assert [line in found and found.startswith("target_audio: expected ") for found in lines] == [True], lines


@pytest.mark.parametrize("name", FILES)
def test_real_recordings_that_were_made_worse_are_found_out(name, shared):
    wave = read_recording(shared / "targets" / name)
    for worse, word in (
        (np.float32(0.03) * wave, "dBFS"),
        (cut_off(wave, 0.01), "near the peak"),
        *((noisy(wave, kind, 6), "below the speech") for kind in NOISES),
    ):
        assert [line for line in remarks({"x": worse})[1] if word in line], (name, word)


def test_a_fault_of_many_recordings_is_one_line(demo):
    quiet = {f"{number}.wav": 0.01 * part(demo, 0, 6 + number) for number in range(9)}
    (line,) = remarks({**quiet, "loud.wav": demo})[1]
    assert "dBFS in 0.wav, " in line and "dBFS in 3.wav and 5 more; raise it" in line
    assert "loud.wav" not in line


@pytest.fixture(scope="module")
def known(shared, encoder):
    """Embeddings of the real recordings."""
    waves = [read_recording(shared / "targets" / name) for name in FILES]
    return dict(zip(FILES, encoder(waves), strict=True))


def test_recordings_of_a_speaker_agree_and_one_of_any_other_is_a_stranger_among_them(known):
    for speaker, names in SPEAKERS.items():
        own = {name: known[name] for name in names}
        assert strangers(own) == {}
        for other in set(FILES) - set(names):
            assert set(strangers({**own, other: known[other]})) == {other}
            assert set(strangers({other: known[other], **own})) == ({other} if len(own) > 1 else set(own)), speaker


def test_a_stranger_is_named_with_what_to_do(shared, encoder):
    names = [*SPEAKERS["1998"], SPEAKERS["1688"][0]]
    (line,) = speaker_doubts(encoder, {name: read_recording(shared / "targets" / name) for name in names})
    assert line.startswith(f"{names[2]}: expected the speaker of the other recordings; got a cosine of 0.")
    assert "leave it out if it is somebody else" in line


@pytest.mark.parametrize("length", [6, 10])
def test_two_speakers_in_one_recording_are_suspected(length, shared, encoder):
    first = {speaker: read_recording(shared / "targets" / names[0]) for speaker, names in SPEAKERS.items()}
    level = {speaker: 0.06 * wave / np.sqrt(np.mean(wave**2)) for speaker, wave in first.items()}
    pairs = list(itertools.combinations(level, 2))
    joined = [np.append(part(level[one], 0, length), part(level[other], 0, length)) for one, other in pairs]
    found = [speaker_doubts(encoder, {"x": wave}) for wave in joined]
    assert sum(map(bool, found)) >= len(pairs) - 1
    for lines in found:
        assert all(line.startswith("x: expected one speaker; got parts that differ") for line in lines)


@pytest.mark.parametrize("change", ["white", "talkers", "silence"])
def test_noise_and_silence_do_not_make_two_speakers_of_one(change, shared, encoder):
    wave = read_recording(shared / "targets" / SPEAKERS["1688"][0])
    worse = np.append(wave, np.zeros_like(wave)) if change == "silence" else noisy(wave, change, 7)
    assert speaker_doubts(encoder, {"x": worse}) == []


def test_an_embedded_voice_among_the_demos_recordings_is_named_and_found_within_one(demo, embedded, bank, encoder):
    words = "The baker opens at six, but by half past five there is a queue of people talking quietly in the street."
    (voice,) = embedded([bank["am_boris"]], embedded.script(words), 0)
    own = {"a": part(demo, 0, 6), "b": part(demo, 6, 12), "c": part(demo, 11, 17)}
    assert speaker_doubts(encoder, own) == []
    (line,) = speaker_doubts(encoder, {**own, "d": voice})
    assert line.startswith("d: ")
    (line,) = speaker_doubts(encoder, {"e": np.append(part(demo, 0, 8), 3 * voice)})
    assert line.startswith("e: expected one speaker")


def direction(*numbers):
    vector = np.zeros(256, np.float32)
    vector[: len(numbers)] = numbers
    return vector / np.linalg.norm(vector)


@given(st.permutations(["a", "b", "c", "x", "y"]))
def test_strangers_are_those_of_the_smaller_group_whatever_the_order(order):
    known = {"a": (9, 1), "b": (9, 2), "c": (9, 0, 1), "x": (0, 1, 9), "y": (1, 0, 0, 9)}
    found = strangers({name: direction(*known[name]) for name in order})
    assert set(found) == {"x", "y"}
    assert all(cosine < STRANGER for cosine in found.values())


def test_one_recording_is_no_stranger_and_neither_are_equal_ones():
    assert strangers({}) == strangers({"a": direction(1)}) == {}
    assert strangers(dict.fromkeys("abcd", direction(1, 2))) == {}

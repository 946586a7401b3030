"""The recordings of a target: which are searched on, which judge, and what is found wrong with them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import ListConfig

from kvw.audio import target
from kvw.audio.checks import STRANGER, measure, remarks, speaker_doubts, strangers
from kvw.audio.recordings import hold_out, read_recording
from kvw.audio.target import divide, read_target
from kvw.audio.write import write_audio
from kvw.config.paths import DEMO
from kvw.errors import KvwError
from kvw.types import SAMPLE_RATE, mean_embedding

SPEAKERS = {
    "1688": ("1688-142285-0000.flac", "1688-142285-0001.flac"),
    "1998": ("1998-15444-0000.flac", "1998-15444-0005.flac"),
    "2609": ("2609-156975-0004.flac", "2609-156975-0007.flac"),
    "3331": ("3331-159605-0000.flac", "3331-159605-0008.flac"),
    "lighthouse": ("lighthouse.wav",),
}
FILES = [name for names in SPEAKERS.values() for name in names]
NOISES = ("white", "hum", "talkers")


def seconds(wave, first, last):
    return wave[round(first * SAMPLE_RATE) : round(last * SAMPLE_RATE)]


@pytest.fixture
def folder(tmp_path, demo):
    """Five recordings of the demo's speaker, of 4 to 8 s."""
    path = tmp_path / "My Voice"
    path.mkdir()
    for number, (first, last) in enumerate(((0, 4), (1, 6), (2, 8), (3, 10), (9, 17)), start=1):
        write_audio(path / f"clip {number}.wav", seconds(demo, first, last))
    return path


def as_read(*paths):
    return [read_recording(path) for path in paths]


def same(waves, others):
    return len(waves) == len(others) and all(map(np.array_equal, waves, others))


def test_a_single_recording_is_split_as_ever_bit_for_bit():
    found = read_target(DEMO, None)
    searched, held = hold_out(read_recording(DEMO))
    assert same(found.clips, [searched]) and same(found.heldout, [held])
    assert found.heldout_note == f"the target's last {len(held) / SAMPLE_RATE:.1f} s, which the search does not use"
    assert (found.name, found.notes) == ("demo", [])
    assert same(found.recordings.values(), as_read(DEMO))


def test_a_single_short_recording_judges_itself_and_says_so(folder):
    found = read_target(folder / "clip 5.wav", None)
    assert same(found.clips, as_read(folder / "clip 5.wav")) and same(found.heldout, found.clips)
    assert found.heldout_note.startswith("the target itself, which has no speech to spare")


@pytest.mark.parametrize("count", range(2, 14))
def test_of_several_recordings_every_fourth_and_at_least_one_is_held_out_whole(count):
    waves = {f"some/clip_{index}.wav": np.full(20 * SAMPLE_RATE, index, np.float32) for index in range(count)}
    searched, held, note = divide(waves)
    numbers = [int(wave[0]) for wave in held]
    assert numbers == ([3, 7, 11][: count // 4] if count >= 4 else [count - 1])
    assert sorted([*numbers, *(int(wave[0]) for wave in searched)]) == list(range(count))
    assert all(len(wave) == 20 * SAMPLE_RATE for wave in [*searched, *held])
    assert all(f"clip_{number}.wav" in note for number in numbers) and "some/" not in note


def test_a_folder_is_its_recordings_by_name_and_what_else_is_in_it_is_named(folder):
    write_audio(folder / ".hidden.wav", np.zeros(10, np.float32))
    (folder / "words.txt").write_text("not audio")
    (folder / "more").mkdir()
    found = read_target(str(folder), None)
    paths = [str(folder / f"clip {number}.wav") for number in range(1, 6)]
    assert list(found.recordings) == paths
    assert found.name == "My_Voice"
    assert same(found.clips, as_read(*(paths[index] for index in (0, 1, 2, 4))))
    assert same(found.heldout, as_read(paths[3]))
    (note,) = found.notes
    assert note == f"target_audio: left out of {folder}, as their names are not those of recordings: " + (
        ".hidden.wav, more and words.txt"
    )


@pytest.mark.parametrize("kind", [list, ListConfig])
def test_a_list_keeps_its_order_and_is_named_after_its_first(folder, kind):
    given = kind([str(folder / f"clip {number}.wav") for number in (5, 1, 2)])
    found = read_target(given, None)
    assert found.name == "clip_5"
    assert same(found.clips, as_read(given[0], given[1])) and same(found.heldout, as_read(given[2]))


def test_a_list_of_one_is_a_single_recording():
    assert same(read_target([str(DEMO)], None).heldout, read_target(DEMO, None).heldout)


@pytest.mark.parametrize("judges", [["clip 1.wav"], ["clip 1.wav", "clip 2.wav"], "folder"])
def test_recordings_to_judge_by_leave_all_others_to_the_search(folder, tmp_path, judges):
    if judges == "folder":
        given = tmp_path / "judges"
        given.mkdir()
        (folder / "clip 1.wav").rename(given / "clip 1.wav")
        paths = [given / "clip 1.wav"]
    else:
        given = paths = [folder / name for name in judges]
    own = [folder / "clip 4.wav", folder / "clip 5.wav"]
    found = read_target(own, given)
    assert same(found.clips, as_read(*own)) and same(found.heldout, as_read(*paths))
    assert found.heldout_note == "heldout_audio"
    assert list(found.recordings) == [str(path) for path in [*own, *paths]]
    assert same(read_target(DEMO, paths).clips, as_read(DEMO)), "it is not split"


def problems(*given):
    with pytest.raises(KvwError) as caught:
        read_target(*given)
    return str(caught.value).splitlines()


def test_every_problem_with_every_recording_is_a_line(folder):
    (folder / "clip 1.wav").write_bytes(b"")
    write_audio(folder / "clip 2.wav", np.zeros(9 * SAMPLE_RATE, np.float32))
    (folder / "clip 6.wav").write_bytes((folder / "clip 5.wav").read_bytes())
    lines = problems(folder, ["nowhere.wav", folder / "clip 4.wav"])
    assert [line.split(": expected ")[0] for line in lines] == [
        *(str(folder / f"clip {number}.wav") for number in (1, 2, 6)),
        "nowhere.wav",
        str(folder / "clip 4.wav"),
    ]
    assert "empty" in lines[0] and "silence" in lines[1]
    assert lines[2].endswith(f"got the same as {folder / 'clip 5.wav'}; leave one out")
    assert lines[4].endswith(f"got the same as {folder / 'clip 4.wav'}; leave one out"), "the search would hear it"


def test_a_folder_without_recordings_and_an_empty_list_are_refused(tmp_path):
    (tmp_path / "words.txt").write_text("not audio")
    (line,) = problems(tmp_path, None)
    assert line.startswith(f"{tmp_path}: expected a folder of recordings")
    assert problems([], [])[0] == "target_audio: expected a recording, a list of them or a folder; got an empty list"
    assert "heldout_audio: expected a recording" in problems(DEMO, [])[0]


def test_recordings_without_end_are_refused_before_they_fill_the_memory(folder, monkeypatch):
    read = []
    monkeypatch.setattr(target, "MAX_SECONDS", 10.0)
    monkeypatch.setattr(target, "read_recording", lambda path, own=read_recording: read.append(path) or own(path))
    (line,) = problems(folder, None)
    assert f"got more, from {folder / 'clip 3.wav'} on" in line
    assert len(read) == 3


def test_the_summary_has_the_figures_of_all_recordings_of_the_target(folder):
    found = read_target(folder, None)
    of_all = [measure(wave) for wave in found.recordings.values()]
    share = sum(one.speech for one in of_all) / sum(one.seconds for one in of_all)
    level, snr = (np.mean([getattr(one, name) for one in of_all]) for name in ("level", "snr"))
    assert (
        found.summary == f"My_Voice, 5 recordings, 30.0 s, speech {share:.0%}, level {level:.0f} dBFS, SNR {snr:.0f} dB"
    )
    assert read_target(DEMO, None).summary == "demo, 17.0 s, speech 90%, level -15 dBFS, SNR 44 dB"


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
    demo = seconds(read_recording(DEMO), 0, 6)
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
    "s of speech or more; got 4": lambda wave: seconds(wave, 0, 5),
    "recordings of 60 s at most; got 85 s in x; choose": lambda wave: np.tile(wave, 5),
    "speech in 50% of a recording or more; got 45% in x; cut": lambda wave: np.append(wave, np.zeros_like(wave)),
    "speech at -40 dBFS or more; got -45 dBFS in x; raise": lambda wave: np.float32(0.0316) * wave,
    "of the samples near the peak; got 1.2% in x; it sounds cut off": lambda wave: cut_off(wave, 0.003),
    "noise 10 dB below the speech or more; got 5 dB in x; record": lambda wave: noisy(wave, "white", 5),
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
    quiet = {f"{number}.wav": 0.01 * seconds(demo, 0, 6 + number) for number in range(9)}
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
    joined = [np.append(seconds(level[one], 0, length), seconds(level[other], 0, length)) for one, other in pairs]
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
    own = {"a": seconds(demo, 0, 6), "b": seconds(demo, 6, 12), "c": seconds(demo, 11, 17)}
    assert speaker_doubts(encoder, own) == []
    (line,) = speaker_doubts(encoder, {**own, "d": voice})
    assert line.startswith("d: ")
    (line,) = speaker_doubts(encoder, {"e": np.append(seconds(demo, 0, 8), 3 * voice)})
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


def test_the_mean_of_one_embedding_is_itself_and_of_several_has_unit_length():
    one, other = direction(1, 2, 3), direction(3, 1)
    assert mean_embedding([one]) is one
    mean = mean_embedding([one, other])
    assert mean.dtype == np.float32
    assert np.linalg.norm(mean) == pytest.approx(1, abs=1e-6)
    assert float(mean @ one) == pytest.approx(float(mean @ other), abs=1e-6)

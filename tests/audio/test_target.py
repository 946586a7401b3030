"""The recordings of a target: which a search hears, and which judge its result."""

from __future__ import annotations

import numpy as np
import pytest
from omegaconf import ListConfig

from kvw.audio import target
from kvw.audio.checks import measure
from kvw.audio.recordings import hold_out, read_recording
from kvw.audio.target import divide, read_target
from kvw.audio.write import write_audio
from kvw.config.paths import DEMO
from kvw.errors import KvwError
from kvw.types import SAMPLE_RATE
from tests.support.recordings import part


@pytest.fixture
def folder(tmp_path, demo):
    """Five recordings of the demo's speaker, of 4 to 8 s."""
    path = tmp_path / "My Voice"
    path.mkdir()
    for number, (first, last) in enumerate(((0, 4), (1, 6), (2, 8), (3, 10), (9, 17)), start=1):
        write_audio(path / f"clip {number}.wav", part(demo, first, last))
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
    assert (found.searched, found.judged) == ([*map(str, own)], [*map(str, paths)])
    assert same(read_target(DEMO, paths).clips, as_read(DEMO)), "it is not split"


def test_recordings_to_judge_by_with_too_little_speech_are_left_out_as_long_as_one_is_left(folder, demo):
    write_audio(folder / "short.wav", part(demo, 0, 2))
    own, short, long = folder / "clip 4.wav", folder / "short.wav", folder / "clip 5.wav"
    found = read_target([own], [short, long])
    assert same(found.heldout, as_read(long)) and list(found.recordings) == [str(own), str(long)]
    (line,) = [
        note for note in found.notes if note.startswith(f"heldout_audio: left out: {short}: expected at least 3 s")
    ]
    (refused,) = problems([own], [short])
    assert refused in line
    assert len(problems([short, own], [long])) == 1, "a recording for the search is missed"


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

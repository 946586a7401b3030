"""What a search is given is read and checked before any model is loaded."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from kvw.audio.recordings import read_recording
from kvw.audio.write import write_audio
from kvw.config.arguments import quoted
from kvw.config.inputs import passage, read_inputs
from kvw.config.invocation import compose
from kvw.config.paths import DEMO
from kvw.errors import KvwError
from kvw.types import SAMPLE_RATE
from tests.conftest import ROOT


def composed(*arguments):
    return compose(*quoted(list(arguments))).cfg


def problems(*arguments):
    with pytest.raises(KvwError) as caught:
        read_inputs(composed(*arguments))
    return str(caught.value).splitlines()


@pytest.fixture
def clips(tmp_path, demo):
    """Three recordings of one speaker."""
    paths = [tmp_path / f"part {number} (of 3).wav" for number in (1, 2, 3)]
    for number, path in enumerate(paths):
        write_audio(path, demo[4 * number * SAMPLE_RATE : (4 * number + 5) * SAMPLE_RATE])
    return paths


def test_nothing_given_is_the_demo_with_its_own_words_and_nothing_to_note():
    inputs = read_inputs(composed())
    assert inputs.target_text == " ".join(DEMO.with_suffix(".txt").read_text("utf-8").split())
    assert inputs.target.name == "demo"
    assert inputs.notes == []
    assert (inputs.starting_voice, inputs.starting_synthesizer) == (None, "")


def test_a_recording_without_words_is_spoken_to_with_the_languages_text_and_a_note(clips):
    inputs = read_inputs(composed(f"target_audio={clips[0]}"))
    assert inputs.target_text == composed().language.target_text
    assert [note for note in inputs.notes if note.startswith("target_text is not given")]
    assert not [
        note for note in read_inputs(composed(f"target_audio={clips[0]}", "target_text=Hi.")).notes if "text" in note
    ]


def test_a_folder_a_list_and_files_to_judge_by_arrive_from_the_command_line(clips, tmp_path):
    listed = read_inputs(composed(f"target_audio=[{clips[2]}, {clips[0]}]", "target_text=Hi.")).target
    assert list(listed.recordings) == [str(clips[2]), str(clips[0])]
    assert listed.name == "part_3_of_3"
    folder = read_inputs(composed(f"target_audio={tmp_path}", "target_text=Hi.")).target
    assert [len(folder.clips), len(folder.heldout)] == [2, 1]
    judged = read_inputs(composed(f"target_audio={clips[0]}", f"heldout_audio={clips[1]}")).target
    assert np.array_equal(judged.heldout[0], read_recording(clips[1]))


def test_what_is_wrong_with_recordings_is_noted_with_the_rest(tmp_path, demo):
    write_audio(tmp_path / "quiet.wav", 0.01 * demo)
    (note,) = read_inputs(composed(f"target_audio={tmp_path / 'quiet.wav'}", "target_text=Hi.")).notes
    assert "dBFS" in note


def test_problems_with_recordings_are_reported_with_all_others(tmp_path):
    (tmp_path / "empty.wav").touch()
    given = [f"target_audio=[{tmp_path / 'empty.wav'},no.wav]", "heldout_audio=none.wav", "target_text=", "seed=-1"]
    lines = problems(*given)
    for word in ("empty.wav", "no.wav", "none.wav", "target_text", "seed"):
        assert sum(word in line for line in lines) == 1, lines
    assert len(lines) == 5


@pytest.mark.parametrize("key", ["target_audio", "heldout_audio"])
def test_nothing_after_the_equals_sign_is_one_line_and_not_the_folder_that_one_is_in(key):
    (line,) = problems(f"{key}=")
    assert line.startswith(f"{key}: expected a path")


def test_reading_inputs_does_not_wait_for_heavy_imports():
    code = (
        "import sys; from kvw.config.invocation import compose; from kvw.config.inputs import read_inputs\n"
        "read_inputs(compose().cfg)\n"
        "print([name for name in ('torch', 'librosa', 'resemblyzer') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_long_held_out_texts_are_left_out_where_the_search_asks_for_it():
    every = read_inputs(composed()).heldout_texts
    short = read_inputs(composed("heldout_characters=130")).heldout_texts
    assert short == [text for text in every if len(text) <= 130]
    assert 0 < len(short) < len(every)
    assert problems("heldout_characters=10") == [
        f"heldout_characters: expected {min(map(len, every))} or more, the shortest of heldout_texts; got 10"
    ]


def test_the_start_is_the_mean_of_one_stock_voice_at_least():
    assert problems("start_voices=0") == ["start_voices: expected 1 or more; got 0"]


def test_a_file_that_is_there_is_read_whatever_its_ending_and_a_sentence_with_dots_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b.md").write_text("Read me.")
    assert passage("a b.md", "target_text") == "Read me."
    for sentence in ("I met Dr. Brown at 3.30.", "a.md", "x" * 5000 + ".y", "One.\nTwo.md"):
        assert passage(sentence, "target_text") == sentence


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-16", "utf-32", "latin-1"])
def test_text_that_is_not_utf_8_is_refused(tmp_path, codec):
    path = tmp_path / "a.txt"
    path.write_bytes("Caf\xe9 or tea?".encode(codec))
    with pytest.raises(KvwError, match=r"target_text: expected text in UTF-8; .*a\.txt is something else"):
        passage(str(path), "target_text")


def test_a_null_character_which_would_end_a_text_is_refused():
    with pytest.raises(KvwError, match="target_text: expected words; got a null character"):
        passage("One\0two", "target_text")


def test_a_starting_voice_of_another_language_is_remarked_on(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    notes = read_inputs(compose("starting_voice=ff_siwis").cfg).notes
    (remark,) = [note for note in notes if "ff_siwis" in note]
    assert remark.startswith("starting_voice: ff_siwis: made for French, and will speak American English")
    assert not any(
        "made for" in note for note in read_inputs(compose("starting_voice=ff_siwis", "language=f").cfg).notes
    )

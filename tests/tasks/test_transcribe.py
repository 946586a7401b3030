"""``task=transcribe_many`` and ``transcribe_start``, with a tiny Whisper that hears nonsense, and with a real one."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from kvw.audio.write import write_audio
from kvw.cli.main import invoke
from kvw.config.invocation import Invocation
from kvw.config.paths import DEMO
from kvw.speech.segmentation import opening
from kvw.tasks.transcribe import recordings_in, transcribe_many
from kvw.transcription.whisper import Whisper
from kvw.transcription.words import error_rate
from kvw.types import SAMPLE_RATE


def many(model: Path | str, *arguments: str) -> int:
    return invoke(["task=transcribe_many", f"transcriber.model={model}", *arguments])


def test_a_folder_is_done_past_a_bad_file_which_is_named_and_the_exit_status_says_so(model, recordings, capsys):
    (recordings / "bad.mp3").write_bytes(b"not a recording")
    (recordings / "notes.txt").write_text("not a recording either")
    (recordings / "._a.wav").write_bytes(b"what macOS leaves")
    (recordings / "deeper.wav").mkdir()
    assert many(model, "target_audio=clips") == 1
    told = capsys.readouterr()
    assert told.err == "kvw: 1 of 3 recordings failed: bad.mp3; the others are done\n"
    assert "clips/bad.mp3: expected audio" in told.out.replace(os.sep, "/")
    assert sorted(path.name for path in Path("texts").iterdir()) == ["a.kvw.json", "a.txt", "b.kvw.json", "b.txt"]
    for name in "ab":
        text = Path("texts", f"{name}.txt").read_text("utf-8")
        assert text == " ".join(text.split()) + "\n"
        assert text.strip()
        assert json.loads(Path("texts", f"{name}.kvw.json").read_text("utf-8"))["language"] == "es"


def test_what_is_done_is_kept_and_loads_no_model(model, recordings, capsys):
    assert many(model, "target_audio=clips") == 0
    Path("texts/a.txt").write_text("The words as I corrected them.\n")
    first = {path: path.read_bytes() for path in Path("texts").iterdir()}
    for path in recordings.iterdir():
        os.utime(path, (time.time() + 60, time.time() + 60))  # as a copy would be: newer, and the same recording
    capsys.readouterr()
    assert many("small", "target_audio=clips") == 0  # which is not here
    assert {path: path.read_bytes() for path in Path("texts").iterdir()} == first
    assert "texts/a.txt is kept, delete it to transcribe again: The words as I corrected" in capsys.readouterr().out


def test_the_task_returns_how_many_texts_are_there(model, recordings):
    transcriber = {"_target_": "kvw.transcription.whisper.Whisper", "model": str(model)}
    for named, expected in (("clips/a.wav", 1.0), ("clips", 2.0), (["clips/b.wav", "clips"], 2.0)):
        cfg = {"target_audio": named, "texts_folder": "texts", "transcriber": transcriber}
        assert transcribe_many(Invocation(OmegaConf.create(cfg))) == expected


def test_a_text_that_was_deleted_is_written_again(model, recordings):
    assert many(model, "target_audio=clips") == 0
    text = Path("texts/a.txt").read_text()
    Path("texts/a.txt").unlink()
    assert many(model, "target_audio=clips") == 0
    assert Path("texts/a.txt").read_text() == text


def test_a_language_that_kokoro_lacks_is_a_note_and_no_error(model, recordings, capsys):
    assert many(model, "target_audio=clips", "transcriber.language=de") == 0
    assert "a.wav: Kokoro does not speak its language, de" in capsys.readouterr().out


def test_a_recording_without_words_fails_and_says_where_to_type_them(model, recordings, capsys):
    write_audio(recordings / "c.wav", np.zeros(3 * SAMPLE_RATE, np.float32))
    assert many(model, "target_audio=clips") == 1
    told = capsys.readouterr()
    assert "1 of 3 recordings failed: c.wav" in told.err
    assert "no words were heard" in told.out
    assert not list(Path("texts").glob("c*"))


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe\x00W"])
def test_a_text_that_can_not_be_used_fails_and_is_not_overwritten(model, recordings, content, capsys):
    Path("texts").mkdir()
    Path("texts/a.txt").write_bytes(content)
    assert many(model, "target_audio=clips") == 1
    assert "texts/a.txt: expected" in capsys.readouterr().out.replace(os.sep, "/")
    assert Path("texts/a.txt").read_bytes() == content


@pytest.mark.parametrize(
    ("argument", "named"),
    [
        ("target_audio=null", "target_audio"),
        ("target_audio=[]", "target_audio"),
        ("target_audio=gone", "gone"),
        ("target_audio=empty", "empty"),
        ("texts_folder=clips/a.wav", "texts_folder"),
        ("transcriber.model=/nowhere", "/nowhere"),
        ("transcriber.beam_size=0", "beam_size"),
        ("transcriber.beam=1", "transcriber"),
        ("transcriber.beam_size=many", "beam_size"),
    ],
)
def test_what_fails_every_recording_ends_the_task_with_one_line(model, recordings, argument, named, capsys):
    Path("empty").mkdir()
    assert many(model, "target_audio=clips", argument) == 2
    told = capsys.readouterr().err
    assert told.startswith("kvw: ")
    assert told.count("\n") == 1
    assert named in told
    assert not list(Path().glob("texts/*"))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder that not even root can write to")
def test_a_folder_that_can_not_be_written_is_found_before_any_model_is_loaded(model, recordings, capsys):
    assert many("/nowhere", "target_audio=clips", "texts_folder=/proc/texts") == 2
    assert "texts_folder: expected a folder to write texts to" in capsys.readouterr().err


def test_an_interrupt_keeps_what_is_done(model, recordings, monkeypatch):
    hear = Whisper.__call__

    def interrupted(self, wave):
        if Path("texts/a.txt").exists():
            raise KeyboardInterrupt
        return hear(self, wave)

    monkeypatch.setattr(Whisper, "__call__", interrupted)
    assert many(model, "target_audio=clips") == 130
    assert Path("texts/a.txt").read_text().strip()
    assert sorted(path.name for path in Path("texts").iterdir()) == ["a.kvw.json", "a.txt"]


def test_a_list_of_files_and_folders_names_each_recording_once(recordings):
    named = recordings_in([str(recordings / "b.wav"), str(recordings)])
    assert [path.name for path in named] == ["b.wav", "a.wav"]


@pytest.mark.long
def test_a_search_that_transcribes_first_speaks_the_words_and_the_language_that_are_heard(kvw, model):
    given = ["transcribe_start=true", f"transcriber.model={model}", "synth=embedded", "step_limit=1"]
    code, (run,) = kvw(*given, "population_limit=2")
    assert code == 0
    config = OmegaConf.load(run / "config.yaml")
    words = Path("texts/demo.txt").read_text("utf-8").strip()
    assert config.target_text == opening(words, 400)
    assert config.language.letter == "e"
    code, (again,) = kvw(*given, "population_limit=2", "language=f", "transcriber.model=/nowhere")
    assert code == 0, "the text that is there is used"
    config = OmegaConf.load(again / "config.yaml")
    assert (config.target_text, config.language.letter) == (opening(words, 400), "f")


@pytest.mark.real
def test_a_real_whisper_hears_the_words_that_a_search_speaks(kvw, real):
    given = ["transcribe_start=true", f"transcriber.model={real / 'whisper' / 'tiny.en'}", "synth=embedded"]
    code, (run,) = kvw(*given, "step_limit=1", "population_limit=2")
    assert code == 0
    config = OmegaConf.load(run / "config.yaml")
    assert config.language.letter == "a"
    said = DEMO.with_suffix(".txt").read_text("utf-8")  # of which the search does not use the last sentence's audio
    assert error_rate([said], [Path("texts/demo.txt").read_text("utf-8")], "a") < 0.1

"""Transcription through faster-whisper itself, by a tiny Whisper that hears nonsense, and the folder of the texts."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import faster_whisper
import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from kvw.audio.decode import decode_file
from kvw.audio.write import write_audio
from kvw.cli.main import invoke
from kvw.config.paths import DEMO
from kvw.errors import KvwError
from kvw.runtime import hub
from kvw.speech.segmentation import opening
from kvw.tasks.transcribe import recordings_in, transcribe_many
from kvw.transcription import transcripts
from kvw.transcription.transcripts import transcript_of, words_of, write_whole
from kvw.transcription.whisper import LETTERS, Transcript, Whisper, load_model
from kvw.types import SAMPLE_RATE, Wave
from tests.runtime import test_hub
from tests.support import random_whisper


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """A Whisper that takes everything for Spanish."""
    folder = tmp_path_factory.mktemp("whisper") / "tiny"
    random_whisper.make(folder, "es")
    return folder


@pytest.fixture(scope="session")
def whisper(model: Path) -> Whisper:
    return Whisper(model=str(model))


@pytest.fixture
def copy(model: Path, tmp_path: Path) -> Path:
    """The same, to break."""
    return Path(shutil.copytree(model, tmp_path / "model"))


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, demo: Wave) -> Path:
    """A folder with two recordings, in the working directory."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "clips"
    folder.mkdir()
    write_audio(folder / "a.wav", demo[: 4 * SAMPLE_RATE])
    write_audio(folder / "b.wav", demo[4 * SAMPLE_RATE : 7 * SAMPLE_RATE])
    return folder


def many(model: Path | str, *arguments: str) -> int:
    return invoke(["task=transcribe_many", f"transcriber.model={model}", *arguments])


def refused(make: Callable[[], object]) -> str:
    """The one line that it is refused with."""
    with pytest.raises(KvwError) as caught:
        make()
    message = str(caught.value)
    assert "\n" not in message
    return message


def nobody() -> Whisper:
    raise AssertionError("no model is needed")


# --- the model


def test_a_recording_becomes_words_on_one_line_in_the_language_that_whisper_detects(whisper, demo):
    heard = whisper(demo)
    assert len(heard.text.split()) > 10
    assert heard.text == " ".join(heard.text.split())
    assert (heard.language, heard.letter) == ("es", "e")
    assert heard.probability > 0.9


def test_a_language_that_is_given_is_not_detected(model, demo):
    heard = Whisper(model=str(model), language="de")(demo)
    assert (heard.language, heard.letter, heard.probability) == ("de", None, 1.0)


def test_every_letter_of_kokoro_but_british_has_a_language_of_whispers(model):
    assert sorted(LETTERS.values()) == sorted("aefhijpz")
    assert set(LETTERS) <= set(faster_whisper.WhisperModel(str(model)).supported_languages)


def test_whisper_hears_what_its_own_decoder_would_give_it(model, demo, tmp_path, monkeypatch):
    path = tmp_path / "stereo.wav"
    music = soxr.resample(demo, SAMPLE_RATE, 44_100)
    soundfile.write(path, np.stack([music, 0.5 * music], axis=1), 44_100)
    heard: list[np.ndarray] = []
    transcription = faster_whisper.WhisperModel.transcribe

    def listen(self, speech, **options):
        heard.append(speech)
        return transcription(self, speech, **options)

    monkeypatch.setattr(faster_whisper.WhisperModel, "transcribe", listen)
    Whisper(model=str(model))(decode_file(path))
    ours, theirs = heard[0], faster_whisper.decode_audio(str(path))
    assert ours.dtype == np.float32
    assert abs(len(ours) - len(theirs)) <= 2
    length = min(len(ours), len(theirs))
    error = ours[:length] - theirs[:length]
    assert np.sqrt(np.mean(error**2)) < 0.003 * np.sqrt(np.mean(theirs**2))


def test_silence_has_no_words_unless_voice_activity_is_off(model, whisper):
    silence = np.zeros(3 * SAMPLE_RATE, np.float32)
    assert whisper(silence).text == ""
    assert Whisper(model=str(model), voice_activity=False)(silence).text


def test_the_beam_reaches_the_model(model, demo, monkeypatch):
    seen = []
    encoded = faster_whisper.WhisperModel.generate_with_fallback

    def watch(self, encoder_output, prompt, tokenizer, options):
        seen.append(options.beam_size)
        return encoded(self, encoder_output, prompt, tokenizer, options)

    monkeypatch.setattr(faster_whisper.WhisperModel, "generate_with_fallback", watch)
    Whisper(model=str(model), beam_size=2)(demo[: 3 * SAMPLE_RATE])
    assert set(seen) == {2}


@pytest.mark.parametrize(("asked", "used"), [(None, "int8"), ("float32", "float32"), ("int8_float32", "int8_float32")])
def test_the_compute_type_is_int8_on_a_cpu_unless_it_is_given(model, asked, used):
    assert load_model(model, "cpu", asked).model.compute_type.startswith(used)


@pytest.mark.parametrize(
    ("setting", "value", "named"),
    [
        ("model", "enormous", "enormous"),
        ("model", "/nowhere/at/all", "/nowhere/at/all"),
        ("compute_type", "float8", "float8"),
        ("compute_type", "float16", "int8"),
        ("device", "cuda:99", "cuda:99"),
        ("device", "cuda:x", "cuda:x"),
        ("device", "tpu", "tpu"),
        ("language", "english", "english"),
        ("beam_size", 0, "1 or more"),
    ],
)
def test_a_setting_that_is_none_is_one_line_that_names_it(model, setting, value, named):
    line = refused(lambda: Whisper(**{"model": str(model), "device": "cpu", setting: value}))
    assert line.startswith(f"transcriber.{setting}:")
    assert named in line


@pytest.mark.parametrize("name", ["config.json", "model.bin", "tokenizer.json", "vocabulary.json"])
def test_a_file_that_a_model_lacks_is_named_and_the_hub_is_not_asked_for_it(copy, name, monkeypatch):
    monkeypatch.setattr(hub, "reachable", nobody)
    (copy / name).unlink()
    line = refused(lambda: Whisper(model=str(copy)))
    assert f"lacks {name}" in line
    assert "ct2-transformers-converter" in line


@pytest.mark.parametrize("name", ["config.json", "model.bin", "tokenizer.json", "vocabulary.json"])
@pytest.mark.parametrize("content", [b"", b"junk", b"{}"])
def test_a_damaged_model_is_one_line_or_still_runs(copy, name, content):
    (copy / name).write_bytes(content)
    try:
        Whisper(model=str(copy))
    except KvwError as error:
        assert str(copy) in str(error)
        assert "\n" not in str(error)
    else:
        assert name == "config.json"


def test_a_model_for_other_mel_bands_than_its_preprocessor_says_is_refused(copy):
    (copy / "preprocessor_config.json").write_text('{"feature_size": 128}')
    line = refused(lambda: Whisper(model=str(copy)))
    assert "preprocessor_config.json" in line
    assert "80" in line
    assert "128" in line


def test_a_gpu_that_fails_leaves_the_work_to_the_cpu_unless_it_was_asked_for(model, demo, monkeypatch, said):
    monkeypatch.setattr("ctranslate2.get_cuda_device_count", lambda: 99)
    monkeypatch.setattr("ctranslate2.get_supported_compute_types", lambda *device: {"float16", "int8", "float32"})
    assert Whisper(model=str(model), device="auto")(demo).text
    assert any("Whisper runs on the CPU" in line for line in said)
    assert "transcriber.device=cpu" in refused(lambda: Whisper(model=str(model), device="cuda:98"))


def test_mps_is_the_cpu(model, demo):
    assert Whisper(model=str(model), device="mps")(demo).text


# --- the hub


class WhisperHub(test_hub.FakeHub):
    """A hub with one repository, of which a snapshot can be had."""

    class Handler(test_hub.Handler):
        def do_GET(self) -> None:
            if "/revision/" not in self.path:
                return super().do_GET()
            self.server.asked.append(f"{self.command} {self.path}")
            siblings = [{"rfilename": name} for name in self.server.files]
            body = json.dumps({"id": hub.REPO, "sha": test_hub.COMMIT, "siblings": siblings}).encode()
            return self.answer(200, body, Content_Type="application/json")

        do_HEAD = do_GET

    def __init__(self) -> None:
        super().__init__()
        self.RequestHandlerClass = self.Handler


@pytest.fixture
def whisper_hub(model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WhisperHub]:
    monkeypatch.setattr(hub, "REPO", "Systran/faster-whisper-small")
    with WhisperHub() as server:
        server.files = {path.name: path.read_bytes() for path in model.iterdir()} | {"README.md": b"not needed"}
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


HEAR = f"""
from kvw import decode, transcribe
try:
    folder = transcribe.find("small")
    print(folder, transcribe.Whisper(model="small")(decode.read(Path({str(DEMO)!r}))).language)
except KvwError as error:
    print(error)
"""


def test_a_size_is_fetched_once_with_no_more_than_it_needs_and_then_runs_offline(whisper_hub, tmp_path):
    first = test_hub.client(HEAR, tmp_path, whisper_hub.endpoint)
    assert first.stdout == "None es\n", first.stderr
    fetched = {line.rpartition("/")[2] for line in whisper_hub.asked if line.startswith("GET /Systran")}
    assert fetched == {"config.json", "model.bin", "tokenizer.json", "vocabulary.json"}

    second = test_hub.client(HEAR, tmp_path, "http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    assert second.stdout.endswith(f"{test_hub.COMMIT} es\n"), second.stderr

    next(tmp_path.rglob("snapshots/*/tokenizer.json")).unlink()
    third = test_hub.client(HEAR, tmp_path, "http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE" in third.stdout


def test_a_model_that_the_hub_lacks_is_one_line(whisper_hub, tmp_path):
    whisper_hub.files = {}
    line = test_hub.client(HEAR, tmp_path, whisper_hub.endpoint).stdout
    assert line.count("\n") == 1
    assert "transcriber.model" in line


@pytest.mark.parametrize(
    "environment",
    [
        {"HF_HUB_OFFLINE": "1"},
        {"HF_ENDPOINT": "http://10.255.255.1:81"},
        {"HF_ENDPOINT": "http://no.such.host.invalid"},
    ],
)
def test_without_a_network_a_missing_model_is_one_line_at_once_that_says_which_files_to_put_where(
    tmp_path, environment
):
    done = test_hub.client(HEAR, tmp_path, **{"endpoint": "http://127.0.0.1:9", **_endpoint(environment)})
    assert done.stdout.count("\n") == 1, done.stderr
    for word in (
        "model.bin",
        "tokenizer.json",
        "vocabulary",
        "/Systran/faster-whisper-small",
        "transcriber.model=FOLDER",
    ):
        assert word in done.stdout


def _endpoint(environment: dict[str, str]) -> dict[str, str]:
    return {"endpoint" if key == "HF_ENDPOINT" else key: value for key, value in environment.items()}


# --- the texts


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
        assert transcribe_many(OmegaConf.create(cfg)) == expected


def test_a_text_that_was_deleted_is_written_again(model, recordings):
    assert many(model, "target_audio=clips") == 0
    text = Path("texts/a.txt").read_text()
    Path("texts/a.txt").unlink()
    assert many(model, "target_audio=clips") == 0
    assert Path("texts/a.txt").read_text() == text


def test_recordings_of_one_name_have_a_text_each_whatever_comes_first(whisper, recordings, demo):
    other = recordings.parent / "other"
    other.mkdir()
    write_audio(recordings / "a.flac", demo[8 * SAMPLE_RATE : 11 * SAMPLE_RATE])
    write_audio(other / "a.wav", demo[11 * SAMPLE_RATE : 15 * SAMPLE_RATE])
    clips = [recordings / "a.wav", recordings / "a.flac", other / "a.wav"]
    folder = Path("texts")
    heard = {clip: transcript_of(clip, folder, lambda: whisper) for clip in clips}
    assert len(list(folder.glob("a*.txt"))) == 3
    assert {clip: whisper(decode_file(clip)).text for clip in clips} == {clip: heard[clip].text for clip in clips}
    for clip in reversed(clips):
        assert transcript_of(clip, folder, nobody).text == heard[clip].text


def test_a_recording_that_was_made_anew_gets_a_new_text_and_the_corrected_old_one_stays(whisper, recordings, demo):
    clip, folder = recordings / "a.wav", Path("texts")
    transcript_of(clip, folder, lambda: whisper)
    (folder / "a.txt").write_text("Corrected.")
    write_audio(clip, demo[9 * SAMPLE_RATE : 13 * SAMPLE_RATE])
    fresh = transcript_of(clip, folder, lambda: whisper)
    assert fresh.text == whisper(decode_file(clip)).text
    assert (folder / "a.txt").read_text() == "Corrected."
    assert transcript_of(clip, folder, nobody) == Transcript(fresh.text, "es")
    (folder / "a.txt").unlink()
    assert transcript_of(clip, folder, nobody).text == fresh.text


@example("\ufeffAs Windows' editor writes it.")
@given(typed=st.text(max_size=200).filter(lambda text: text.strip("\ufeff").split()))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_someone_types_is_used_as_it_is(recordings, typed):
    folder = Path("typed")
    folder.mkdir(exist_ok=True)
    (folder / "a.txt").write_bytes(typed.encode(errors="replace"))
    words, letter = words_of([recordings / "a.wav"], folder, nobody)
    assert words.split() == typed.encode(errors="replace").decode().removeprefix("\ufeff").split()
    assert "\n" not in words
    assert letter is None


def test_the_words_of_several_clips_are_joined_and_their_language_passed_on(whisper, recordings):
    made = []
    clips = [recordings / "b.wav", recordings / "a.wav"]
    words, letter = words_of(clips, Path("texts"), lambda: made.append(1) or whisper)
    assert words == " ".join(whisper(decode_file(clip)).text for clip in clips)
    assert letter == "e"
    assert made == [1]
    assert words_of(clips, Path("texts"), nobody) == (words, "e")


def test_the_language_of_most_clips_is_taken_and_the_others_are_mentioned(recordings, demo, said):
    write_audio(recordings / "c.wav", demo[: 3 * SAMPLE_RATE])
    codes = iter(["it", "ja", "ja"])
    words, letter = words_of(
        sorted(recordings.iterdir()), Path("texts"), lambda: lambda wave: Transcript("Words.", next(codes), 0.9)
    )
    assert (words, letter) == ("Words. Words. Words.", "j")
    assert any("several languages (j 2, i 1)" in line for line in said)


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


@pytest.mark.parametrize("content", ["", "junk", "[]", '{"sha256": 3, "language": []}', '{"language": [1]}'])
def test_a_damaged_record_beside_a_text_is_no_error(whisper, recordings, content):
    transcript_of(recordings / "a.wav", Path("texts"), lambda: whisper)
    Path("texts/a.kvw.json").write_text(content)
    assert transcript_of(recordings / "a.wav", Path("texts"), lambda: whisper).text


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


@pytest.mark.parametrize("writes", [0, 1])
def test_a_crash_while_a_text_is_written_never_leaves_one_that_seems_typed(whisper, recordings, writes):
    left, written = [None] * writes, write_whole

    def crash(path, content):
        if not left:
            raise OSError(28, "No space left on device")
        left.pop()
        written(path, content)

    with pytest.MonkeyPatch.context() as fault:
        fault.setattr(transcripts, "write_whole", crash)
        with pytest.raises(OSError, match="No space"):
            transcript_of(recordings / "a.wav", Path("texts"), lambda: whisper)
    assert transcript_of(recordings / "a.wav", Path("texts"), lambda: whisper).language == "es"


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


@given(
    st.lists(st.sampled_from(["One two three.", "four five,", "six", "你好。", "! "]), max_size=30), st.integers(1, 120)
)
def test_the_opening_of_a_text_is_its_beginning_and_as_long_as_it_may_be(parts, most):
    text = " ".join(parts)
    begun = opening(text, most)
    assert len(begun) <= most and text.lstrip().startswith(begun.lstrip())
    if len(text) > most and text.startswith("One two three. ") and 15 <= most <= 30:
        assert begun.endswith((".", "。", "!")), "whole sentences where they use half of it"
    if len(text) > most and " " in text[most // 2 + 1 : most]:
        assert len(begun) >= most / 2 - 1

"""Transcription through faster-whisper itself, by a tiny Whisper that hears nonsense."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import faster_whisper
import numpy as np
import pytest
import soundfile
import soxr

from kvw.audio.decode import decode_file
from kvw.config.paths import DEMO
from kvw.errors import KvwError
from kvw.runtime import hub
from kvw.transcription.whisper import LETTERS, Whisper, load_model
from kvw.types import SAMPLE_RATE
from tests.support import fake_hub


@pytest.fixture
def copy(model: Path, tmp_path: Path) -> Path:
    """The same, to break."""
    return Path(shutil.copytree(model, tmp_path / "model"))


def refused(make: Callable[[], object]) -> str:
    """The one line that it is refused with."""
    with pytest.raises(KvwError) as caught:
        make()
    message = str(caught.value)
    assert "\n" not in message
    return message


def nobody() -> Whisper:
    raise AssertionError("no model is needed")


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


def test_a_model_that_is_a_git_lfs_pointer_is_named(copy):
    (copy / "model.bin").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n")
    line = refused(lambda: Whisper(model=str(copy)))
    assert f"model.bin of {copy} is a Git LFS pointer" in line and "git lfs pull" in line


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


class WhisperHub(fake_hub.FakeHub):
    """A hub with one repository, of which a snapshot can be had."""

    class Handler(fake_hub.Handler):
        def do_GET(self) -> None:
            if "/revision/" not in self.path:
                return super().do_GET()
            self.server.asked.append(f"{self.command} {self.path}")
            siblings = [{"rfilename": name} for name in self.server.files]
            body = json.dumps({"id": hub.REPO, "sha": fake_hub.COMMIT, "siblings": siblings}).encode()
            return self.answer(200, body, Content_Type="application/json")

        do_HEAD = do_GET

    def __init__(self) -> None:
        super().__init__()
        self.RequestHandlerClass = self.Handler


@pytest.fixture
def whisper_hub(model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WhisperHub]:
    monkeypatch.setattr(hub, "REPO", "Systran/faster-whisper-small")
    with fake_hub.serving(WhisperHub) as server:
        server.files = {path.name: path.read_bytes() for path in model.iterdir()} | {"README.md": b"not needed"}
        yield server


HEAR = f"""
from kvw.audio.decode import decode_file
from kvw.transcription.whisper import Whisper, find_model
try:
    folder = find_model("small")
    print(folder, Whisper(model="small")(decode_file(Path({str(DEMO)!r}))).language)
except KvwError as error:
    print(error)
"""


def test_a_size_is_fetched_once_with_no_more_than_it_needs_and_then_runs_offline(whisper_hub, tmp_path):
    first = fake_hub.client(HEAR, tmp_path, whisper_hub.endpoint)
    assert first.stdout == "None es\n", first.stderr
    fetched = {line.rpartition("/")[2] for line in whisper_hub.asked if line.startswith("GET /Systran")}
    assert fetched == {"config.json", "model.bin", "tokenizer.json", "vocabulary.json"}

    second = fake_hub.client(HEAR, tmp_path, "http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    assert second.stdout.endswith(f"{fake_hub.COMMIT} es\n"), second.stderr

    next(tmp_path.rglob("snapshots/*/tokenizer.json")).unlink()
    third = fake_hub.client(HEAR, tmp_path, "http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE" in third.stdout


def test_a_model_that_the_hub_lacks_is_one_line(whisper_hub, tmp_path):
    whisper_hub.files = {}
    line = fake_hub.client(HEAR, tmp_path, whisper_hub.endpoint).stdout
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
    done = fake_hub.client(HEAR, tmp_path, **{"endpoint": "http://127.0.0.1:9", **_endpoint(environment)})
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

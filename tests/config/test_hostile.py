"""Configs and names from strangers: what is refused, and that nothing runs or leaves its folder."""

import json
import logging
import os

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kvw.config.nodes import bound, maker
from kvw.config.saved import restored_config
from kvw.config.schema import plain
from kvw.errors import KvwError
from kvw.runtime.filenames import is_portable, safe_stem
from kvw.transcription.transcripts import transcript_path
from tests.stress import hostile
from tests.stress.hostile import watched
from tests.support.hostile.configs import LIVE
from tests.support.hostile.names import NAMES, is_taken_by_windows

GOOD = hostile.saved_config()


def wrong(rows):
    return [row for row in rows if row.executions or row.verdict != row.expected]


def test_hostile_configs_are_refused_and_run_nothing():
    rows = hostile.configs()
    assert sum(row.expected == "refused" for row in rows) >= 60
    assert not wrong(rows)


def test_no_name_leads_out_of_its_folder_and_windows_takes_every_file(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.CRITICAL, "kvw")  # pytest-xdist can't pass on what isn't UTF-8
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # a thousand files
    monkeypatch.chdir(tmp_path)
    assert len(NAMES) >= 200
    assert not wrong(hostile.names(tmp_path))


def test_the_watch_sees_what_it_is_for(tmp_path):
    with watched(tmp_path) as events:
        (tmp_path / "in").write_text("x")
        assert not events
        (tmp_path.parent / "out").write_text("x")
        exec("1")
        (tmp_path.parent / "out").unlink()
    assert [event.split()[0] for event in events if not event.startswith("compile")] == ["open", "exec", "os.remove"]


names = st.text(max_size=80) | st.text('./\\:*?"<>| \n\0.-_~$conNUL1é\u0301\u202e\udc80', max_size=300)


@settings(max_examples=400, deadline=None)
@given(names)
def test_stems_of_any_text_are_names_that_windows_takes(text):
    assert is_taken_by_windows(f"{safe_stem(text)}.pt")
    assert not is_portable(text) or is_taken_by_windows(f"{text}-1a2b3c4d.kvw.json")
    assert is_portable(safe_stem(text))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=names)
def test_the_text_of_a_recording_stays_in_its_folder(text, tmp_path):
    path = transcript_path(text, "0" * 64, tmp_path)
    assert path.parent == tmp_path
    assert is_taken_by_windows(path.name)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such name")
def test_a_text_that_is_there_by_an_odd_name_is_kept(tmp_path):
    (tmp_path / "a:b.txt").write_text("typed")
    assert transcript_path("a:b", "0" * 64, tmp_path) == tmp_path / "a:b.txt"
    assert transcript_path("a?b", "0" * 64, tmp_path) == tmp_path / "a_b.txt"


live = st.text(max_size=12) | st.sampled_from(LIVE) | st.text("${}\\?:.'ab", max_size=12)
numbers = st.booleans() | st.none() | st.integers() | st.floats(allow_nan=False)
values = st.recursive(
    live | numbers, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(live, inner, max_size=3), max_leaves=8
)


@settings(max_examples=50, deadline=None)
@given(text=live, value=values, node=st.dictionaries(live, values, max_size=3), minutes=st.none() | st.floats(0, 1e9))
@example(text="???", value=["???"], node={"???": "???"}, minutes=None)
def test_a_restored_config_is_what_was_saved(text, value, node, minutes):
    saved = {**GOOD, "target_text": text, "other_text": text, "target_audio": value, "stages": node, "minutes": minutes}
    saved = json.loads(json.dumps(saved))
    with watched() as events:
        cfg = restored_config(saved)
        assert plain(cfg) == saved
        assert cfg.target_text == cfg.other_text == text
        assert plain(cfg.stages) == node
    assert not events


def test_a_restored_config_reads_no_environment_and_no_other_key(monkeypatch):
    monkeypatch.setenv("SECRET", "told")
    text = "${oc.env:SECRET} ${seed} ${oc.select:seed}"
    cfg = restored_config({**GOOD, "target_text": text, "fitness": {**GOOD["fitness"], "probe_text": text}})
    assert cfg.target_text == cfg.fitness.probe_text == plain(cfg.fitness)["probe_text"] == text


def test_a_setting_that_looks_live_arrives_as_it_is(monkeypatch):
    monkeypatch.setenv("SECRET", "strategies")
    node = {"_target_": "kvw.spaces.offset.Coherent", "freeze": "${oc.env:SECRET}"}
    with pytest.raises(KvwError, match=r"got '\$\{oc\.env:SECRET\}'"):
        maker(node, "space")(bank=[], top=[], base=None)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"sed": 1}, "sed: there is no such setting; did you mean seed?"),
        ({"seed": "1"}, "seed: expected int; got '1'"),
        ({"minutes": "${oc.env:X}"}, "minutes: expected float or null; got '${oc.env:X}'"),
        ({"stages": {"a": (1,)}}, "stages.a: expected texts, numbers, lists and dicts, as JSON has them; got (1,)"),
    ],
)
def test_a_saved_config_of_another_form_is_refused_by_the_key(change, line):
    with pytest.raises(KvwError) as caught:
        restored_config({**GOOD, **change})
    assert str(caught.value) == line


def test_a_restored_config_is_closed_and_typed():
    cfg = restored_config(GOOD)
    with pytest.raises(Exception, match="no_such"):
        cfg.no_such = 1
    with pytest.raises(Exception, match="could not be converted"):
        cfg.seed = "x"


def test_a_plugin_of_the_users_own_may_have_any_place(tmp_path, monkeypatch):
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "of_mine_alone.py").write_text(
        "from kvw.spaces.offset import Coherent\nfrom kvw.runs.store import Store\n"
        "class Mine:\n    def __init__(self, *, part=None, **more):\n        self.part, self.more = part, more\n"
        "class Part:\n    pass\n"
        "def task(invocation, *, word='a'):\n    return 1.0\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = "strategies.of_mine_alone"
    node = {"_target_": f"{module}.Mine", "part": [{"_target_": f"{module}.Part"}], "other": 1}
    for place in ("space", "strategy", "synth", "fitness", "executor", "transcriber", "stages.a.space"):
        made = maker(node, place)(bank=2)
        assert type(made.part[0]).__name__ == "Part"
        assert made.more == {"other": 1, "bank": 2}
    bound({"_target_": f"{module}.task", "word": "b"}, "task")
    maker({"_target_": f"{module}.Coherent"}, "space")
    for place, name in (("space", "Store"), ("strategy", "Coherent"), ("task", "Mine"), ("space", "task")):
        with pytest.raises(KvwError, match="expected a "):
            (bound if place == "task" else maker)({"_target_": f"{module}.{name}"}, place)

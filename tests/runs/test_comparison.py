"""The settings in which runs differ."""

from __future__ import annotations

from kvw.runs.comparison import differing_settings, flat, run_label
from kvw.runs.folders import RECORD
from kvw.runs.reader import Run
from kvw.runs.store import Store
from tests.support.recorded import facts


def recorded(place, **differing):
    place.mkdir()
    Store.create(place / RECORD, {**facts(), **differing}).close()
    return Run(place)


def test_runs_differ_in_their_config_and_in_what_it_does_not_say(tmp_path):
    first = recorded(tmp_path / "a")
    config, provenance = facts()["config"], facts()["provenance"]
    second = recorded(
        tmp_path / "b",
        config={**config, "patience": 30, "strategy": {**config["strategy"], "diversity": [0.1, 0.3]}},
        provenance={**provenance, "target_sha256": "cd" * 32, "target": "another name of a file"},
    )
    assert differing_settings([first, first]) == {}
    assert differing_settings([first, second]) == {
        "strategy.diversity": ["[0.1, 0.2]", "[0.1, 0.3]"],
        "patience": ["-", "30"],
        "target_sha256": ["ab" * 32, "cd" * 32],
    }


def test_a_nested_config_is_flat_by_dotted_keys():
    assert flat({"a": {"b": 1, "c": {"d": "x"}}, "e": {}, "f": None}) == {
        "a.b": "1",
        "a.c.d": "x",
        "e": "{}",
        "f": "null",
    }


def test_a_runs_label_is_its_folder_below_the_outputs(tmp_path):
    run = recorded(tmp_path / "a")
    assert run_label(run, tmp_path) == "a"
    assert run_label(run, tmp_path / "elsewhere") == str(tmp_path / "a")

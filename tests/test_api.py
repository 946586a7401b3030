"""kvw from Python: the command line's results from plain arguments, and nothing of the caller's is changed."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import kvw
from kvw.speech.narrate import narrate
from kvw.voices.files import facts_of
from tests.conftest import ROOT, SHORT

TINY = {
    "strategy": "genetic",
    "synth": "embedded",
    "step_limit": 6,
    "overrides": ["population_limit=3", "strategy.size=6", f"other_text='{SHORT['other_text']}'"],
}


command_line = pytest.fixture(lambda request: request.getfixturevalue("kvw"))
"""The fixture ``kvw`` of conftest, whose name is the package's here."""


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> kvw.Result:
    texts = tmp_path_factory.mktemp("texts") / "held out.txt"
    texts.write_text("Nobody was there.\n")
    overrides = [*TINY["overrides"], f"heldout_texts='{texts}'"]
    return kvw.evolve(kvw.demo(), SHORT["target_text"], **{**TINY, "overrides": overrides})


def test_a_search_from_python_finds_what_the_command_line_finds(result, command_line):
    code, (folder,) = command_line(
        "strategy=genetic", "synth=embedded", "step_limit=6", "population_limit=3", "strategy.size=6"
    )
    assert code == 0
    assert np.array_equal(kvw.load_voice(folder / "best.pt"), result.voice)
    assert facts_of(folder / "best.pt")["heldout"] == pytest.approx(float(np.mean(result.heldout)), abs=1e-12)


def test_a_result_says_what_a_person_wants_to_know(result):
    assert (result.synthesiser, result.candidates, result.folder) == ("embedded", 6, None)
    assert len(result.heldout) == len(result.stock_heldout) == 1
    told = repr(result)
    assert f"held-out similarity {result.heldout[0]:.3f}, {result.stock_name} {result.stock_heldout[0]:.3f}" in told
    assert f"score {result.scored.score:.2f}" in told and "6 candidates" in told
    assert ("no improvement" in told) == (result.scored.score <= result.stock_scored.score)


def test_a_saved_result_is_a_voice_with_its_facts(result, tmp_path):
    path = result.save(tmp_path / "new folder" / "v.pt")
    assert np.array_equal(kvw.load_voice(path), result.voice)
    facts = facts_of(path)
    assert facts["synthesiser"] == "embedded" and facts["scores"]["score"] == result.scored.score
    assert set(facts["base_voices"]) and facts["target"] == "demo" and facts["synthetic"] is True
    with pytest.raises(kvw.KvwError, match=r"\.pt"):
        result.save(tmp_path / "v.npy")


def test_a_voice_speaks_by_result_array_file_name_and_blend(result, embedded, bank, tmp_path):
    text = "It's raining, again."
    expected = narrate(embedded, result.voice, text, 0)
    assert np.array_equal(kvw.speak(result, text), expected)
    assert np.array_equal(kvw.speak(result.voice, text, synth="embedded"), expected)
    assert np.array_equal(kvw.speak(result.save(tmp_path / "v.pt"), text), expected)
    assert np.array_equal(kvw.speak("af_amber", text), narrate(embedded, bank["af_amber"], text, 0))
    assert len(kvw.speak("af_amber+am_boris", text, speed=2.0)) < len(expected)


def test_a_run_folder_is_left_where_one_is_asked_for(tmp_path, result, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = {**TINY, "overrides": [*TINY["overrides"], "report=false", "heldout_texts=held.txt"]}
    (tmp_path / "held.txt").write_text("Nobody was there.\n")
    found = kvw.evolve([kvw.demo()], SHORT["target_text"], outputs=tmp_path / "runs", **asked)
    assert found.folder is not None and found.folder.is_relative_to(tmp_path / "runs")
    assert np.array_equal(kvw.load_voice(found.folder / "best.pt"), result.voice)
    ((run,), unreadable) = kvw.open_runs(tmp_path / "runs")
    assert run.status == "done" and not unreadable


def test_random_states_and_threads_are_the_callers_afterwards(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002 - a caller's
    torch.manual_seed(7)
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    torch.set_num_threads(2)
    try:
        with pytest.raises(kvw.KvwError, match="step_limit"):
            kvw.evolve(kvw.demo(), **{**TINY, "step_limit": 0})
        kvw.evolve(kvw.demo(), SHORT["target_text"], **{**TINY, "step_limit": 1})
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert random.getstate() == before[0]
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])


@pytest.mark.parametrize(
    ("recording", "given", "words"),
    [
        ("nowhere.wav", {}, ["nowhere.wav", "there is none"]),
        (kvw.demo(), {"strategy": "quikc"}, ["strategy", "quikc"]),
        (kvw.demo(), {"strategy": "quick", "space": "pca"}, ["space", "experiment=quick"]),
        (np.zeros(9), {}, ["recording", "ndarray"]),
        (kvw.demo(), {"strategy": 3}, ["strategy: expected str", "got 3"]),
        (kvw.demo(), {"overrides": "seed=1"}, ["overrides: expected a list"]),
        (kvw.demo(), {"overrides": ["dry_run=true"]}, ["overrides", "dry_run"]),
        (kvw.demo(), {"outputs": "a file"}, ["a file", "expected a folder"]),
    ],
)
def test_a_mistake_is_one_line(recording, given, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a file").touch()
    with pytest.raises(kvw.KvwError) as caught:
        kvw.evolve(recording, "Some words.", **{"synth": "embedded", **given})
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("voice", "text", "given", "words"),
    [
        (np.zeros((510, 256)), "Hello.", {}, "voice: expected an array of shape"),
        ("af_iris", None, {}, "text: expected str; got None"),
        ("af_iris", "Hello.", {"speed": 9}, "speed: expected a number from 0.5 to 2; got 9"),
        ("nobody", "Hello.", {}, "nobody"),
    ],
)
def test_a_mistake_about_speech_is_one_line(voice, text, given, words):
    with pytest.raises(kvw.KvwError) as caught:
        kvw.speak(voice, text, synth="embedded", **given)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_importing_kvw_imports_nothing_heavy():
    code = "import kvw, sys; print([m for m in ('torch', 'scipy', 'ray', 'deap', 'hydra') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"

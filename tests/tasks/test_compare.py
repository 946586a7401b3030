"""``task=compare``: contenders on several speakers, on the embedded synthesiser."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from kvw.cli.main import invoke
from kvw.config.invocation import compose
from kvw.errors import EXIT_STORAGE, KvwError
from kvw.observers.progress import Progress
from kvw.reports.comparison import interval
from kvw.runs import folders
from kvw.tasks import cells, compare
from kvw.types import SAMPLE_RATE
from tests.conftest import SHORT
from tests.support.report_page import Page

TEXTS = (
    "The old clock struck nine as Martha closed the heavy door and put the lamp on the table.",
    "A narrow road runs along the coast, and in winter the waves throw stones across it at night.",
)
TINY = ["synth=embedded", "population_limit=2", "start_voices=1", "heldout_texts=held out.txt"]
TINY += [f"{key}={text}" for key, text in SHORT.items()]


@pytest.fixture(scope="session")
def speaking(embedded, bank):
    """What speakers say that are no stock voices: of one, moved in pitch and formants by a factor, on each text."""

    def speak(name, factor):
        waves = [embedded([bank[name]], embedded.script(text), 5)[0] for text in TEXTS]
        return [soxr.resample(wave, SAMPLE_RATE * factor, SAMPLE_RATE).astype(np.float32) for wave in waves]

    return speak


@pytest.fixture
def place(tmp_path, monkeypatch, speaking):
    """A folder to work in, with the recordings of two speakers: a folder of two, and a file of one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kvw.executors.local.spare_processes", lambda *_: 0)
    (tmp_path / "held out.txt").write_text("Nobody was there.\nThe boats lay still in the harbour all night.\n")
    first, second = (speaking(name, factor) for name, factor in (("af_iris", 1.12), ("am_felix", 0.9)))
    put(tmp_path / "people" / "anna" / "1.wav", first[0])
    put(tmp_path / "people" / "anna" / "2.wav", first[1])
    put(tmp_path / "people" / "lone-1.wav", np.concatenate([*second, *second]))
    return tmp_path


def put(path, wave):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, SAMPLE_RATE)


def rows(place):
    with (place / "outputs" / "compare" / "compare.csv").open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        assert len(set(reader.fieldnames)) == len(reader.fieldnames)
        return list(reader)


def planned(place, *overrides, contenders=None, seeds=(0,)):
    paths = compare.by_speaker(place / "people")
    read, _ = compare.read_speakers(paths)
    invocation = compose("synth=embedded", *overrides)
    chosen = contenders or {"walk": "strategy=random_walk", "cma": ["strategy=cma"]}
    return cells.searches(invocation, chosen, paths, read, seeds, place / "compare", None)


def test_each_search_has_the_command_lines_keys_its_contenders_and_its_recordings(place):
    found = planned(place, "step_limit=7", "judges=none", seeds=(0, 3))
    assert [str(one) for one in found][:3] == ["walk/anna/0", "walk/lone/0", "cma/anna/0"]
    assert len(found) == 8 and len({one.folder for one in found}) == 8
    cfg = compose(*found[-2].overrides).cfg
    assert (cfg.seed, cfg.step_limit, cfg.report, bool(cfg.judges)) == (3, 7, False, False)
    assert cfg.target_audio.endswith("1.wav") and [Path(path).name for path in cfg.heldout_audio] == ["2.wav"]
    assert "cma" in cfg.strategy._target_
    assert compose(*found[-1].overrides).cfg.heldout_audio is None


def test_other_settings_are_another_search_and_an_executor_is_not(place):
    (before, *_), (executed, *_) = planned(place), planned(place, "executor=processes", "executor.workers=2")
    (limited, *_) = planned(place, "step_limit=9")
    (other, *_) = planned(place, contenders={"walk": "strategy=random_walk population_limit=3"})
    assert before.folder == executed.folder
    assert len({before.folder, limited.folder, other.folder}) == 3


@pytest.mark.parametrize("key", ["seed=1", "target_audio=a.wav", "resume=last"])
def test_keys_that_a_comparison_decides_are_refused(place, key):
    with pytest.raises(KvwError, match=r"expected no such key with task=compare"):
        planned(place, key)


@pytest.mark.parametrize(
    ("argument", "problem"),
    [
        ("task.recordings=nowhere", "expected a folder with recordings"),
        ("task.seeds=[]", "task.seeds: expected whole numbers"),
        ("task.only=[quik]", "did you mean quick?"),
        ("task.contenders.quick='a", "task.contenders.quick: expected a command line"),
        ("task.heard=nothing.csv", "expected the CSV that ear_test.html gave"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_searched(place, capsys, argument, problem):
    assert invoke(["task=compare", "task.recordings=people", argument, *TINY]) == 2
    said = capsys.readouterr().err
    assert problem in said and said.count("\n") == 1
    assert not list(place.glob("outputs/**/run.db"))


def test_a_speaker_whose_recordings_can_not_be_read_is_named_and_the_others_go_on(place):
    put(place / "people" / "mute" / "1.wav", np.zeros(5 * SAMPLE_RATE))
    (place / "people" / "nobody").mkdir()
    read, refused = compare.read_speakers(compare.by_speaker(place / "people"))
    assert list(read) == ["anna", "lone"] and "got silence" in refused["mute"]
    assert "expected recordings in its folder; got none" in refused["nobody"]


def test_a_search_that_fails_is_named_and_the_others_go_on_but_not_without_storage(place, monkeypatch):
    found, done = planned(place), []

    def search(job):
        done.append(job.folder)
        if len(done) == 1:
            raise KvwError("it failed")
        if len(done) == 2:
            raise RuntimeError("a plugin's")
        if len(done) == 4:
            raise KvwError("no space", EXIT_STORAGE)
        folder = job.folder / "run"
        folder.mkdir()
        (folder / folders.RECORD).touch()
        (folder / folders.RESULT).touch()

    monkeypatch.setattr(cells, "search", search)
    with pytest.raises(KvwError, match="no space"):
        compare.finish(found)
    assert done == [one.folder for one in found]
    assert [bool(one.run) for one in found] == [False, False, True, False]
    assert found[0].cost["wall_seconds"] >= 0
    monkeypatch.setattr(cells, "search", lambda job: (_ for _ in ()).throw(KvwError("again")))
    errors = compare.finish(found)
    assert set(errors.values()) == {"again"} and found[2] not in errors


@pytest.mark.long
def test_a_comparison_is_resumed_where_it_was_interrupted_and_gives_the_same_figures(place, monkeypatch, capsys):
    arguments = ["task=compare", "task.recordings=people", "task.seeds=[0]", "judges=none", "step_limit=6", *TINY]
    arguments += [
        "task.only=[walk,wrong]",
        "+task.contenders.walk=strategy=random_walk fitness.gates.target=null fitness.gates.self=null",
        "executor.scorers=0",
    ]
    arguments += ["+task.contenders.wrong=strategy=random_walk strategy.diversity=-1"]
    assert invoke(arguments) == 1
    assert "2 of 4 searches failed: wrong/anna/0, wrong/lone/0" in capsys.readouterr().err
    whole = rows(place)
    assert [row["contender"] for row in whole] == ["walk", "walk", "wrong", "wrong"]
    assert all("diversity" in row["error"] for row in whole[2:])
    assert float(whole[0]["heldout_normalised"]) < 1 and whole[1]["own_heldout"] == ""
    assert 0 <= float(whole[0]["pitch_error"]) < 24 and float(whole[0]["cpu_seconds"]) > 0
    page = Page(place / "outputs" / "compare" / "compare.html")
    assert (
        sum(map(len, page.players.values())) == 2 * 3
        and "lone: one recording" in page.text
        and "wrong/anna/0 failed" in page.text
    )
    assert (place / "outputs" / "compare" / "ear_test.html").exists()

    (place / "outputs").rename(place / "before")
    real = cells.search

    def interrupted(job):
        steps = []

        def stopping(self, generation, population, archive):
            steps.append(generation)
            if len(steps) == 3:
                raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(Progress, "__call__", stopping)
            return real(job)

    monkeypatch.setattr(cells, "search", interrupted)
    assert invoke(arguments) == 130
    monkeypatch.setattr(cells, "search", real)
    (stopped,) = (place / "outputs").glob("**/run.db")
    assert invoke(arguments) == 1
    assert stopped.with_name("result.json").exists()
    times = ("cpu_seconds", "wall_seconds")
    assert [{k: v for k, v in row.items() if k not in times} for row in rows(place)] == [
        {k: v for k, v in row.items() if k not in times} for row in whole
    ]
    written = {path: path.stat().st_mtime_ns for path in (place / "outputs").glob("**/result.json")}
    assert invoke(arguments) == 1
    assert {path: path.stat().st_mtime_ns for path in (place / "outputs").glob("**/result.json")} == written


@pytest.mark.long
def test_two_people_in_one_folder_are_named_and_the_others_go_on(place, speaking):
    put(place / "people" / "anna" / "2.wav", speaking("am_felix", 0.9)[0])
    put(place / "people" / "beth-1.wav", speaking("af_clara", 1.15)[0])
    put(place / "people" / "beth-2.wav", speaking("af_clara", 1.15)[1])
    arguments = ["task=compare", "task.recordings=people", "task.seeds=[0]", "judges=none", "task.only=[near]", *TINY]
    assert invoke([*arguments, "+task.contenders.near=strategy=interpolation step_limit=3"]) == 0
    assert len(rows(place)) == 3
    text = Page(place / "outputs" / "compare" / "compare.html").text
    assert "2.wav: expected the speaker of the other recordings" in text and "beth" in text


@pytest.mark.long
def test_a_random_projection_in_the_place_of_an_encoder_shows_no_gain(place, monkeypatch, speaking):
    """The check can fail: what the search's encoder finds is no artefact of how gains are computed."""
    chance = np.random.default_rng(0).normal(size=(192, SAMPLE_RATE // 2)).astype(np.float32)

    def embed(wave):
        found = chance @ np.resize(wave[SAMPLE_RATE:], SAMPLE_RATE // 2)
        return found / np.linalg.norm(found)

    monkeypatch.setattr("kvw.reports.speaker.CAMPPlus", lambda: embed)
    for name, factor in (("af_clara", 1.15), ("am_felix", 1.1), ("af_iris", 0.88)):
        for number, wave in enumerate(speaking(name, factor)):
            put(place / "people" / f"{name}{factor}" / f"{number}.wav", wave)
    (place / "people" / "lone-1.wav").unlink()
    without = [f"~judges.judges.{name}" for name in ("quality", "mos", "words")]
    searching = "+task.contenders.cma=strategy=sep_cma step_limit=60"
    arguments = ["task=compare", "task.recordings=people", "task.seeds=[0]", "task.only=[cma]", searching]
    assert invoke([*arguments, *without, *TINY, "executor.scorers=0"]) == 0
    found = rows(place)
    assert len(found) == 4

    def gains(name):
        return [float(row[name]) - float(row[f"stock_{name}"]) for row in found]

    low, _ = interval(gains("heldout"))
    assert low > 0
    low, _ = interval(gains("speaker"))
    assert low < 0
    low, _ = interval(gains("heldout_normalised"))
    assert low > 0
    assert all(row["speaker_normalised"] == "" for row in found)
    page = Page(place / "outputs" / "compare" / "compare.html")
    assert "not normalised: it does not tell these speakers apart" in page.text

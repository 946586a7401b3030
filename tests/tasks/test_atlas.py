"""``task=atlas``, and searches by what it makes, with the embedded synthesiser."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from kvw.atlas.samples import OF_RUN, read_samples
from kvw.cli.main import invoke
from kvw.runs.reader import open_runs
from tests.conftest import ROOT

GIVEN = [
    "task=atlas",
    "synth=embedded",
    "executor.scorers=0",
    "language.short_texts=[The kettle sings.,My coat is thin.]",
]


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    """An atlas of 60 random voices."""
    path = tmp_path_factory.mktemp("atlas") / "whole.safetensors"
    assert invoke([*GIVEN, f"atlas.file={path}", "atlas.samples=60"]) == 0
    return path


def test_it_has_the_stock_voices_and_random_ones_each_heard(atlas):
    samples = read_samples(atlas)
    random = samples.stock < 0
    assert samples.asked == len(samples)
    assert random.sum() == 60
    assert set(np.unique(samples.stock[~random], return_counts=True)[1]) == {3}
    assert set(samples.spoken) == {0, 1}
    assert np.linalg.norm(samples.embeddings.astype(float), axis=1) == pytest.approx(1, abs=2e-3)
    assert (samples.pace > 2).all() and (samples.pace < 40).all()
    assert (np.exp(samples.intonation[:, 0]) > 60).mean() > 0.9, "Hz, where a pitch is found"
    assert (samples.origin.model, samples.origin.encoder) == ("embedded-1", "resemblyzer")


def test_one_that_is_extended_is_one_that_was_made_at_once(atlas, tmp_path):
    path = tmp_path / "parts.safetensors"
    for count in (1, 23, 60):
        assert invoke([*GIVEN, f"atlas.file={path}", f"atlas.samples={count}"]) == 0
    assert path.read_bytes() == atlas.read_bytes()


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("executor", [["executor.scorers=0"], ["executor=processes", "executor.workers=2"]])
def test_one_that_was_killed_twice_is_one_that_was_left_alone(executor, atlas, tmp_path):
    path = tmp_path / "killed.safetensors"
    given = [*GIVEN[:2], *GIVEN[3:], *executor, f"atlas.file={path}", "atlas.samples=60"]
    for _ in range(2):
        before = path.stat().st_mtime_ns if path.exists() else 0
        with subprocess.Popen([sys.executable, "-m", "kvw", *given], cwd=ROOT, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and (path.stat().st_mtime_ns if path.exists() else 0) == before:
                time.sleep(0.001)
            process.kill()
        assert process.returncode == -signal.SIGKILL, "it was at work"
        assert read_samples(path).asked < 132
    assert invoke(given) == 0
    assert path.read_bytes() == atlas.read_bytes()


def test_a_table_says_what_it_predicts(atlas, capsys):
    assert invoke([*GIVEN, f"atlas.file={atlas}", "atlas.samples=60"]) == 0
    out = capsys.readouterr()
    assert "samples  explained variance  cosine  of pitch  of pace" in out.err + out.out
    assert "99 " in out.err + out.out, "three quarters of 132"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (["seed=1"], "expected an atlas of the same seed"),
        (["language=b"], "expected an atlas of the same language"),
        (["language.short_texts=[Another text.]"], "expected an atlas of the same texts"),
        (["atlas.samples=0"], "atlas.samples: expected 1 or more; got 0"),
        (["atlas.runs=outputs"], "atlas.runs: expected true or false; got 'outputs'"),
    ],
)
def test_an_atlas_of_others_is_left_alone(changed, told, atlas, capsys):
    before = atlas.read_bytes()
    assert invoke([*GIVEN, f"atlas.file={atlas}", *changed]) == 2
    assert told in capsys.readouterr().err
    assert atlas.read_bytes() == before


def test_a_search_begins_with_its_proposals_and_goes_on_from_the_best(atlas, kvw):
    given = [f"atlas.file={atlas}", "synth=embedded", "fitness.most_characters=20", "shortlist=3", "population_limit=2"]
    code, (run,) = kvw(
        "strategy=predicted",
        "strategy.count=2",
        "strategy.then=random_walk",
        "step_limit=3",
        "fitness.probe_text=A short text.",
        *given,
    )
    assert code == 0
    assert "5 candidates" in (run / "summary.txt").read_text()
    assert len(list((run / "predicted").glob("*.pt"))) == 2
    log = (run / "kvw.log").read_text()
    assert "predicted: 2 candidates, beside step_limit" in log


def test_an_atlas_takes_in_what_runs_heard_once(atlas, kvw, capsys, tmp_path):
    code, (run,) = kvw("strategy=random_walk", "step_limit=4", "synth=embedded", "fitness.most_characters=20")
    assert code == 0
    data = open_runs(run.parent.parent)[0][0].training()
    heard = np.isfinite(data.embeddings).all(axis=2)
    assert heard.sum() >= 4
    path = tmp_path / "with runs.safetensors"
    path.write_bytes(atlas.read_bytes())
    given = [*GIVEN, f"atlas.file={path}", "atlas.samples=60", "atlas.runs=true", f"hydra.run.dir={run.parent.parent}"]
    assert invoke(given) == 0
    samples = read_samples(path)
    own = samples.only(samples.stock == OF_RUN)
    assert len(own) == heard.sum()
    assert np.linalg.norm(own.embeddings.astype(float), axis=1) == pytest.approx(1, abs=2e-3)
    assert len(samples.texts_of_runs) == 2
    written = path.read_bytes()
    (run.parent / "damaged").mkdir()
    (run.parent / "damaged" / "run.db").write_bytes(b"no database")
    assert invoke(given) == 0
    assert path.read_bytes() == written
    told = capsys.readouterr()
    assert "0 samples of 1 runs" in told.err + told.out
    assert "damaged" in told.err + told.out, "a run that can't be read is named"


def test_a_strategy_that_asks_for_an_atlas_where_none_is_ends_with_one_line(kvw, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("kvw.tasks.atlas_file.PACKAGE", tmp_path)
    code, runs = kvw("strategy=predicted", "synth=embedded")
    assert (code, runs) == (2, [])
    assert "expected an atlas of embedded-1, to know its voices by" in capsys.readouterr().err


def test_an_atlas_of_too_few_samples_is_refused_by_name(atlas, kvw, capsys, tmp_path):
    few = tmp_path / "few.safetensors"
    few.write_bytes(read_samples(atlas).only(slice(30)).file())
    code, runs = kvw("strategy=predicted", "synth=embedded", f"atlas.file={few}")
    assert (code, runs) == (2, [])
    assert "expected an atlas of 50 samples or more; got 30; extend it" in capsys.readouterr().err


def test_an_atlas_of_another_model_is_refused_by_name(atlas, kvw, capsys, tmp_path):
    data = atlas.read_bytes().replace(b"embedded-1", b"embedded-2")
    other = tmp_path / "other.safetensors"
    other.write_bytes(data)
    code, runs = kvw("strategy=predicted", "synth=embedded", f"atlas.file={other}")
    assert (code, runs) == (2, [])
    assert "expected an atlas of the model embedded-1; got one of embedded-2" in capsys.readouterr().err

"""The gallery of two small searches, read as a browser would."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from kvw.reports import figures
from kvw.runs.folders import below
from kvw.runs.reader import Run
from tests.conftest import SHORT
from tests.support.report_page import HELDOUT, MOST_BYTES, Page, decoded
from tests.support.runs import finished
from tests.tools import gallery


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A gallery of searches of few candidates with short texts, and its arguments."""
    out = tmp_path_factory.mktemp("gallery")
    (out / "held out.txt").write_text("\n".join(HELDOUT))
    texts = [f"{key}={text}" for key, text in SHORT.items()]
    arguments = [*texts, f"heldout_texts={out / 'held out.txt'}", "population_limit=2", "step_limit=6"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("kvw.executors.local.spare_processes", lambda *_: 0)
        patched.setattr("kvw.transcription.whisper.packaged_model", lambda: None)  # ``packages_hidden`` comes too late
        patched.setattr(figures, "DPI", 40)
        patched.setattr(gallery, "DRAWS", 2)
        path = gallery.make(out, *arguments)
        yield path, arguments


@pytest.mark.long
def test_the_gallery_plays_both_searches_and_the_failures_and_fetches_nothing(made):
    path, _ = made
    page = Page(path)
    assert path.stat().st_size < MOST_BYTES
    assert not re.search(r"https?:|<script|<link|url\(", re.sub(r'"data:[^"]*"', "", page.source), re.IGNORECASE)
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.metas
    stock = next(label for label in page.players if label.startswith("best stock voice, "))
    times = {"target": 1, "target, held out": 1, stock: 4, "the walk": 4, "quick": 4}
    assert {label: len(page.players[label]) for label in times} == times
    assert {"the walk counts", "quick counts", "the crowd counts", "the monster"} < set(page.players)
    for content in (one for players in page.players.values() for one in players):
        assert np.abs(decoded(content)).max() > 0.05
    assert len(page.pictures) == 1
    assert page.tags.count("h3") == 6


@pytest.mark.long
def test_its_figures_are_those_of_the_runs(made):
    path, _ = made
    page = Page(path)
    walk, preset = (Run(below(path.parent / name)[0]) for name in (gallery.WALK, gallery.PRESET))
    table = page.table("", "stock", "the walk", "quick")
    columns = [
        figures.similarities for figures in (walk.heldout["stock"], walk.heldout["best"], preset.heldout["best"])
    ]
    assert table[HELDOUT[0]] == [f"{column[0]:.3f}" for column in columns]
    assert table["mean, held out"] == [f"{np.mean(column):.3f}" for column in columns]
    assert table["the scored text"][1:] == [f"{run.best[1].parts['target']:.3f}" for run in (walk, preset)]
    gain = walk.heldout["best"].similarity - walk.heldout["stock"].similarity
    assert f"{gain:+.3f} on texts that it never heard" in page.text


@pytest.mark.long
def test_a_search_that_is_done_is_not_run_again_and_one_that_was_stopped_goes_on(made):
    path, arguments = made
    folder = path.parent / gallery.WALK
    before = below(folder)
    run = finished(folder, arguments)
    assert [run.folder] == below(folder) == before
    result = run.folder / "result.json"
    said = json.loads(result.read_text())
    result.unlink()
    assert run.status == "stopped"
    assert finished(folder, arguments).status == "done"
    assert below(folder) == before
    again = json.loads(result.read_text())
    assert {key for key in said | again if said.get(key) != again.get(key)} <= {"seconds", "voices"}
    for label, voice in said["voices"].items():
        assert again["voices"][label].pop("heldout") == pytest.approx(voice.pop("heldout"))
        assert again["voices"][label] == pytest.approx(voice, abs=1e-5)  # judges may run with other numbers of threads

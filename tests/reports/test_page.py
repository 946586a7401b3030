"""The page of a run, read as a browser would: its players are decoded, its figures compared with the record."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kvw.cli.main import invoke
from kvw.reports import figures
from kvw.runs.artifacts import SPOKEN
from kvw.runs.reader import Run
from kvw.runs.result import HELDOUT_LABELS
from kvw.runs.store import Store
from kvw.types import SAMPLE_RATE
from tests.support.recorded import facts, record
from tests.support.records import edit
from tests.support.report_page import HELDOUT, MOST_BYTES, Page, decoded, report_of

HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}{% raw %} $x$ & é"


def test_a_run_ends_with_a_page_whose_players_all_play_and_which_fetches_nothing(made):
    assert (made / "kvw.log").read_text().rstrip().endswith(f"Report: {made / 'report.html'}")
    page = Page(made / "report.html")
    assert (made / "report.html").stat().st_size < MOST_BYTES
    assert not re.search(
        r"https?:|//[a-z]|@import|url\(|<script|<link|<iframe", re.sub(r'"data:[^"]*"', "", page.source), re.I
    )
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.metas
    (policy,) = (meta["content"] for meta in page.metas if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy.split("; ")[:3] == ["default-src 'none'", "img-src data:", "media-src data:"]
    last = Run(made).best[0]
    stock = next(label for label in page.players if label.startswith("best stock voice, "))
    result = f"result, step {last}"
    assert {label: len(players) for label, players in page.players.items()} == {
        "target": 1, "target, held out": 1, stock: 4, "start": 4, result: 4
    }  # fmt: skip
    for content in (one for players in page.players.values() for one in players):
        assert np.abs(decoded(content)).max() > 0.05
    (target,), (best, *_) = page.players["target"], page.players[result]
    for name, content in (("target.wav", target), ("best.wav", best)):
        wave, _ = soundfile.read(made / name)
        assert len(decoded(content)) == pytest.approx(len(wave), abs=SAMPLE_RATE // 10)
        assert np.corrcoef(decoded(content)[:20_000], wave[:20_000])[0, 1] > 0.99
    assert len(page.pictures) == 4
    assert all(content.startswith(b"\x89PNG") for content in page.pictures)
    assert page.tags.count("details") == 2
    assert '"seed": 0' in page.text and "resemblyzer" in page.text


def test_the_texts_that_are_played_are_a_short_a_middle_and_a_long_one(made):
    page = Page(made / "report.html")
    places = [page.text.index(text) for text in (HELDOUT[0], HELDOUT[1])]
    assert places == sorted(places)
    assert sum(text in page.text for text in HELDOUT) == 3


def test_the_figures_are_those_of_the_result(made):
    found = json.loads((made / "result.json").read_text())
    table = Page(made / "report.html").table("", "Score", "Target Sim", "Self Sim", "Feature Sim", *HELDOUT_LABELS)
    assert list(table) == list(found["voices"])
    for label, seen in found["voices"].items():
        parts = [f"{seen[f'{name}_similarity']:.3f}" for name in ("target", "self", "feature")]
        assert table[label] == [f"{seen['score']:.2f}", *parts, f"{np.mean(seen['heldout']):.3f}", "-", "-", "-"]
    page = Page(made / "report.html")
    outcome = page.table("candidates")
    assert page.tables[[rows[0][0] for rows in page.tables].index("candidates")][0][1] == str(found["evaluations"])
    assert outcome["complete"][0].startswith(f"{found['complete']} (")
    stopped = found["evaluations"] - found["complete"]
    assert sum(int(cells[0].split()[0]) for name, cells in outcome.items() if name.startswith("stopped by")) == stopped


def test_it_is_made_anew_from_the_folder_alone_to_the_last_byte_and_without_a_model(run, made, monkeypatch):
    def load(*_):
        raise AssertionError("a model is loaded")

    monkeypatch.setattr("kvw.config.fitness._models", load)
    (run / "report.html").unlink()
    for name in ("config.yaml", "summary.txt", "kvw.log"):
        (run / name).unlink()
    report_of(run, "judges=none")
    assert (run / "report.html").read_bytes() == (made / "report.html").read_bytes()


def test_what_a_stranger_wrote_into_a_run_is_text(run):
    edit(run, "texts", lambda texts: [HOSTILE, *texts[1:]])
    edit(run, "inputs", lambda inputs: {**inputs, "heldout_texts": [HOSTILE] * 4})
    edit(run, "config", lambda config: {**config, "output_name": HOSTILE})
    about = {"strategy": HOSTILE, "target": HOSTILE, "synthesiser": HOSTILE, "versions": {HOSTILE: HOSTILE}}
    edit(run, "provenance", lambda provenance: {**provenance, **about})
    page = report_of(run, "judges=none")
    assert page.text.count("{{ 7*7 }}{% raw %} $x$ & é") >= 8
    assert "script" not in page.tags and "alert(1)" in page.text
    assert page.tags.count("img") == 4


@pytest.mark.parametrize("key", ["texts", "inputs", "provenance"])
def test_facts_of_another_kind_are_damage_in_one_line(key, run, capsys):
    edit(run, key, lambda _: 7)
    assert invoke(["task=report", f"run={run}"]) == 5
    assert capsys.readouterr().err.count("\n") == 1


def test_a_result_that_is_no_result_is_named(run, capsys):
    (run / "result.json").write_text('{"voices": []}')
    assert invoke(["task=report", f"run={run}"]) == 5
    assert f"{run / 'result.json'}: expected the figures of a run" in capsys.readouterr().err


def test_several_runs_are_compared_on_one_page(run, tmp_path, capsys):
    other = Path(shutil.copytree(run, run.with_name("other <b>")))
    edit(other, "config", lambda config: {**config, "seed": 7, "target_text": HOSTILE})
    edit(other, "provenance", lambda provenance: {**provenance, "seed": 7})
    assert invoke(["task=report", f"run=[{run},{other}]", "task.out=pages/both.html", "judges=none"]) == 0
    assert "Report: pages/both.html" in capsys.readouterr().out
    both = Page(tmp_path / "pages" / "both.html")
    figures_of = both.table("run", "target", "candidates")
    assert [row[-1] for row in figures_of.values()] == [f"day/{run.name}", "day/other <b>"]
    assert list(figures_of) == ["1: random_walk, seed 0", "2: random_walk, seed 7"]
    assert both.table("setting", "1", "2")["seed"] == ["0", "7"]
    assert [len(both.players[f"{name}, result"]) for name in figures_of] == [1, 1]
    assert len(both.players["target, demo"]) == 1, "both have the same"
    assert all(np.abs(decoded(one)).max() > 0.05 for players in both.players.values() for one in players)
    assert len(both.pictures) == 1


def test_a_run_in_which_nothing_beat_the_best_stock_voice_says_so_first(made):
    assert not json.loads((made / "result.json").read_text())["improved"]
    text = Page(made / "report.html").text
    assert "No improvement: no candidate scored above the best stock voice, af_iris, which is the better one" in text


def test_a_run_that_goes_on_has_a_report_of_what_it_is_by_then(run):
    (run / SPOKEN / "best_9.flac").write_bytes(b"of an earlier end")
    before = Run(run).best[0], Page(run / "report.html")
    assert invoke([f"resume={run}", "step_limit=30"]) == 0
    step, page = Run(run).best[0], Page(run / "report.html")
    assert step > before[0], "it found a better one"
    assert f"result, step {step}" in page.players and f"result, step {before[0]}" not in page.text
    assert before[1].players["target"] == page.players["target"]
    assert not (run / SPOKEN / "best_9.flac").exists()
    assert "DNSMOS" not in page.text


def test_a_report_that_fails_costs_a_line_and_not_the_run(run, monkeypatch, capsys):
    def broken(*_):
        raise ValueError("a font\nis missing")

    monkeypatch.setattr(figures, "curve", broken)
    assert invoke([f"resume={run}", "step_limit=13"]) == 0
    out = capsys.readouterr().out
    assert "no report; task=report makes one: ValueError: a font is missing\n" in out
    assert (run / "summary.txt").exists() and Run(run).status == "done"
    assert not (run / "report.html").exists(), "the old one is of another result"


def test_speech_that_can_not_be_kept_costs_a_line_and_not_the_run(run, monkeypatch, capsys):
    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("kvw.tasks.conclude.keep_spoken", full)
    assert invoke([f"resume={run}", "step_limit=12", "report=false"]) == 0
    assert "what the voices say is not kept for a report: OSError: No space left" in capsys.readouterr().out
    assert Run(run).result


def test_an_older_run_has_no_players_of_what_it_did_not_keep_and_says_so(run):
    shutil.rmtree(run / SPOKEN)
    (run / "heldout_1.wav").write_bytes(b"no audio")
    page = report_of(run, "judges=none")
    assert sorted(page.players) == [f"result, step {Run(run).best[0]}", "target"]
    assert "This run kept no audio of held-out texts" in page.text
    assert page.text.count("no audio was kept") == 3


def test_a_run_that_was_stopped_has_a_page_of_what_there_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store, _ = record(tmp_path / "outputs" / "silent")
    store.close()
    page = report_of(tmp_path / "outputs" / "silent")
    assert "This run has not ended" in page.text
    assert not page.players and len(page.pictures) == 2
    outcome = page.table("candidates")
    assert any(name.startswith("failed: silent") for name in outcome)
    assert (
        sum(int(cells[0].split()[0]) for name, cells in outcome.items() if name.startswith(("complete", "st", "fa")))
        == 40
    )


def test_a_run_that_was_killed_before_its_first_candidate_has_a_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs" / "early").mkdir(parents=True)
    Store.create(tmp_path / "outputs" / "early" / "run.db", facts()).close()
    assert "No candidate has been scored yet." in report_of(tmp_path / "outputs" / "early").text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "run: expected a run's folder, last, or several"),
        (["run=nowhere"], "nowhere: expected the folder of a run"),
        (["run=last", "task.out=page.pdf"], "task.out: expected the path of a page"),
    ],
)
def test_bad_input_is_one_line(arguments, message, run, capsys):
    assert invoke(["task=report", *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1

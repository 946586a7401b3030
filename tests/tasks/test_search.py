"""Whole runs through the command line, on the embedded synthesiser and on Kokoro's real architecture."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from kvw.audio.recordings import read_recording
from kvw.cli.main import invoke
from kvw.types import SAMPLE_RATE
from kvw.voices.files import load_voice
from tests.support.children import members, start

ONE_WORKER = ["executor=processes", "executor.workers=1"]
ONE_SCORER = ["executor=local", "executor.scorers=1"]


def test_a_run_keeps_every_improvement_and_ends_with_a_better_voice(kvw, demo, capsys):
    code, (folder,) = kvw("synth=embedded", "step_limit=25", "output_name=mine.wav")
    assert code == 0
    out = capsys.readouterr().out
    assert "Target Sim: " in out
    assert "Diversity: " in out

    result = json.loads((folder / "result.json").read_text())
    rows = list(result["voices"].values())
    stock, start, best = rows
    assert best["score"] > start["score"]
    assert result["evaluations"] == 25
    assert all(len(row["heldout"]) == 1 for row in rows)

    improvements = sorted(folder.glob("mine_*.pt"), key=lambda path: int(path.name.split("_")[1]))
    scores = [float(path.name.split("_")[2]) for path in improvements]
    assert len(scores) > 1
    assert scores == sorted(set(scores))
    assert improvements[-1].name.endswith("_demo.pt")
    best_voice = load_voice(folder / "best.pt")
    assert np.array_equal(load_voice(improvements[-1]), best_voice)
    for path in [*improvements, folder / "best.pt"]:
        facts = json.loads(path.with_suffix(".json").read_text())
        assert facts["synthesiser"] == "embedded"
        assert facts["target_sha256"] == result["target_sha256"]
        assert len(facts["base_voices"]) == 10
        assert set(facts["scores"]) == {"score", "target_similarity", "self_similarity", "feature_similarity"}
        wave, rate = soundfile.read(path.with_suffix(".wav"))
        assert rate == SAMPLE_RATE
        assert 0.01 < np.sqrt(np.mean(wave**2)) < 0.5
    assert json.loads((folder / "best.json").read_text())["heldout"] == pytest.approx(np.mean(best["heldout"]))

    summary = (folder / "summary.txt").read_text()
    assert summary.strip() in out
    assert summary.startswith("no improvement") == (best["score"] <= stock["score"])
    assert "target_text: The ships" in (folder / "config.yaml").read_text()
    assert "Score: " in (folder / "kvw.log").read_text()
    target, _ = soundfile.read(folder / "target.wav")
    heldout, _ = soundfile.read(folder / "heldout_1.wav")
    assert 12 < len(target) / SAMPLE_RATE < 13
    assert len(target) + len(heldout) == len(demo), "the converted clip is kept, in its two parts"


@pytest.mark.long
def test_the_demo_with_the_default_texts_soon_beats_the_best_stock_voice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert invoke(["synth=embedded", "step_limit=15"]) == 0
    (report,) = tmp_path.glob("outputs/*/*/result.json")
    result = json.loads(report.read_text())
    assert result["improved"]
    stock, _, best = result["voices"].values()
    assert best["score"] > stock["score"]
    assert len(best["heldout"]) == 5


def test_the_record_has_every_candidate_with_the_rows_it_was_heard_through(kvw):
    _, (folder,) = kvw("synth=embedded", "step_limit=8")
    with sqlite3.connect(f"file:{folder / 'run.db'}?mode=ro", uri=True) as db:
        steps = db.execute(
            "SELECT step, generation, status, score, parts, rows FROM candidates ORDER BY step"
        ).fetchall()
        assert [(step, generation) for step, generation, *_ in steps] == [(n, n) for n in range(8)]
        assert {status for _, _, status, *_ in steps} <= {"complete", "stopped"}
        best = max(steps, key=lambda row: row[3])
        heard = np.frombuffer(best[5], np.float32).reshape(2, 256)
        voice = load_voice(folder / "best.pt")
        assert all((row == voice[:, 0]).all(axis=1).any() for row in heard)
        assert json.loads(best[4]).keys() == {"target", "self", "feature"}
        stages = dict(db.execute("SELECT ranking, count(*) FROM stock GROUP BY ranking"))
        assert stages == {"ranked": 24, "full": 10}
        facts = {key: json.loads(value) for key, value in db.execute("SELECT key, value FROM run")}
        assert facts["provenance"]["synthesiser"] == "embedded"


def test_the_same_seed_gives_the_same_voice_bit_for_bit_and_another_seed_another(kvw):
    arguments = ("synth=embedded", "step_limit=8", "population_limit=3")
    found = [load_voice(kvw(*arguments, f"seed={seed}")[1][0] / "best.pt") for seed in (1, 1, 2)]
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


@pytest.mark.long
def test_processes_find_the_voice_that_the_local_executor_finds(kvw):
    arguments = ("synth=embedded", "step_limit=4", "population_limit=3")
    local, processes = (kvw(*arguments, f"executor={name}")[1][0] for name in ("local", "processes"))
    assert (local / "best.pt").read_bytes() == (processes / "best.pt").read_bytes()


def test_a_run_starts_from_the_result_of_another_and_from_a_folder_of_embedded_voices(kvw, tmp_path):
    _, (first,) = kvw("synth=embedded", "step_limit=3", "population_limit=3")
    folder = tmp_path / "my voices (1)"
    folder.mkdir()
    for name in ("best.pt", "best.json"):
        (folder / name).write_bytes((first / name).read_bytes())
    code, (second,) = kvw(
        "synth=embedded", "step_limit=4", f"voices_folder={folder}", f"starting_voice={folder / 'best.pt'}"
    )
    assert code == 0
    report = json.loads((second / "result.json").read_text())["voices"]
    assert next(iter(report)) == "best stock voice, best"
    assert "start" not in report, "it is that voice"
    assert not np.array_equal(load_voice(second / "best.pt"), load_voice(first / "best.pt")), "no stock voice is ours"


def test_voices_of_one_synthesiser_are_refused_by_another(kvw, shared, tmp_path, capsys):
    real = shared / "voices"
    assert kvw("synth=embedded", f"voice_folder={real}")[0] == 2
    assert "holds kokoro's" in capsys.readouterr().err
    assert kvw("synth=embedded", f"starting_voice={real / 'af_heart.pt'}")[0] == 2
    assert "starting_voice" in capsys.readouterr().err


def test_the_coherent_space_and_the_originals_formula_run_and_move_all_rows_alike(kvw, bank):
    code, (folder,) = kvw(
        "synth=embedded", "space=coherent", "fitness=kvoicewalk", "step_limit=12", "population_limit=3"
    )
    assert code == 0
    facts = json.loads((folder / "best.json").read_text())
    base = np.mean([bank[name] for name in facts["base_voices"]], axis=0)
    moved = load_voice(folder / "best.pt") - base
    assert np.ptp(moved, axis=0).max() < 1e-6
    assert np.abs(moved).max() > 1e-3


def test_two_runs_that_start_in_the_same_second_have_folders_of_their_own(tmp_path):
    from kvw.runs.folders import new_folder

    assert sorted(new_folder(tmp_path / "day", "same").name for _ in range(3)) == ["same", "same-2", "same-3"]


def test_a_multirun_goes_on_past_a_failed_job_and_says_so(kvw, tmp_path, capsys):
    code, folders = kvw("-m", "synth=embedded", "step_limit=2", "population_limit=3", "stop_score=200,1", "seed=5")
    assert code == 1
    assert len(folders) == 1
    assert folders[0].parent.name == "1"
    assert "Job 0 failed: stop_score" in capsys.readouterr().out


def test_a_budget_that_the_ranking_uses_up_is_a_line_of_its_own(kvw, capsys):
    assert kvw("synth=embedded", "minutes=1e-9", "population_limit=1")[0] == 2
    assert "minutes: expected more than the ranking takes" in capsys.readouterr().err


def test_a_dry_run_plans_and_writes_nothing(kvw, tmp_path, capsys):
    assert kvw("synth=embedded", "dry_run=true") == (0, [])
    out = capsys.readouterr().out
    assert "up to 10000 candidates, about" in out
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "held out.txt"]


def test_a_recording_with_an_awkward_name_and_held_out_files_of_its_speaker(kvw, shared, tmp_path):
    speaker = [shared / "targets" / f"2609-156975-{number}.flac" for number in ("0004", "0007")]
    clip = tmp_path / "my clip (1).wav"
    wave, rate = soundfile.read(speaker[0])
    soundfile.write(clip, wave, rate)
    code, (folder,) = kvw(
        "synth=embedded",
        "step_limit=2",
        "population_limit=2",
        "target_audio=my clip (1).wav",
        f"heldout_audio=[{speaker[1]}]",
    )
    assert code == 0
    assert folder.name.endswith("-my_clip_1-random_walk-0")
    assert "against heldout_audio" in (folder / "summary.txt").read_text()


def test_several_recordings_are_searched_on_but_one_and_a_stranger_is_named_and_counts(kvw, shared, tmp_path, capsys):
    names = ["2609-156975-0004.flac", "1688-142285-0000.flac", "2609-156975-0007.flac"]
    paths = [shared / "targets" / name for name in names]
    given = f"target_audio=[{', '.join(map(str, paths))}]"
    code, (folder,) = kvw("synth=embedded", "step_limit=2", "population_limit=2", given)
    assert code == 0
    out = capsys.readouterr().out
    assert "Target: 2609-156975-0004, 3 recordings, 53.0 s, speech 78%, level -23 dBFS, SNR 17 dB\n" in out
    (doubt,) = [line for line in out.splitlines() if "expected the speaker of the other recordings" in line]
    assert doubt.startswith(f"{paths[1]}: ")
    assert folder.name.endswith("-2609-156975-0004-random_walk-0")
    written = {path.stem: soundfile.read(path, dtype="float32")[0] for path in folder.glob("*_[0-9].wav")}
    assert set(written) == {"target_1", "target_2", "heldout_1"} and not (folder / "target.wav").exists()
    read = [read_recording(path) for path in paths]
    for stem, wave in zip(("target_1", "target_2", "heldout_1"), (read[0], read[1], read[2]), strict=True):
        assert np.abs(written[stem] - wave).max() <= 1 / 32768
    facts = json.loads((folder / "best.json").read_text())
    digest = hashlib.sha256(b"".join(wave.tobytes() for wave in read[:2])).hexdigest()
    assert (facts["target"], facts["target_sha256"]) == ("2609-156975-0004", digest)
    assert f"against {names[2]}, which the search does not use" in (folder / "summary.txt").read_text()


@pytest.mark.long
def test_kokoros_architecture_goes_through_the_whole_search(kvw, shared, kokoro_files, tmp_path, capsys):
    weights, config = kokoro_files
    stock = tmp_path / "voices"
    stock.mkdir()
    for name in ("af_heart", "am_adam", "bf_emma"):
        (stock / f"{name}.pt").write_bytes((shared / "voices" / f"{name}.pt").read_bytes())
    code, (folder,) = kvw(
        "synth=kokoro",
        f"synth.model={weights}",
        f"synth.config={config}",
        "target_text=Ships at sea.",
        "other_text=A short one.",
        "step_limit=2",
    )
    assert code == 0, capsys.readouterr().err
    facts = json.loads((folder / "best.json").read_text())
    assert facts["synthesiser"] == "kokoro"
    loaded = torch.load(folder / "best.pt", weights_only=True)
    assert (loaded.shape, loaded.dtype) == ((510, 1, 256), torch.float32)
    assert json.loads((folder / "result.json").read_text())["evaluations"] == 2
    moved = weights.rename(tmp_path / "moved.pth")
    assert invoke([f"resume={folder}", "step_limit=3", f"synth.model={moved}"]) == 0, capsys.readouterr().err
    assert json.loads((folder / "result.json").read_text())["evaluations"] == 3
    moved.rename(weights)

    from kvw.speech.kokoro.synthesizer import KokoroSynthesizer

    synthesizer = KokoroSynthesizer(model=str(weights), config=str(config))
    check_kokoro(synthesizer, stock)
    truncated = tmp_path / "truncated.pth"
    truncated.write_bytes(weights.read_bytes()[:1_000_000])
    for wrong, words in ((truncated, "truncated.pth"), (config, "config.json"), (tmp_path / "no.pth", "no.pth")):
        assert kvw("synth=kokoro", f"synth.model={wrong}", f"synth.config={config}")[0] == 2
        assert words in capsys.readouterr().err


def check_kokoro(synthesizer, stock: Path) -> None:
    """The synthesiser is pure, and cuts long texts; that it says what kokoro says is in test_kmodel.py."""
    pair = [load_voice(stock / f"{name}.pt") for name in ("af_heart", "am_adam")]
    script = synthesizer.script("Ships at sea.")
    state = torch.get_rng_state()
    waves = synthesizer(pair, script, seed=7)
    assert torch.equal(state, torch.get_rng_state())
    assert all(np.array_equal(*both) for both in zip(waves, synthesizer(pair, script, seed=7), strict=True))
    assert not np.array_equal(waves[0], synthesizer(pair[:1], script, seed=8)[0])
    long = synthesizer.script("The tide comes in and the tide goes out again. " * 30)
    assert len(long.segments) > 1
    assert all(1 <= len(segment.phonemes) <= 510 for segment in long.segments)
    assert "".join(segment.text for segment in long.segments).count("tide") == 60


EXECUTORS = [pytest.param(ONE_SCORER, marks=pytest.mark.long), ONE_WORKER]


@pytest.mark.skipif(os.name == "nt", reason="signals of a terminal")
@pytest.mark.parametrize("executor", EXECUTORS, ids=["local", "processes"])
def test_an_interrupted_run_says_where_its_results_are_and_exits_130(executor, tmp_path):
    process = start(tmp_path, *executor)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: every process of the group gets it
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    (folder,) = tmp_path.glob("outputs/*/*")
    assert f"Interrupted; what was found so far is in {folder}; go on with: python -m kvw resume={folder}" in out
    assert load_voice(folder / "best.pt").shape == (510, 1, 256)


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
@pytest.mark.parametrize("executor", EXECUTORS, ids=["local", "processes"])
def test_workers_end_when_their_driver_is_killed(executor, tmp_path):
    process = start(tmp_path, *executor)
    group = process.pid
    assert len(members(group)) >= 2
    process.kill()
    process.communicate()
    for _ in range(100):
        if not members(group):
            return
        time.sleep(0.2)
    raise AssertionError(f"still there: {members(group)}")

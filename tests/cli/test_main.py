"""Bad input from the command line is one line and an exit status."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from kvw.cli.main import invoke


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["stp_limit=3"], ["stp_limit", "did you mean step_limit?"]),
        (["diversity=1"], ["diversity", "did you mean strategy.diversity?"]),
        (["strategy=randomwalk"], ["randomwalk", "did you mean random_walk?"]),
        (["strategy.diversty=1"], ["strategy.diversty", "did you mean strategy.diversity?"]),
        (["strategie=random_walk"], ["strategie", "did you mean strategy?"]),
        (["+strategy.diversty=1"], ["strategy.diversty", "did you mean diversity?"]),
        (["step_limit=many"], ["step_limit", "'many'"]),
        (["=3"], ["=3: expected key=value; got no key"]),
        (["seed=1,2"], ["seed: expected one value; got 1,2", "-m seed=1,2 runs each of them"]),
        (["language=en"], ["there is no language 'en'", "give language=a or b"]),
        (["language=en-us"], ["give language=a or b"]),
        (["language=British"], ["give language=b"]),
        (["language=A"], ["a American English", "give language=a"]),
        (["language=zh-CN"], ["give language=z"]),
        (["language=German"], ["Kokoro speaks a American English, b British English", "it speaks no other"]),
        (["starting_voice=af_bella(1e308)+am_adam(1e308)"], ["weights above 0 and up to 1e+09; got 'af_bella(1e308)'"]),
        (["step_limit=0"], ["step_limit", "1 or more"]),
        (["strategy.clip=maybe"], ["strategy.clip", "true or false", "'maybe'"]),
        (["strategy.diversity=[1]"], ["strategy.diversity", "two numbers"]),
        (["executor.threads=0"], ["executor.threads", "1 or more"]),
        (["fitness.formula=best"], ["formula", "capped"]),
        (["fitness.gates.target.margin=-1"], ["fitness", "margin"]),
        (["strategy._target_=os.system"], ["strategy._target_", "os.system"]),
        (["strategy._target_=strategies.nothing.At"], ["strategy._target_", "strategies.nothing"]),
        (["fitness.gates.target._target_=subprocess.run"], ["_target_", "subprocess.run"]),
        (["strategy._target_=kvw.tasks.prepare.torch.load"], ["strategy._target_", "kvw.tasks.prepare.torch.load"]),
        (
            ["fitness.gates.target._target_=kvw.tasks.prepare.torch.load"],
            ["fitness.gates.target", "kvw.tasks.prepare.torch.load"],
        ),
        (["fitness.gates.target=0.98"], ["fitness", "gates", "0.98"]),
        (["fitness.weights.target=abc"], ["fitness", "weights", "abc"]),
        (["synth=foo"], ["foo", "auto, embedded, kokoro"]),
        (["target_audio="], ["target_audio"]),
        (["starting_voice="], ["starting_voice"]),
        (["other_text=One and the same.", "target_text=One and the same."], ["other_text", "the same"]),
        (["dry_run=true", "executor.threads=0"], ["executor.threads"]),
        (["language=x"], ["language", "'x'"]),
        (["stop_score=101"], ["stop_score", "(0, 100]"]),
        (["minutes=0"], ["minutes"]),
        (["output_name=../out.wav"], ["output_name", "../out.wav"]),
        (["device=quantum"], ["device", "quantum"]),
        (["device=cuda:7"], ["device", "cuda:7"]),
        (["target_text="], ["target_text"]),
        (["target_text=!!!"], ["'!!!'"]),
        (["target_text=none.txt"], ["target_text", "none.txt"]),
        (["target_audio=none.wav"], ["none.wav"]),
        (["heldout_audio=none.wav"], ["none.wav"]),
        (["starting_voice=none.pt"], ["none.pt"]),
        (["heldout_texts=none.txt"], ["heldout_texts", "none.txt"]),
        (["voice_folder=nowhere"], ["nowhere"]),
        (["seed"], ["seed"]),
        (["seed=-1"], ["seed", "-1"]),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_2_and_writes_nothing(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if "device=cuda:7" in arguments:
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    code = invoke(["synth=embedded", "step_limit=1", *arguments])
    err = capsys.readouterr().err
    assert code == 2, err
    (line,) = err.splitlines()
    assert line.startswith("kvw: ")
    assert all(word in line for word in words), line
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_every_problem_is_reported_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.wav").touch()
    arguments = ["target_audio=empty.wav", "target_text=", "population_limit=0", "starting_voice=no.pt", "seed=-2"]
    assert invoke(["synth=embedded", *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    for word in ("empty.wav", "target_text", "population_limit", "no.pt", "seed"):
        assert sum(word in line for line in lines) == 1


def test_a_users_strategies_package_that_would_hide_ours_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "__init__.py").touch()
    assert invoke([]) == 2
    assert "__init__.py" in capsys.readouterr().err


def test_an_output_folder_that_can_not_be_written_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs").write_text("in the way")
    assert invoke(["synth=embedded", "step_limit=1"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "outputs" in line
    assert (tmp_path / "outputs").read_text() == "in the way"


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="a shell closes the streams")
def test_a_service_without_streams_searches_as_any_other(tmp_path):
    given = "synth=embedded step_limit=2 population_limit=1 judges=none report=false target_text=Yes. other_text=No."
    line = f"exec '{sys.executable}' -m kvw {given} <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", line], cwd=tmp_path, timeout=120, check=False).returncode == 0
    (log,) = tmp_path.glob("outputs/*/*/kvw.log")
    assert "Result: " in log.read_text()

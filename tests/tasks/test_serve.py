"""``task=serve`` as a user types it."""

import json
import signal
import subprocess
import sys
import urllib.request

import pytest

from kvw.cli.main import invoke
from kvw.errors import KvwError
from kvw.tasks.serve import check_token, is_loopback

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize(
    ("host", "near"),
    [
        *((host, True) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost")),
        *((host, False) for host in ("0.0.0.0", "::", "192.168.1.5", "box.local", "")),
    ],
)
def test_every_address_but_this_machines_own_needs_a_token(host, near):
    assert is_loopback(host) == near
    check_token(host, TOKEN)
    if near:
        check_token(host, None)
    else:
        with pytest.raises(KvwError, match=r"task.token: expected one.*give task.token=TOKEN"):
            check_token(host, None)


@pytest.mark.parametrize(
    "token", ["", "short", "a" * 15, "with spaces in it ....", "Umläute sind kein ASCII", "a" * 201]
)
def test_a_weak_token_is_refused_and_not_shown(token):
    with pytest.raises(KvwError, match=r"task\.token: expected 16 to 200") as refused:
        check_token("0.0.0.0", token)
    assert not token or token not in str(refused.value)


@pytest.mark.extras
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["task.port=70000"], ["task.port", "65535"]),
        (["task.host=0.0.0.0"], ["task.token", "KVW_TOKEN"]),
        (["task.host=no.such.machine.invalid", f"task.token={TOKEN}"], ["task.port", "no.such.machine.invalid"]),
    ],
)
def test_a_bad_setting_is_one_line(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert invoke(["task=serve", "synth=embedded", *arguments]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and all(word in line for word in words), line


@pytest.mark.extras
def test_the_server_asks_for_the_environments_token_and_ends_by_a_signal(tmp_path, monkeypatch):
    monkeypatch.setenv("KVW_TOKEN", TOKEN)
    command = [sys.executable, "-m", "kvw", "task=serve", "synth=embedded", "task.port=0"]
    server = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        line = next(line for line in server.stdout if "voices of embedded at" in line)
        address = line.split(" at ")[1].split(";")[0]
        request = urllib.request.Request(f"{address}/audio/voices", headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert {"id": "af_amber", "name": "af_amber"} in json.load(answer)["voices"]
        with pytest.raises(OSError, match="401"):
            urllib.request.urlopen(f"{address}/audio/voices", timeout=60)
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 143
        assert "Traceback" not in server.stdout.read()
    finally:
        server.kill()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()], "a server leaves nothing"

"""The hub client against a small hub on 127.0.0.1; each client is a process: its settings are its environment."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvw.runtime import hub
from tests.support.fake_hub import FakeHub, client, serving


@pytest.fixture
def fake() -> Iterator[FakeHub]:
    with serving() as server:
        yield server


def test_a_fetched_file_is_found_afterwards_without_a_network(fake: FakeHub, tmp_path: Path) -> None:
    fake.files = {"config.json": b'{"n": 1}'}
    code = "assert hub.find('config.json') is None\npath = hub.fetch('config.json')\n"
    code += (
        "assert path.read_text() == '{\"n\": 1}'\nassert hub.find('config.json') == path == hub.fetch('config.json')"
    )
    done = client(code, tmp_path, fake.endpoint)
    assert done.returncode == 0, done.stderr
    offline = "print(hub.fetch('config.json').read_text(), hub.reachable(), hub.find('kokoro-v1_0.pth'))"
    done = client(offline, tmp_path, fake.endpoint, HF_HUB_OFFLINE="1")
    assert done.stdout.split("\n")[0] == '{"n": 1} False None', done.stderr


@pytest.mark.parametrize(
    ("call", "advice"),
    [
        ("hub.fetch('kokoro-v1_0.pth')", "synth.model=PATH synth.config=PATH"),
        ("hub.fetch('voices/af_heart.pt')", "into the voices folder"),
        ("download.fetch_voices(Path('never-made'))", "into the voices folder"),
    ],
)
def test_an_absent_file_or_hub_is_an_error_that_says_what_to_do(
    call: str, advice: str, fake: FakeHub, tmp_path: Path
) -> None:
    code = f"from kvw.voices import download\ntry:\n    {call}\nexcept KvwError as e:\n    print(e.code, e)\n"
    absent = client(code, tmp_path, fake.endpoint)
    offline = client(code, tmp_path, fake.endpoint, HF_HUB_OFFLINE="1")
    refused = client(code, tmp_path, "http://127.0.0.1:9")
    for done in (absent, offline, refused):
        assert done.stdout.startswith("2 "), done.stderr
        assert done.stdout.count("\n") == 1
        assert "got none" in done.stdout or advice in done.stdout
    assert "HF_HUB_OFFLINE" in offline.stdout
    assert "http://127.0.0.1:9 doesn't answer" in refused.stdout
    assert not Path("never-made").exists()


@pytest.fixture
def asked_again() -> Iterator[None]:
    hub.reachable.cache_clear()
    yield
    hub.reachable.cache_clear()


@pytest.mark.usefixtures("asked_again")
def test_a_hub_answers_with_any_status_and_is_asked_once(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", fake.endpoint)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert hub.reachable()
    assert hub.reachable()
    assert len(fake.asked) == 1


@pytest.mark.usefixtures("asked_again")
def test_a_proxy_that_answers_counts(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://hub.invalid")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    for name in ("NO_PROXY", "no_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", fake.endpoint)
    assert hub.reachable()
    assert fake.asked == ["HEAD http://hub.invalid"]


@pytest.mark.usefixtures("asked_again")
@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "not a url", "ftp://", "http://[broken", ""])
def test_an_endpoint_that_refuses_or_is_no_address_is_not_reachable(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
    assert not hub.reachable()


def test_a_black_hole_does_not_hold_up_the_process(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hole:
        endpoint = f"http://127.0.0.1:{hole.getsockname()[1]}"
        done = client("print(hub.reachable(1.0))", tmp_path, endpoint)
    assert done.stdout == "False\n", done.stderr


def test_name_resolution_that_hangs_does_not_hold_up_the_process(tmp_path: Path) -> None:
    code = "import socket, time\nsocket.getaddrinfo = lambda *a, **k: time.sleep(600)\nprint(hub.reachable(1.0))"
    done = client(code, tmp_path, "http://hub.invalid")
    assert done.stdout == "False\n", done.stderr


def test_importing_the_hub_imports_neither_torch_nor_a_network_client(tmp_path: Path) -> None:
    code = "import sys\nprint([m for m in ('torch', 'httpx', 'httpx2', 'requests', 'tqdm') if m in sys.modules])"
    assert client(code, tmp_path, "http://127.0.0.1:9").stdout == "[]\n"

"""The hub client against a small hub on 127.0.0.1; each client is a process: its settings are its environment."""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from kvw.runtime import hub
from tests.conftest import ROOT

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def voice_file(value: float, dtype: torch.dtype = torch.float32) -> bytes:
    buffer = io.BytesIO()
    torch.save(torch.full((510, 1, 256), value, dtype=dtype), buffer)
    return buffer.getvalue()


class FakeHub(ThreadingHTTPServer):
    """Serves what ``hf_hub_download`` and ``list_repo_files`` ask for: a file tree, HEAD with ETag and commit, GET."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.dies_after: int | None = None
        self.endpoint = f"http://127.0.0.1:{self.server_port}"

    def downloaded(self) -> list[str]:
        return [line.rpartition("/")[2] for line in self.asked if line.startswith("GET /hexgrad")]


class Handler(BaseHTTPRequestHandler):
    """One request; every answer but the root's is as the Hugging Face Hub gives it."""

    server: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        path = self.path.partition("?")[0]
        files = self.server.files
        file = path.removeprefix(f"/{hub.REPO}/resolve/main/").removeprefix(f"/{hub.REPO}/resolve/{COMMIT}/")
        if self.server.dies_after is not None and len(self.server.downloaded()) > self.server.dies_after:
            self.close_connection = True
            threading.Thread(target=self.server.shutdown).start()
            self.server.socket.close()
        elif path.startswith(f"/api/models/{hub.REPO}"):
            tree = [
                {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
                for name, body in files.items()
            ]
            self.answer(200, json.dumps(tree).encode(), Content_Type="application/json")
        elif file in files:
            digest = hashlib.sha256(files[file]).hexdigest()
            self.answer(200, files[file], ETag=f'"{digest}"', X_Repo_Commit=COMMIT, Accept_Ranges="none")
        else:
            self.answer(404, b"", X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)

    do_HEAD = do_GET


@pytest.fixture
def fake() -> Iterator[FakeHub]:
    with FakeHub() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


def client(code: str, home: Path, endpoint: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
    }
    kept = {key: value for key, value in os.environ.items() if not key.upper().startswith(("HF_", "TRANSFORMERS_"))}
    lines = "from pathlib import Path\nfrom kvw import hub\nfrom kvw.types import KvwError\n" + code
    return subprocess.run(
        [sys.executable, "-c", lines],
        capture_output=True,
        text=True,
        timeout=60,
        env={**kept, **settings, **environment},
    )


def fetch_voices(folder: Path, home: Path, endpoint: str) -> tuple[list[object], str]:
    done = client(f"import json\nprint(json.dumps(hub.fetch_voices(Path({str(folder)!r}))))", home, endpoint)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_all_voices_are_fetched_and_a_rerun_fetches_only_what_is_missing_or_bad(fake: FakeHub, tmp_path: Path) -> None:
    names = ["af_heart", "am_adam", "bf_emma"]
    fake.files = {f"voices/{name}.pt": voice_file(i) for i, name in enumerate(names)} | {"config.json": b"{}"}
    fake.files |= {"voices/../../evil.pt": b"", "voices/deep/x.pt": b"", "voices/readme.md": b"", "af_root.pt": b""}
    folder = tmp_path / "new" / "voices"
    assert fetch_voices(folder, tmp_path / "home", fake.endpoint)[0] == [3, []]
    for name in names:
        assert (folder / f"{name}.pt").read_bytes() == fake.files[f"voices/{name}.pt"]
    assert sorted(path.name for path in folder.iterdir()) == [f"{name}.pt" for name in names]
    assert sorted(fake.downloaded()) == [f"{name}.pt" for name in names]

    fake.asked.clear()
    (folder / "am_adam.pt").write_bytes(b"half a voi")
    (folder / "bf_emma.pt").unlink()
    assert fetch_voices(folder, tmp_path / "other", fake.endpoint)[0] == [3, []]
    assert sorted(fake.downloaded()) == ["am_adam.pt", "bf_emma.pt"]
    assert (folder / "am_adam.pt").read_bytes() == fake.files["voices/am_adam.pt"]


def test_a_bad_voice_is_named_and_kept_out(fake: FakeHub, tmp_path: Path) -> None:
    fake.files = {"voices/a.pt": voice_file(1), "voices/b.pt": voice_file(1, torch.float64), "voices/c.pt": b"x"}
    found, said = fetch_voices(tmp_path / "voices", tmp_path / "home", fake.endpoint)
    assert found == [1, ["b", "c"]]
    assert "type Double" in said
    assert [path.name for path in (tmp_path / "voices").iterdir()] == ["a.pt"]


def test_a_damaged_cache_is_downloaded_again(fake: FakeHub, tmp_path: Path) -> None:
    fake.files = {"voices/a.pt": voice_file(1)}
    assert fetch_voices(tmp_path / "voices", tmp_path / "home", fake.endpoint)[0] == [1, []]
    (tmp_path / "voices" / "a.pt").unlink()
    (cached,) = (path for path in (tmp_path / "home").rglob("a.pt"))
    cached.resolve().write_bytes(b"damaged")
    assert fetch_voices(tmp_path / "voices", tmp_path / "home", fake.endpoint)[0] == [1, []]
    assert (tmp_path / "voices" / "a.pt").read_bytes() == fake.files["voices/a.pt"]


def test_a_hub_that_dies_leaves_whole_voices_and_a_rerun_goes_on(fake: FakeHub, tmp_path: Path) -> None:
    files = {f"voices/v{n}.pt": voice_file(n) for n in range(6)}
    fake.files, fake.dies_after = files, 2
    found, said = fetch_voices(tmp_path / "voices", tmp_path / "home", fake.endpoint)
    assert found == [2, ["v2", "v3", "v4", "v5"]]
    assert "run this again" in said
    with FakeHub() as again:
        again.files = files
        threading.Thread(target=again.serve_forever, args=(0.05,), daemon=True).start()
        assert fetch_voices(tmp_path / "voices", tmp_path / "home", again.endpoint)[0] == [6, []]
        again.shutdown()
    assert sorted(again.downloaded()) == ["v2.pt", "v3.pt", "v4.pt", "v5.pt"]


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
        ("fetch('kokoro-v1_0.pth')", "synth.model=PATH synth.config=PATH"),
        ("fetch('voices/af_heart.pt')", "into the voices folder"),
        ("fetch_voices(Path('never-made'))", "into the voices folder"),
    ],
)
def test_an_absent_file_or_hub_is_an_error_that_says_what_to_do(
    call: str, advice: str, fake: FakeHub, tmp_path: Path
) -> None:
    code = f"try:\n    hub.{call}\nexcept KvwError as e:\n    print(e.code, e)\n"
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

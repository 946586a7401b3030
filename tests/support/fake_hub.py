"""A small Hugging Face Hub on 127.0.0.1, and its clients: a process each, as their settings are their environment."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from kvw.runtime import hub
from tests.conftest import ROOT

COMMIT = "0123456789abcdef0123456789abcdef01234567"


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


@contextmanager
def serving(kind: type[FakeHub] = FakeHub) -> Iterator[FakeHub]:
    """Serves while the block runs."""
    with kind() as server:
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
    lines = "from pathlib import Path\nfrom kvw.errors import KvwError\nfrom kvw.runtime import hub\n" + code
    return subprocess.run(
        [sys.executable, "-c", lines],
        capture_output=True,
        text=True,
        timeout=60,
        env={**kept, **settings, **environment},
    )

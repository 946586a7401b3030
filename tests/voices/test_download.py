"""Kokoro's stock voices are downloaded from a small hub on 127.0.0.1, checked, and a rerun resumes."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.support.fake_hub import FakeHub, client, serving

FETCH = "import json\nfrom kvw.voices.download import fetch_voices\n"


def voice_file(value: float, dtype: torch.dtype = torch.float32) -> bytes:
    buffer = io.BytesIO()
    torch.save(torch.full((510, 1, 256), value, dtype=dtype), buffer)
    return buffer.getvalue()


def fetch_voices(folder: Path, home: Path, endpoint: str) -> tuple[list[object], str]:
    done = client(f"{FETCH}print(json.dumps(fetch_voices(Path({str(folder)!r}))))", home, endpoint)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.fixture
def fake() -> Iterator[FakeHub]:
    with serving() as server:
        yield server


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


def test_a_hub_that_dies_leaves_whole_voices_and_a_rerun_resumes(fake: FakeHub, tmp_path: Path) -> None:
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

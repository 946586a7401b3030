"""What kvw needs of the machine that it runs on."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from kvw.runtime.environment import give_numba_a_cache


@pytest.mark.parametrize(
    ("writable", "given", "found"),
    [
        ("", None, "temporary"),
        ("home", None, None),
        ("librosa", None, None),
        ("", "/mine", "/mine"),
    ],
)
def test_numba_keeps_what_it_compiles_where_something_can_be_written(writable, given, found, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    (tmp_path / "home").mkdir()
    monkeypatch.setattr(os, "access", lambda path, _: bool(writable) and Path(path).name == writable)
    monkeypatch.setenv("NUMBA_CACHE_DIR", given or "")  # given back at the end, whatever is set
    if not given:
        monkeypatch.delenv("NUMBA_CACHE_DIR")
    give_numba_a_cache()
    expected = str(Path(tempfile.gettempdir(), "kvw-numba")) if found == "temporary" else found
    assert os.environ.get("NUMBA_CACHE_DIR") == expected

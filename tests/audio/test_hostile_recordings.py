"""Reading any file, however hostile, gives audio or one line, in little memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.stress import audio


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes to fork here")
def test_every_hostile_file_gets_the_right_verdict_within_300_mib(tmp_path: Path) -> None:
    rows = audio.check(tmp_path)
    assert len(rows) >= 60
    assert not [row for row in rows if not row.right]
    assert not [row for row in rows if row.mib > audio.MIB]
    assert not list(tmp_path.iterdir())

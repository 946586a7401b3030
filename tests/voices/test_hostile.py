"""Voice files and packs from strangers, read as a library reads them: nothing in them runs or is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stress import hostile


@pytest.mark.filterwarnings("ignore")
def test_hostile_voices_and_packs_are_refused_and_run_nothing(tmp_path: Path) -> None:
    rows = hostile.voices(tmp_path)
    assert sum(row.expected == "refused" for row in rows) >= 60
    assert not [row for row in rows if row.executions or row.verdict != row.expected]

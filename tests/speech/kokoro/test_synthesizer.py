"""Kokoro's files; its speech is in tests/tasks/test_search.py, as loading its model takes long."""

from __future__ import annotations

import pytest

from kvw.errors import KvwError
from kvw.speech.kokoro.synthesizer import KokoroSynthesizer


def test_a_missing_file_is_named_before_anything_is_loaded(tmp_path):
    with pytest.raises(KvwError, match=r"synth\.model.*no\.pth"):
        KokoroSynthesizer(model=str(tmp_path / "no.pth"), config=str(tmp_path / "no.json"))

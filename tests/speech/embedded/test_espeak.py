"""espeak-ng in its child process, and what is wrong with it in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvw.errors import KvwError
from kvw.speech.embedded import espeak
from kvw.speech.embedded.synthesizer import EmbeddedSynthesizer


@pytest.mark.parametrize(
    ("marked_up", "heard"),
    [
        ("<speak>hello</speak>", "spˈiːk həlˈoʊ slˈæʃ spˈiːk"),
        ("[[h@'loU]]", "ˈeɪtʃ æt lˈoʊ jˈuː"),
        ("slow\x01400S down", "slˈoʊ fˈɔːɹhˈʌndɹɪd z dˈaʊn"),
        ("cut\x00off", "kˈʌt ˈɔf"),
    ],
)
def test_markup_is_read_out_not_obeyed(synth: EmbeddedSynthesizer, marked_up: str, heard: str) -> None:
    assert [segment.phonemes for segment in synth.script(marked_up).segments] == [heard]


@pytest.mark.parametrize(
    ("child", "reason"),
    [
        ("import sys; sys.exit('the reason')", "status 1, the reason"),
        ("import os; os.abort()", "status -6, no message"),
        ("import time; time.sleep(9)", "timed out"),
    ],
)
def test_a_failing_espeak_is_one_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, child: str, reason: str
) -> None:
    script = tmp_path / "child.py"
    script.write_text(child)
    monkeypatch.setattr(espeak, "CHILD", script)
    monkeypatch.setattr(espeak, "TIMEOUT", 2)
    with pytest.raises(KvwError, match=reason):
        EmbeddedSynthesizer().script(f"spoken by {child}")


def test_a_missing_espeak_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(espeak.espeakng_loader, "get_library_path", lambda: "/nowhere/libespeak-ng.so")
    with pytest.raises(KvwError, match="expected espeak-ng at /nowhere"):
        EmbeddedSynthesizer().script("said for the first time")

"""``task=adjust``, on real speech of the embedded synthesiser."""

from __future__ import annotations

import re

import numpy as np
import pytest

from kvw.atlas.adjust import CHANGES
from kvw.audio.decode import decode_file
from kvw.audio.pitch import intonation
from kvw.cli.main import invoke
from kvw.tasks.adjust import delivered
from kvw.voices.files import facts_of, load_voice, save_voice

UNHEARD = ("The ferry left before dawn.", "Nobody on the pier had thought to wave.")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_voice_is_changed_as_it_is_heard_and_what_is_said_of_it_is_so(here, capsys, embedded, bank):
    assert invoke(["task=adjust", "test_voice=af_amber", "task.brightness=15", "target_text=Hello there."]) == 0
    told = capsys.readouterr()
    rows = dict(re.findall(r"^(\w+) +\S+ +(\S+) +(?:semitones|%|dB)$", told.out + told.err, re.MULTILINE))
    assert rows.keys() == CHANGES.keys()
    assert float(rows["brightness"]) == pytest.approx(15, abs=2)
    assert all(abs(float(rows[name])) < limit for name, limit in (("pitch", 0.5), ("pace", 2), ("breathiness", 0.4)))
    after = load_voice(here / "adjusted.pt")
    before, changed = (
        delivered([embedded([voice], embedded.script(text), 0)[0] for text in UNHEARD])
        for voice in (bank["af_amber"], after)
    )
    pitch, pace, brightness, _ = changed - before
    assert 0.07 < brightness < 0.25, "on sentences that nobody measured, too"
    assert abs(pitch) < 0.05 and abs(pace) < 0.05
    facts = facts_of(here / "adjusted.pt")
    assert (facts["synthesiser"], facts["base_voices"]) == ("embedded", ["af_amber"])
    assert facts["adjusted"] == {**dict.fromkeys(CHANGES, 0.0), "brightness": 15.0}
    (spoken,) = embedded([after], embedded.script("Hello there."), 0)
    np.testing.assert_allclose(decode_file(here / "adjusted.wav"), spoken, rtol=0, atol=1 / 32767)


def test_several_changes_at_once_are_heard_together(here, embedded, bank):
    changes = ["task.pitch=-2", "task.breathiness=0.5", "task.out=to/low.pt"]
    assert invoke(["task=adjust", "test_voice=am_felix(1)+am_boris(1)", "target_text=Hello.", *changes]) == 0
    mixed = (bank["am_felix"] + bank["am_boris"]) / 2
    pitches = [
        intonation(np.concatenate([embedded([voice], embedded.script(text), 0)[0] for text in UNHEARD]))[0]
        for voice in (mixed, load_voice(here / "to" / "low.pt"))
    ]
    assert 12 * (pitches[1] - pitches[0]) / np.log(2) == pytest.approx(-2, abs=0.8)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["task.pitch=1"], ["test_voice", "got none"]),
        (["test_voice=af_amber"], ["task.pitch", "got none"]),
        (["test_voice=af_amber", "task.pitch=9"], ["pitch", "-8 to 8", "got 9"]),
        (["test_voice=af_amber", "task.pace=nan"], ["pace", "-40 to 40"]),
        (["test_voice=af_amber", "task.brightness=much"], ["task.brightness"]),
        (["test_voice=[af_amber,am_felix]", "task.pitch=1"], ["test_voice", "got 2"]),
        (["test_voice=af_amber", "task.pitch=1", "task.out=a.npz"], ["task.out", "task=export"]),
        (["test_voice=af_amber", "task.pitch=1", "task.out=there.pt"], ["task.out", "there.pt is there"]),
        (["test_voice=af_amber", "task.pitch=1", "atlas.file=gone"], ["gone", "expected an atlas"]),
    ],
)
def test_bad_input_is_one_line_and_exit_2_and_writes_nothing(here, capsys, bank, arguments, words):
    save_voice(here / "there.pt", bank["am_felix"], {"synthesiser": "embedded"})
    before = {path.name: path.read_bytes() for path in here.iterdir()}
    assert invoke(["task=adjust", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert all(word in line for word in words)
    assert {path.name: path.read_bytes() for path in here.iterdir()} == before

"""``task=adjust``, on real speech of the embedded synthesiser."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest

from kvw.atlas.adjust import CHANGES, Change, amounts
from kvw.audio.decode import decode_file
from kvw.cli.main import invoke
from kvw.errors import KvwError
from kvw.tasks.adjust import Changer, delivered, moved_by
from kvw.types import SAMPLE_RATE, VOICE_SHAPE
from kvw.voices.files import facts_of, load_voice, save_voice
from tests.support.recordings import tone

UNHEARD = ("The ferry left before dawn.", "Nobody on the pier had thought to wave.")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def spoken(synthesizer, voice):
    """The delivery of sentences that no change is measured on."""
    return delivered([synthesizer([voice], synthesizer.script(text), 0)[0] for text in UNHEARD])


def test_a_voice_is_changed_as_it_is_heard_and_what_is_said_of_it_is_so(here, capsys, embedded, bank):
    assert invoke(["task=adjust", "test_voice=af_amber", "task.brightness=15", "target_text=Hello there."]) == 0
    told = capsys.readouterr()
    rows = dict(re.findall(r"^(\w+) +\S+ +(\S+) +(?:semitones|%|dB)$", told.out + told.err, re.MULTILINE))
    assert rows.keys() == CHANGES.keys()
    assert float(rows["brightness"]) == pytest.approx(15, abs=2)
    assert all(abs(float(rows[name])) < limit for name, limit in (("pitch", 0.5), ("pace", 2), ("breathiness", 0.4)))
    after = load_voice(here / "adjusted.pt")
    pitch, pace, brightness, _ = moved_by(*(spoken(embedded, voice) for voice in (bank["af_amber"], after)))
    assert 0.07 < brightness < 0.25, "on sentences that nobody measured, too"
    assert abs(pitch) < 0.05 and abs(pace) < 0.05
    facts = facts_of(here / "adjusted.pt")
    assert (facts["synthesiser"], facts["base_voices"]) == ("embedded", ["af_amber"])
    assert facts["adjusted"] == {**dict.fromkeys(CHANGES, 0.0), "brightness": 15.0}
    (wave,) = embedded([after], embedded.script("Hello there."), 0)
    np.testing.assert_allclose(decode_file(here / "adjusted.wav"), wave, rtol=0, atol=1 / 32767)


def test_several_changes_at_once_are_heard_together(here, embedded, bank):
    changes = ["task.pitch=-2", "task.breathiness=0.5", "task.out=to/low.pt"]
    assert invoke(["task=adjust", "test_voice=am_felix(1)+am_boris(1)", "target_text=Hello.", *changes]) == 0
    mixed = (bank["am_felix"] + bank["am_boris"]) / 2
    heard = amounts(moved_by(*(spoken(embedded, voice) for voice in (mixed, load_voice(here / "to" / "low.pt")))))
    assert heard["pitch"] == pytest.approx(-2, abs=0.8) and heard["breathiness"] == pytest.approx(0.5, abs=0.3)


VOICE, HUM = np.zeros(VOICE_SHAPE, np.float32), tone(2.0, SAMPLE_RATE)[:, 0]
PAUSE = np.zeros_like(HUM)


class Saying(Changer):
    """Says the given waves, one list after the other, in the place of voices; remembers the shifts."""

    def __init__(self, *said):
        self.shifts, said = [], iter(said)
        super().__init__(self.adjust, None, SimpleNamespace(speaker=lambda waves, key: np.ones(256) / 16), [], 0)
        self._said = lambda voice: next(said)

    def adjust(self, voice, shift):
        self.shifts.append(shift)
        return voice


def test_a_text_in_which_no_pitch_is_heard_is_left_out():
    changer = Saying(*[[HUM, HUM]] * 3, [HUM, PAUSE])
    changed = changer(VOICE, Change(brightness=10))
    assert all(abs(value) < 1e-6 for value in changed.measured.values())
    assert np.abs(changer.shifts[1] - 2 * changer.shifts[0]).max() < 1e-6, "what was missed is asked for once more"
    with pytest.raises(KvwError, match="expected a voice with a pitch"):
        Saying(*[[PAUSE, PAUSE]] * 4)(VOICE, Change(brightness=10))


def test_a_correction_that_goes_too_far_is_not_the_result_and_none_asks_for_more_than_voices_do():
    changed = Saying([HUM], [HUM], [PAUSE])(VOICE, Change(pitch=2))
    assert changed.voice is VOICE and changed.measured["pitch"] == pytest.approx(0, abs=1e-6)
    changer = Saying(*[[HUM]] * 4)
    changer(VOICE, Change(pitch=8))
    assert [12 * shift[0] / np.log(2) for shift in changer.shifts] == pytest.approx([8, 8, 8])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["task.pitch=1"], ["test_voice", "got none"]),
        (["test_voice=af_amber"], ["task.pitch", "got none"]),
        (["test_voice=af_amber", "task.pitch=9"], ["task.pitch", "-8 to 8", "got 9"]),
        (["test_voice=af_amber", "task.pace=nan"], ["pace", "-40 to 40"]),
        (["test_voice=af_amber", "task.brightness=much"], ["task.brightness"]),
        (["test_voice=[af_amber,am_felix]", "task.pitch=1"], ["test_voice", "got 2"]),
        (["test_voice=af_amber", "task.pitch=1", "task.out=a.npz"], ["task.out", "task=export"]),
        (["test_voice=af_amber", "task.pitch=1", "task.out=there.pt"], ["task.out", "there.pt is there"]),
        (["test_voice=af_amber", "task.pitch=1", "task.out=me.pt"], ["task.out", "me.wav is there"]),
        (["test_voice=af_amber", "task.pitch=1", "task.out=it.pt"], ["task.out", "it.json is there"]),
        (["test_voice=af_heart", "task.pitch=1", "task.out=a.embedded.pt"], ["task.out", "a.embedded.pt"]),
        (["test_voice=af_amber", "task.pitch=1", "target_text=?!"], ["pronounced"]),
        (["test_voice=af_amber", "task.pitch=1", "atlas.file=gone"], ["gone", "expected an atlas"]),
    ],
)
def test_bad_input_is_one_line_and_exit_2_and_writes_nothing(here, capsys, bank, arguments, words):
    save_voice(here / "there.pt", bank["am_felix"], {"synthesiser": "embedded"})
    (here / "me.wav").write_bytes(b"mine")
    (here / "it.json").write_bytes(b"{}")
    before = {path.name: path.read_bytes() for path in here.iterdir()}
    assert invoke(["task=adjust", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert all(word in line for word in words)
    assert {path.name: path.read_bytes() for path in here.iterdir()} == before

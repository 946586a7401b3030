"""``task=speak`` and what else comes of ``test_voice``, on real speech of the embedded synthesiser."""

import numpy as np
import pytest

from kvw.audio.decode import decode_file
from kvw.audio.write import ENDINGS
from kvw.cli.main import invoke
from kvw.types import SAMPLE_RATE
from kvw.voices.files import save_voice


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_voice_speaks_a_text_into_out_wav(here, embedded, bank):
    assert invoke(["test_voice=af_amber", "target_text=It's raining, again."]) == 0
    (only,) = here.iterdir()
    assert only.name == "out.wav"
    (expected,) = embedded([bank["af_amber"]], embedded.script("It's raining, again."), 0)
    np.testing.assert_allclose(decode_file(only), expected, rtol=0, atol=1 / 32767)


def test_the_ending_of_the_name_chooses_the_format(here, embedded, bank):
    heard = {}
    for ending in ENDINGS:
        assert invoke(["task=speak", "test_voice=am_felix", "target_text=Good night.", f"output_name=a b{ending}"]) == 0
        heard[ending] = decode_file(here / f"a b{ending}")
    np.testing.assert_allclose(heard[".wav"], heard[".flac"], rtol=0, atol=2 / 32767)
    for ending in (".mp3", ".ogg"):
        lossy, exact = heard[ending], heard[".wav"]
        assert abs(len(lossy) - len(exact)) < 0.1 * SAMPLE_RATE
        energy = [np.sqrt(np.mean(wave**2)) for wave in (lossy, exact)]
        assert energy[0] == pytest.approx(energy[1], rel=0.1)


def test_several_voices_have_a_file_each(here):
    code = invoke(["test_voice=[af_amber,af_amber(1)+am_boris(1)]", "target_text=Hello.", "output_name=to/say.wav"])
    assert code == 0
    names = sorted(path.name for path in (here / "to").iterdir())
    assert names == ["say_af_amber.wav", "say_af_amber_1_am_boris_1.wav"]
    first, second = (decode_file(here / "to" / name) for name in names)
    assert len(first) != len(second) or not np.allclose(first, second)


def test_voices_of_one_name_have_a_file_each(here, bank):
    for run, voice in (("a", "af_amber"), ("b", "am_boris")):
        (here / run).mkdir()
        save_voice(here / run / "best.pt", bank[voice], {"synthesiser": "embedded"})
    assert invoke(["test_voice=[a/best.pt,b/best.pt]", "target_text=Hello."]) == 0
    first, second = (decode_file(here / name) for name in ("out_best.wav", "out_best-2.wav"))
    assert len(first) != len(second) or not np.allclose(first, second)


def test_a_text_comes_from_a_file_and_may_be_longer_than_any_segment(here, embedded, bank):
    sentence = "The ferry left the harbour before dawn, and nobody on the pier had thought to wave. "
    (here / "long.txt").write_text(sentence * 9 + "\n\n" + "Then it was quiet.", "utf-8")
    assert invoke(["test_voice=af_amber", "target_text=long.txt"]) == 0
    one = len(embedded([bank["af_amber"]], embedded.script(sentence), 0)[0])
    assert 8 * one < len(decode_file(here / "out.wav")) < 11 * one
    assert all(len(part.phonemes) <= 510 for part in embedded.script(sentence * 9).segments)


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.25, 2.0])
def test_speed_divides_the_length_and_leaves_the_pitch(embedded, bank, speed):
    import librosa

    script, voice = (
        embedded.script("The old ferry leaves the harbour at seven, long before the town wakes up."),
        bank["am_felix"],
    )
    usual, changed = embedded([voice], script, 0)[0], embedded([voice], script, 0, speed)[0]
    pauses = 2 * SAMPLE_RATE // 4
    assert (len(changed) - pauses) / (len(usual) - pauses) == pytest.approx(1 / speed, rel=0.01)
    pitch = [np.nanmedian(librosa.pyin(wave, fmin=60, fmax=400, sr=SAMPLE_RATE)[0]) for wave in (usual, changed)]
    assert pitch[1] == pytest.approx(pitch[0], rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["task=speak"], ["test_voice"]),
        (["test_voice=af_amber", "task.speed=0.4"], ["task.speed", "0.4"]),
        (["test_voice=af_amber", "output_name=out.aac"], ["output_name", ".mp3"]),
        (["test_voice=af_amber", "target_text=?!"], ["pronounced"]),
        (["test_voice=af_amber", "target_text=gone.txt"], ["target_text", "gone.txt"]),
        (["test_voice=af_amber", "synth=kokoro"], ["synth=embedded"]),
        (["test_voice=af_amber", "speed=2"], ["task.speed"]),
    ],
)
def test_bad_input_is_one_line_and_exit_2(here, capsys, arguments, words):
    assert invoke(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert all(word in line for word in words)
    assert not [path for path in here.iterdir() if path.name != "gone.txt"]


def test_a_voice_that_fails_leaves_the_others_spoken(here, bank, capsys):
    wild = np.full((510, 1, 256), 3e38, np.float32)  # finite, but no sum of such numbers is
    save_voice(here / "wild.embedded.pt", wild, {"synthesiser": "embedded"})
    assert invoke(["test_voice=[wild.embedded.pt,af_amber]", "target_text=Hello."]) == 1
    assert [path.name for path in here.glob("*.wav")] == ["out_af_amber.wav"]
    assert "1 of 2 voices failed: wild" in capsys.readouterr().err


def test_a_voice_that_speaks_another_language_than_its_own_is_remarked_on(here, monkeypatch, capsys):
    monkeypatch.setattr("kvw.tasks.speak.synthesizer", lambda cfg, owner: None)
    monkeypatch.setattr("kvw.tasks.speak.narrate", lambda *given: np.zeros(100, np.float32))
    assert invoke(["test_voice=[ff_siwis,af_bella]", "target_text=Hello."]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "made for" in line]
    assert line.startswith("ff_siwis: made for French, and will speak American English")

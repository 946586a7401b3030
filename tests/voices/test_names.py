"""Names of Kokoro voices, and what a voice's pitch tells."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvw.audio.decode import decode_file
from kvw.audio.pitch import gender_of, low_pitch
from kvw.errors import KvwError
from kvw.types import SAMPLE_RATE
from kvw.voices.names import STOCK, is_kokoro_name, kokoro_name

TEXT = (
    "Every morning the harbour wakes before the town does. Boats slide out through the mist one after another, and "
    "their lamps grow small and yellow until only the gulls know where they are."
)
SPEAKERS = {"1688": "m", "1998": "f", "2609": "m", "3331": "f"}


@given(st.text(), st.sampled_from("abefhijpz"), st.sampled_from("fm"))
def test_any_text_makes_a_name_that_servers_take(text, language, gender):
    name = kokoro_name(text, language, gender)
    assert is_kokoro_name(name)
    assert name[:3] == f"{language}{gender}_"
    assert name.isascii() and len(name) <= 63
    assert name[-1] != "_"


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("My voice", "my_voice"),
        ("Élodie 2", "elodie_2"),
        ("out_12_81.22_0.71_lighthouse", "out_12_81_22_0_71_lighthouse"),
        ("af_bella(2)+am_adam(1)", "af_bella_2_am_adam_1"),
        ("Straße", "strasse"),
        ("__x__", "x"),
        ("Ｆｕｌｌ", "full"),
    ],
)
def test_names_by_example(text, own):
    assert kokoro_name(text, "b", "m") == f"bm_{own}"


def test_names_of_other_scripts_stay_apart():
    names = [kokoro_name(text, "z", "f") for text in ("声音", "语音", "", "!")]
    assert len(set(names)) == 4
    assert names[0] == kokoro_name("声音", "z", "f")


@pytest.mark.parametrize("name", ["af_heart", "zm_yunyang", "pf_x_2", "em_1"])
def test_a_name_of_kokoros_form_is_one(name):
    assert is_kokoro_name(name)


@pytest.mark.parametrize(
    "name", ["heart", "cf_x", "ax_x", "af_", "AF_heart", "af_é", "af-x", "af_a+am_b", "af_a(2)", "af_a\n"]
)
def test_another_name_is_none(name):
    assert not is_kokoro_name(name)


def test_the_stock_names_are_those_of_kokoros_files(shared):
    assert {path.stem for path in (shared / "voices").glob("*.pt")} == STOCK
    assert all(is_kokoro_name(name) for name in STOCK)


def test_pitch_tells_the_gender_of_real_speakers(shared):
    for path in sorted((shared / "targets").glob("*.flac")):
        assert gender_of(decode_file(path)) == SPEAKERS[path.name.partition("-")[0]], path.name


def test_pitch_tells_the_gender_of_all_but_one_embedded_voice(embedded, bank):
    script = embedded.script(TEXT)
    guesses = {name: gender_of(embedded([voice], script, 0)[0]) for name, voice in bank.items()}
    wrong = [name for name, guess in guesses.items() if guess != name[1]]
    assert wrong == ["af_iris"], "whose pitch is that of a man"


@pytest.mark.parametrize("pitch", [100, 140, 180, 300])
def test_the_pitch_of_a_tone_is_its_own(pitch):
    time = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    tone = sum(np.sin(2 * np.pi * pitch * n * time) / n for n in range(1, 8)).astype(np.float32)
    assert low_pitch(0.1 * tone) == pytest.approx(pitch, rel=0.02)


@pytest.mark.parametrize(
    "wave", [np.zeros(48_000, np.float32), np.zeros(0, np.float32), np.full(48_000, np.nan, np.float32)]
)
def test_silence_has_no_pitch(wave):
    with pytest.raises(KvwError, match="expected speech"):
        gender_of(wave)

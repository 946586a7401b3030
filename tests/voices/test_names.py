"""Names of Kokoro voices."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvw.voices.names import STOCK, is_kokoro_name, kokoro_name


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
    "name",
    [
        "heart",
        "cf_x",
        "ax_x",
        "af_",
        "AF_heart",
        "af_é",
        "af-x",
        "af_a+am_b",
        "af_a(2)",
        "af_a\n",
        "af__x",
        "af_x_",
        "af_" + "x" * 61,
    ],
)
def test_another_name_is_none(name):
    assert not is_kokoro_name(name)


def test_the_stock_names_are_those_of_kokoros_files(shared):
    assert {path.stem for path in (shared / "voices").glob("*.pt")} == STOCK
    assert all(is_kokoro_name(name) for name in STOCK)

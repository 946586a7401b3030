"""Text for people and for OmegaConf: nothing in it moves a terminal's cursor, and escapes are undone exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from kvw.text import (
    MAX_VALUE,
    aligned,
    duration,
    escape_interpolation,
    listed,
    nearest,
    printable,
    printable_line,
    shell,
    shortened,
    shown_value,
    unescape_interpolation,
)

texts = st.text() | st.text("\\${}a", max_size=12)


@given(texts)
def test_an_escaped_text_is_the_text_again_in_a_config_and_when_it_is_unescaped(text):
    escaped = escape_interpolation(text)
    assert unescape_interpolation(escaped) == text
    if "${" in text:
        assert OmegaConf.create({"key": escaped})["key"] == text


@given(st.text())
def test_printable_text_keeps_its_lines_and_holds_nothing_that_moves_the_cursor(text):
    shown = printable(text)
    assert len(shown) == len(text)
    assert shown.count("\n") == text.count("\n")
    assert shown.replace("\n", "").isprintable()


@given(st.text())
def test_a_printable_line_is_one_line_as_long_as_the_text(text):
    line = printable_line(text)
    assert line.isprintable() and len(line) == len(text)
    assert line == text or not text.isprintable()


def test_a_value_in_a_message_is_one_short_line():
    nested = []
    for _ in range(100_000):
        nested = [nested]
    for value in ("x" * 100, "a\nb", 10**5000, nested):
        assert shown_value(value).isprintable() and len(shown_value(value)) <= 80
    assert shown_value({"a": 1}) == "{'a': 1}"


def test_a_long_value_of_a_table_keeps_both_ends():
    assert shortened(" a  b\n") == "a b"
    path = "/home/somebody/recordings/2024/lighthouse/clip-0001.wav"
    assert len(shortened(path)) == MAX_VALUE
    assert shortened(path).startswith("/home/") and shortened(path).endswith("clip-0001.wav")


@pytest.mark.parametrize(
    ("count", "text"),
    [(1, "a"), (2, "a and b"), (5, "a, b, c, d and e"), (6, "a, b, c, d and 2 more"), (9, "a, b, c, d and 5 more")],
)
def test_a_long_list_of_names_ends_in_how_many_more_there_are(count, text):
    assert listed("abcdefghi"[:count]) == text


def test_a_hint_names_the_nearest_word_or_all():
    assert nearest("cmb", ["cma", "genetic"]) == "; did you mean cma?"
    assert nearest("x", ["cma", "genetic"]) == "; there are cma, genetic"
    assert nearest("x", []) == ""


def test_an_argument_is_quoted_where_a_shell_would_change_it():
    assert shell("outputs/2024-01:a") == "outputs/2024-01:a"
    assert shell('a "$b"') == r'"a \"\$b\""'


@pytest.mark.parametrize(("seconds", "text"), [(45, "45 s"), (89, "89 s"), (720, "12 min"), (12_600, "3.5 h")])
def test_a_length_of_time_has_its_usual_unit(seconds, text):
    assert duration(seconds) == text


def test_the_columns_of_a_table_are_aligned():
    assert aligned([("a", "10", "1"), ("bcd", "5", "200")], left=1) == ["a    10    1", "bcd   5  200"]

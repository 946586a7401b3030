"""Stems of file names that every file system accepts."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvw.runtime.filenames import _RESERVED, safe_stem

awkward = st.text() | st.text('./\\:*?"<>| \n\0.-_conNUL1é\u0301\udc80', max_size=90)


@settings(max_examples=500)
@given(awkward)
def test_a_safe_stem_is_a_file_name_everywhere(text: str) -> None:
    stem = safe_stem(text)
    assert 1 <= len(stem.encode("utf-8")) <= 60
    assert all(c in "_-." or unicodedata.category(c)[0] in "LMN" for c in stem)
    assert stem[0] not in ".-"
    assert stem[-1] != "."
    assert stem.split(".")[0].upper() not in {"CON", "PRN", "AUX", "NUL", "COM1", "LPT9", "COM²"}
    assert not stem.endswith(".embedded")
    assert safe_stem(stem) == stem


@given(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,40}[A-Za-z0-9_-]", fullmatch=True))
def test_a_stem_that_is_safe_stays_as_it_is(text: str) -> None:
    reserved = text.split(".")[0].upper() in _RESERVED
    assert safe_stem(text) == (f"_{text}" if reserved else text)


@pytest.mark.parametrize(
    ("text", "stem"),
    [
        ("My voice: é/1", "My_voice_é_1"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("", "unnamed"),
        ("...", "unnamed"),
        ("con.txt", "_con.txt"),
        ("COM¹", "_COM¹"),
        ("-rf", "rf"),
        ("af_heart.embedded", "af_heart_embedded"),
        ("हिन्दी", "हिन्दी"),
        ("x" * 99, "x" * 60),
        ("声" * 99, "声" * 20),
    ],
)
def test_safe_stems_by_example(text: str, stem: str) -> None:
    assert safe_stem(text) == stem

"""The page of blind pairs, and the count of its answers."""

from __future__ import annotations

import json
import re

import pytest

from kvw.errors import KvwError
from kvw.reports.comparison import STOCK
from kvw.reports.comparison_page import TARGET, Clips
from kvw.reports.ear_test import counted, page, read_answers
from kvw.reports.players import Player

VOICES = (STOCK, "quick", "</script>x")
CLIPS = {
    name: Clips("Some words.", {label: Player(label, f"data:,{name}{label}") for label in (TARGET, *VOICES)})
    for name in ("anna", "bert")
}


def data_of(source):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', source, re.DOTALL)[1])


def test_every_two_voices_of_a_speaker_meet_once_in_an_order_that_tells_nothing():
    data = data_of(page(CLIPS))
    pairs = {(speaker, *sorted((a, b))) for speaker, a, b, *_ in data["pairs"]}
    assert len(pairs) == len(data["pairs"]) == 2 * 3
    for speaker, a, b, reference, first, second in data["pairs"]:
        heard = [data["sounds"][number] for number in (reference, first, second)]
        assert heard == [f"data:,{speaker}{label}" for label in (TARGET, a, b)]
    assert 0 < sum(a < b for _, a, b, *_ in data["pairs"]) < 6
    assert "</script>x" not in page(CLIPS)
    assert "no two voices" in page({})


def test_preferences_are_counted_with_a_sign_test_that_leaves_out_ties(tmp_path):
    lines = ['"speaker","a","b","answer"', *['"anna","quick","stock","A"'] * 5, *['"anna","stock","quick","B"'] * 4]
    lines += ['"bert","quick","stock","B"', '"bert","stock","quick","same"']
    (tmp_path / "ear.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    answers = read_answers(tmp_path / "ear.csv")
    assert len(answers) == 11
    assert counted(answers)[1:] == [("quick", "stock", "9", "1", "1", "0.021")]  # 2 * 11 / 1024


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "speaker,a,b,answer\nanna,x,y,C\n", "speaker,a,b,answer\n"])
def test_another_file_is_refused(tmp_path, text):
    (tmp_path / "ear.csv").write_text(text)
    with pytest.raises(KvwError, match=r"expected the CSV that ear_test.html gave"):
        read_answers(tmp_path / "ear.csv")

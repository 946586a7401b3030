"""An ear test: a page of blind pairs, and the count of what a listener answered.

The page asks which of two voices sounds more like the speaker, on the same words. It tells neither's name, and gives
the answers as CSV: a line each, with the names.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from kvw.errors import KvwError
from kvw.reports.comparison_page import TARGET, Clips
from kvw.reports.page import TEMPLATES, template

HEAD = ("speaker", "a", "b", "answer")
"""Columns of the CSV: the voices' names, and one of :data:`ANSWERS`."""

ANSWERS = ("A", "B", "same")

MOST_ANSWERS = 100_000


def page(clips: Mapping[str, Clips]) -> str:
    """The page: every two voices of a speaker once, in an order that is drawn by a seed.

    Args:
        clips: what is heard of each speaker.
    """
    rng = np.random.default_rng(0)
    sounds: list[str] = []
    pairs = []
    for speaker, heard in clips.items():
        numbers = {}
        for label, player in heard.players.items():
            if player.source:
                numbers[label] = len(sounds)
                sounds.append(player.source)
        for two in combinations([label for label in numbers if label != TARGET], 2):
            first, second = rng.permutation(two).tolist()
            pairs.append([speaker, first, second, numbers.get(TARGET), numbers[first], numbers[second]])
    rng.shuffle(pairs)
    script = (TEMPLATES / "ear_test.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return template(TEMPLATES / "ear_test.html.j2").render(
        script=script, digest=digest, pairs=len(pairs), data=json_data({"head": HEAD, "sounds": sounds, "pairs": pairs})
    )


def json_data(value: object) -> str:
    """JSON that can stand in a script element."""
    return json.dumps(value).replace("<", "\\u003c")


def read_answers(path: Path) -> list[dict[str, str]]:
    """The answers in a CSV of the page, each by :data:`HEAD`.

    Raises:
        KvwError: the file can't be read, or is something else.
    """
    wanted = f"{path}: expected the CSV that ear_test.html gave, with {', '.join(HEAD)}"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise KvwError(f"{wanted}; got {error!s:.80}") from error
    for number, row in enumerate(rows, start=2):
        if tuple(row) != HEAD or row["answer"] not in ANSWERS:
            raise KvwError(f"{wanted}; got another line {number}")
    if not rows:
        raise KvwError(f"{wanted}; got no answer")
    return rows


def counted(answers: Sequence[Mapping[str, str]]) -> list[Sequence[str]]:
    """How often each of two voices was preferred, with the p of a two-sided sign test, which leaves out "same"."""
    from scipy.stats import binomtest

    votes: dict[tuple[str, str], list[int]] = {}
    for answer in answers:
        first, second = sorted((answer["a"], answer["b"]))
        preferred = {"A": answer["a"], "B": answer["b"]}.get(answer["answer"])
        count = votes.setdefault((first, second), [0, 0, 0])
        count[2 if preferred is None else (first, second).index(preferred)] += 1
    rows: list[Sequence[str]] = [("first", "second", "prefer first", "prefer second", "same", "p")]
    for (first, second), (wins, losses, same) in sorted(votes.items()):
        p = f"{binomtest(wins, wins + losses).pvalue:.3f}" if wins + losses else "–"
        rows.append((first, second, str(wins), str(losses), str(same), p))
    return rows

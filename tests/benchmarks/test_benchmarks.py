"""The benches run, on short texts, and say what they measured."""

from __future__ import annotations

import re

import pytest

from tests.benchmarks import embedded, kokoro, kvoicewalk
from tests.conftest import SHORT

TEXTS = tuple(SHORT.values())


@pytest.fixture(autouse=True)
def once(monkeypatch):
    for module, name in ((embedded, "ROUNDS"), (embedded, "SCALED_ROUNDS"), (kokoro, "ROUNDS")):
        monkeypatch.setattr(module, name, 1)
    monkeypatch.setattr(kvoicewalk, "SCORING_ROUNDS", 1)
    monkeypatch.setattr(embedded, "BATCH", 2)
    monkeypatch.setattr(kokoro, "CHARACTERS", 12)


def figures(tables):
    """The first figure of each row."""
    return {
        name.strip(): float(figure) for name, figure in re.findall(r"^([^\d\n]+?)  +([\d.]+) s", tables, re.MULTILINE)
    }


@pytest.mark.long
def test_the_embedded_bench_has_a_row_for_everything():
    seen = figures("\n".join(embedded.tables(TEXTS)))
    assert list(seen) == [
        *("rejected candidate", "accepted candidate", "similarity", "features", "scoring, accepted"),
        *("with a scorer", "two processes"),
    ]
    assert min(seen.values()) > 0


@pytest.mark.long
def test_the_kokoro_bench_has_parity_and_costs(kokoro_files, monkeypatch):
    monkeypatch.setattr(kokoro.random_kokoro, "make", lambda folder: kokoro_files)
    monkeypatch.setattr(kokoro, "peak", lambda *given: 1.0)  # two processes, each with a model
    text = "\n".join(kokoro.tables(TEXTS))
    seen = figures(text)
    assert list(seen)[:3] == ["synthesis", "rejected candidate", "accepted candidate"]
    assert min(seen.values()) > 0
    (parity,) = re.findall(r"own model: (\d+) dB", text)
    assert int(parity) >= 100
    assert "times less" in text

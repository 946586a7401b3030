"""Equal results to the last bit, whatever is moved or renamed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import golden


def test_the_embedded_synthesiser_says_what_it_said() -> None:
    """Where it says something else, ``VERSION`` of the synthesiser has to rise: old runs could not go on."""
    assert golden.wave() == golden.kept()["wave"]


@pytest.mark.long
@pytest.mark.parametrize("strategy", golden.STRATEGIES)
def test_a_search_finds_the_voice_that_it_found(strategy: str, tmp_path: Path) -> None:
    assert golden.best(strategy, tmp_path) == golden.kept()["best"][strategy]

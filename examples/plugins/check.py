"""Tests the strategy of this folder by the contract that kvw's own keep: ``python check.py``, or by pytest."""

from kvw.testing import check_strategy, spaces


def test_one_fifth() -> None:
    """It proposes, learns and resumes in every space, whatever fails."""
    for space in spaces():
        check_strategy("one_fifth", space)


if __name__ == "__main__":
    test_one_fifth()

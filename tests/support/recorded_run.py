"""A recorded run, and copies of it to change."""

from __future__ import annotations

import shutil

import pytest

from tests.support.recorded import record


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a run that was recorded, and what it found. Not to be changed."""
    place = tmp_path_factory.mktemp("outputs") / "day" / "one"
    store, result = record(place)
    store.close()
    return place, result


@pytest.fixture
def copy(made, tmp_path):
    """Copies of that run, by their names below ``outputs``."""

    def copied(name):
        shutil.copytree(made[0], tmp_path / "outputs" / name)
        return tmp_path / "outputs" / name

    return copied

"""Run folders: made, found, and held by one process at a time."""

from __future__ import annotations

import os

import pytest

from kvw.errors import EXIT_BAD_INPUT, KvwError
from kvw.runs import folders
from kvw.runtime.files import partial_of


def with_record(place, written):
    place.mkdir(parents=True)
    (place / folders.RECORD).touch()
    os.utime(place / folders.RECORD, (written, written))
    return place


def test_runs_that_start_in_the_same_second_have_a_folder_each(tmp_path):
    made = [folders.new_folder(tmp_path / "day", "run") for _ in range(3)]
    assert [folder.name for folder in made] == ["run", "run-2", "run-3"]
    assert all(folder.is_dir() for folder in made)


def test_a_folder_that_can_not_be_made_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(KvwError, match=r"output folder: expected to write to .*hydra\.run\.dir=FOLDER") as refused:
        folders.new_folder(tmp_path / "file", "run")
    assert refused.value.code == EXIT_BAD_INPUT


def test_the_run_whose_record_was_written_last_comes_first(tmp_path):
    older, newer = with_record(tmp_path / "sweep" / "0", 1_000), with_record(tmp_path / "day" / "a", 2_000)
    assert folders.below(tmp_path) == [newer, older]
    log = older / f"{folders.RECORD}-wal"
    log.touch()
    os.utime(log, (3_000, 3_000))
    assert folders.below(tmp_path) == [older, newer], "a running search writes into its log"
    assert folders.named("last", tmp_path) == older


def test_a_run_is_named_by_its_folder_or_a_file_in_it(tmp_path):
    place = with_record(tmp_path / "a", 1_000)
    assert folders.named(str(place), tmp_path) == folders.named(str(place / folders.RECORD), tmp_path) == place
    for name, words in ((str(tmp_path), "expected the folder of a run"), (folders.LAST, "expected a run below")):
        with pytest.raises(KvwError, match=words):
            folders.named(name, tmp_path / "nowhere")


def test_a_held_folder_is_refused_to_others_and_rid_of_what_a_killed_process_left(tmp_path):
    place = with_record(tmp_path / "a", 1_000)
    left = partial_of(place / "best.pt")
    left.touch()
    with folders.held(place):
        assert not left.exists()
        with pytest.raises(KvwError, match="process"), folders.held(place):
            pass


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links")
def test_a_folder_with_a_link_is_refused(tmp_path):
    place = with_record(tmp_path / "a", 1_000)
    (place / "best.pt").symlink_to(tmp_path / "elsewhere")
    with (
        pytest.raises(KvwError, match=r"best\.pt: expected a file or folder of the run; got a link"),
        folders.held(place),
    ):
        pass
